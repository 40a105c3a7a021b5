use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::look_for_end;
use greenhub::Deadline;

/// The way without a pidfd, as on kernels that have none.
#[test]
fn the_end_is_found_by_looking() {
    crate::run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        let limit = Duration::from_millis(50);
        let error = look_for_end(&mut child, Deadline::after(limit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
        drop(child.stdin.take());
        assert!(look_for_end(&mut child, Deadline::NEVER).unwrap().success());
        assert!(look_for_end(&mut child, Deadline::NOW).unwrap().success());
    });
}
