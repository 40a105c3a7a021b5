//! Counts a process's system calls with strace, if there is one.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proc_fs;
use crate::process::Running;

/// How long strace may take to attach to every thread.
const ATTACH: Duration = Duration::from_secs(10);

/// Counts the system calls that `server` makes while `work` runs. The tracing
/// slows the server down, so nothing else is to be measured meanwhile.
pub fn count<T>(
    server: &Running,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<(Vec<(String, f64)>, T)> {
    let pid = server.pid();
    let report = std::env::temp_dir().join(format!("rivals-strace-{pid}"));
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-q", "-U", "calls,name", "-o"])
        .arg(&report)
        .args(["-p", &pid.to_string()])
        .stderr(Stdio::null())
        .spawn()?;
    let outcome = wait_until_traced(pid, &mut strace).and_then(|()| work());
    interrupt(&strace)?;
    strace.wait()?;
    let text = fs::read_to_string(&report)?;
    fs::remove_file(&report)?;
    Ok((parse(&text), outcome?))
}

fn wait_until_traced(pid: u32, strace: &mut Child) -> io::Result<()> {
    let start = Instant::now();
    while !proc_fs::is_traced(pid)? {
        if start.elapsed() > ATTACH || strace.try_wait()?.is_some() {
            return Err(io::Error::other("strace does not attach"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// An interrupt makes strace detach and write its summary.
fn interrupt(strace: &Child) -> io::Result<()> {
    let status = Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("strace has gone"))
    }
}

/// Lines of a number and a name; head, rules and the total are not such.
fn parse(text: &str) -> Vec<(String, f64)> {
    text.lines()
        .filter_map(|line| {
            let (count, name) = line.trim().split_once(char::is_whitespace)?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        })
        .filter(|(name, _)| name != "total")
        .collect()
}
