//! What is refused where a panic aborts, and that a green thread that is not killed goes on.

use std::io::ErrorKind;
use std::time::Duration;

use green::thread;

fn main() {
    let refused = green::timeout(Duration::from_secs(60), || unreachable!()).unwrap_err();
    assert!(refused.is_refused());
    assert_eq!(std::io::Error::from(refused).kind(), ErrorKind::Unsupported);

    let sleeper = thread::spawn(|| {
        thread::sleep(Duration::from_millis(20));
        "slept"
    });
    assert_eq!(sleeper.kill().unwrap_err().kind(), ErrorKind::Unsupported);
    println!("{}", sleeper.join().unwrap());

    // Std's message, and the end of the process.
    let _ = thread::spawn(|| panic!("on purpose")).join();
    unreachable!();
}
