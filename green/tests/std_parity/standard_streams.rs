//! The standard streams, in a process of their own: the same body over std and over green.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::{over_green, over_std};
use test_support::bounded;

/// Says to the new process over what it is to run.
const OVER: &str = "GREEN_TEST_STREAMS_OVER";
const NAME: &str = "standard_streams::are_those_of_std";
const INPUT: &[u8] = b"first\nuntil;ab.\nthird\nlast \xff\nrest\nof it";

fn in_a_process(over: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
        .env(OVER, over)
        .env("GREEN_HUBS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // All of it fits into the pipe.
    child.stdin.take().unwrap().write_all(INPUT).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn are_those_of_std() {
    match std::env::var(OVER).as_deref() {
        Ok("std") => over_std::io::standard_streams(),
        Ok("green") => over_green::io::standard_streams(),
        Ok("a green thread") => green::thread::spawn(over_green::io::standard_streams)
            .join()
            .unwrap(),
        _ => {
            bounded(NAME, Duration::from_secs(60), || {
                let expected = in_a_process("std");
                assert!(expected.status.success(), "{expected:?}");
                for over in ["green", "a green thread"] {
                    let seen = in_a_process(over);
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    assert_eq!(text(&seen.stdout), text(&expected.stdout), "over {over}");
                    assert_eq!(text(&seen.stderr), text(&expected.stderr), "over {over}");
                    assert_eq!(seen.status, expected.status, "over {over}");
                }
            });
            return;
        }
    }
    // Without libtest's last lines, which say how long it took.
    std::process::exit(0);
}
