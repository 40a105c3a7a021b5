//! What cannot be seen from outside: a caller that is killed.

use std::sync::mpsc;

use super::*;

#[test]
fn another_caller_goes_on_when_one_is_killed() {
    let (heard, order) = mpsc::channel();
    greenhub::run(move || {
        let calls = Arc::new(Calls {
            waiting: Mutex::default(),
            caller: WaitQueue::new(),
        });
        let first = Caller(Arc::clone(&calls));
        let first = green_thread::spawn_local(move || first.run());
        let tell = |word: &'static str| {
            let heard = heard.clone();
            move || heard.send(word).unwrap()
        };
        calls.soon(Box::new(tell("before")));
        while !calls.waiting.lock().callbacks.is_empty() {
            green_thread::yield_now();
        }
        first.kill().unwrap();
        calls.soon(Box::new(tell("after")));
        assert!(first.join().is_err());
    });
    assert_eq!(order.recv(), Ok("before"));
    assert_eq!(order.recv(), Ok("after"));
}
