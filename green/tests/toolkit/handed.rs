//! Listeners that go from one process to the next.

use std::io::ErrorKind;
use std::time::Duration;

use green::convenience::{HandOver, Handed};
use green::thread;
use test_support::bounded;

#[test]
fn a_successor_that_is_never_ready_holds_up_nobody() {
    bounded("a successor that hangs", Duration::from_secs(60), || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("next");
        let listener = green::listen("127.0.0.1:0").unwrap();
        let next = HandOver::new(&path)
            .and_then(|next| next.listener("web", &listener))
            .unwrap()
            .ready_within(Duration::from_millis(200));
        let waiting = thread::spawn(move || next.wait());
        let hangs = Handed::from_process(&path).unwrap();
        assert!(hangs.names().eq(["web"]));
        // On a busy machine this one may be late, too.
        while !waiting.is_finished() {
            // It is refused where the one before has just gone.
            if let Ok(other) = Handed::from_process(&path) {
                let _ = other.ready();
            }
            thread::sleep(Duration::from_millis(1));
        }
        waiting.join().unwrap().unwrap();
        let late = hangs.ready().unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
    });
}
