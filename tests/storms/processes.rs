//! Processes: what is piped through comes back, who waits hears of the end, and no process is left.

use std::io::{Read, Write};

use green::process::{Child, Command, Stdio};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::sockets::byte_at;
use super::*;

/// A process that is ended and waited for, whatever becomes of who started it.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        drop(finally(|| {
            let _ = self.0.kill();
            self.0.wait().unwrap();
        }));
    }
}

fn piped(command: &mut Command) -> Owned {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Owned(command.spawn().unwrap())
}

fn bytes(random: &mut Random) -> Vec<u8> {
    let length = random.below([100, 100_000][usize::from(random.clone().below(2) == 0)]);
    (0..length).map(byte_at).collect()
}

/// What `cat` is given comes back.
fn through_cat(random: &mut Random) {
    let input = bytes(random);
    let mut cat = piped(&mut Command::new("cat"));
    let (mut to, mut from) = (cat.0.stdin.take().unwrap(), cat.0.stdout.take().unwrap());
    let sent = input.clone();
    let writer = spawn(move || to.write_all(&sent));
    let mut output = Vec::new();
    pause(random);
    from.read_to_end(&mut output).unwrap();
    assert!(output == input, "{} of {} bytes", output.len(), input.len());
    writer.join().unwrap().unwrap();
    assert!(cat.0.wait().unwrap().success());
}

/// As much of the input as `communicate` had time for is kept for the next call.
fn communicate(random: &mut Random) {
    let input = bytes(random);
    let mut cat = piped(&mut Command::new("cat"));
    let limit = MICROSECOND * random.below(6_000) as u32;
    let output = match cat.0.communicate(&input, Some(limit)) {
        Ok(output) => {
            assert!(output.status.success());
            assert_eq!(output.stdout.len(), input.len());
            output
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
            count(&LIMITS);
            let _ = cat.0.kill();
            cat.0.communicate(&[], None).unwrap()
        }
    };
    assert!(input.starts_with(&output.stdout), "not what was sent");
}

/// Waits for one that does not end, ends it, and hears why.
fn kill(random: &mut Random) {
    use std::os::unix::process::ExitStatusExt;
    let mut sleeps = piped(Command::new("sleep").arg("60"));
    let limit = MICROSECOND * random.below(3_000) as u32;
    let error = sleeps.0.wait_timeout(limit).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
    sleeps.0.kill().unwrap();
    count(&CLOSES);
    assert_eq!(sleeps.0.wait().unwrap().signal(), Some(9));
}

/// The whole life of a process in one call, which a limit may cut short anywhere.
fn at_once(random: &mut Random) {
    let code = random.below(100) as i32;
    let script = format!("echo {code}; exit {code}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let output = match random.below(2) {
        0 => Ok(command.output()),
        _ => green::timeout(MICROSECOND * random.below(8_000) as u32, || {
            command.output()
        }),
    };
    match output {
        Ok(output) => {
            let output = output.unwrap();
            assert_eq!(output.status.code(), Some(code));
            assert_eq!(output.stdout, format!("{code}\n").into_bytes());
        }
        Err(_) => {
            count(&LIMITS);
            // The command is as it was.
            assert_eq!(command.output().unwrap().status.code(), Some(code));
        }
    }
}

/// Whether there is a process of ours that has not been waited for.
fn is_any_left() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, options).err() != Some(rustix::io::Errno::CHILD)
}

pub fn round(mut random: Random) {
    let mut crew = Crew::new(&mut random);
    for _ in 0..2 + random.below(6) {
        crew.any(|mut random| {
            for _ in 0..1 + random.below(5) {
                match random.below(4) {
                    0 => through_cat(&mut random),
                    1 => communicate(&mut random),
                    2 => kill(&mut random),
                    _ => at_once(&mut random),
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    crew.storm();
    let began = Instant::now();
    while is_any_left() {
        assert!(began.elapsed() < SETTLES, "a process is left");
        std::thread::sleep(MILLISECOND);
    }
}
