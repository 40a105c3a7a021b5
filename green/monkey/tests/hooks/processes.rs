//! Child processes.
#![expect(unsafe_code, reason = "C's functions")]

use std::process::{Command, Stdio};

use crate::{green, parks};

#[test]
fn whoever_waits_for_a_child_parks() {
    green("children", || {
        // Each ends when its input does.
        let child = || {
            Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut first = child();
        let input = first.stdin.take();
        assert!(parks(|| first.wait().unwrap(), move || drop(input)).success());

        // SAFETY: places that live across the calls; each child is reaped once.
        unsafe {
            let mut status = -1;
            for call in 0..3 {
                let mut child = child();
                let (id, input) = (child.id(), child.stdin.take());
                let given = parks(
                    || match call {
                        0 => libc::waitpid(id as i32, &mut status, 0) as u32,
                        1 => libc::wait4(id as i32, &mut status, 0, std::ptr::null_mut()) as u32,
                        _ => {
                            let mut info: libc::siginfo_t = std::mem::zeroed();
                            assert_eq!(libc::waitid(libc::P_PID, id, &mut info, libc::WEXITED), 0);
                            status = info.si_status();
                            info.si_pid() as u32
                        }
                    },
                    move || drop(input),
                );
                assert_eq!((given, status), (id, 0));
                assert!(child.wait().is_err(), "it was reaped");
            }
        }
        let output = Command::new("sh")
            .args(["-c", "echo out; sleep 0.05; echo err >&2; exit 3"])
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), &*output.stdout, &*output.stderr),
            (Some(3), &b"out\n"[..], &b"err\n"[..])
        );
    });
}
