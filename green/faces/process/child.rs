//! A running or finished child process and its three pipes.

use std::error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::OwnedFd;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::{self as std_process, ExitStatus, Output};
use std::sync::Arc;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread;
use greenhub::greenio::GreenPipe;
use greenhub::shield;
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::ShortLock;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::io::face::{impl_descriptor, impl_read, impl_write};
use crate::select::{self, Interest, PollFd};

/// What one read takes from a child's pipe: all that a pipe holds.
const PIECE_BYTES: usize = 64 * 1024;

/// A child process, made by [`Command::spawn`](super::Command::spawn).
///
/// Dropping it neither kills the child nor waits for it, as in std.
///
/// # Examples
///
/// ```
/// use green::process::{Command, Stdio};
/// use std::io::{Read, Write};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"there and back")?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "there and back");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Child {
    inner: std_process::Child,
    command: String,
    /// Readable once the child has ended. Opened by the first wait.
    end: Option<Source>,
    /// What [`communicate`](Child::communicate) had read when its time limit passed.
    heard: [Vec<u8>; 2],
    /// The pipe to the child's standard input, if one was asked for.
    pub stdin: Option<ChildStdin>,
    /// The pipe from the child's standard output, if one was asked for.
    pub stdout: Option<ChildStdout>,
    /// The pipe from the child's standard error, if one was asked for.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(super) fn new(mut inner: std_process::Child, command: String) -> Child {
        Child {
            stdin: inner.stdin.take().map(|pipe| OwnedFd::from(pipe).into()),
            stdout: inner.stdout.take().map(|pipe| OwnedFd::from(pipe).into()),
            stderr: inner.stderr.take().map(|pipe| OwnedFd::from(pipe).into()),
            end: None,
            heard: [Vec::new(), Vec::new()],
            inner,
            command,
        }
    }

    /// Kills the child by SIGKILL. Returns `Ok` if it has been waited for already.
    ///
    /// # Errors
    ///
    /// Those of kill(2).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::process::ExitStatusExt;
    /// use green::process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// The child's process number.
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Closes the child's standard input, waits for its end and returns how it ended; at once if that is known.
    ///
    /// # Errors
    ///
    /// Those of waitpid(2): other code in the process has waited for this child.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::{Command, Stdio};
    ///
    /// // `cat` ends because its input does.
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert!(child.wait()?.success());
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_for_end(Deadline::NEVER)
    }

    /// As [`wait`](Child::wait), for no longer than `limit`. If that passes, the child goes on.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) around a [`TimeoutExpired`], which names the command and the limit;
    /// [`green::is_timeout`](crate::is_timeout) recognises it. Else as [`wait`](Child::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    /// use std::time::Duration;
    ///
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// let error = child.wait_timeout(Duration::from_millis(20)).unwrap_err();
    /// assert_eq!(error.to_string(), r#""sleep" "60" still runs after 20ms"#);
    /// child.kill()?;
    /// child.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_for_end(Deadline::after(limit))
            .map_err(|error| self.expired(error, limit))
    }

    /// Returns how the child ended, or `None` while it runs.
    ///
    /// # Errors
    ///
    /// As [`wait`](Child::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert!(child.try_wait()?.is_none());
    /// let status = child.wait()?;
    /// assert_eq!(child.try_wait()?, Some(status));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Closes the child's standard input, reads its stdout and stderr to their ends, as far as they are pipes, and
    /// waits for its end.
    ///
    /// # Errors
    ///
    /// Those of read(2), and as [`wait`](Child::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::{Command, Stdio};
    ///
    /// let child = Command::new("echo").arg("done").stdout(Stdio::piped()).spawn()?;
    /// let output = child.wait_with_output()?;
    /// assert!(output.status.success());
    /// assert_eq!(output.stdout, b"done\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Differences from std
    ///
    /// If a kill, a time limit or an error cuts it short, the child runs on without its pipes and is waited for in the
    /// background, since nobody has its handle any more.
    pub fn wait_with_output(self) -> io::Result<Output> {
        self.awaited(|child| child.communicate(&[], None))
    }

    /// Waits for the end by `wait`. If that is cut short, the child is waited for in the background: nobody else has a
    /// handle, and it would be a zombie for ever.
    pub(super) fn awaited<T>(
        self,
        wait: impl FnOnce(&mut Child) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut awaited = Awaited(Some(self));
        let child = awaited.0.as_mut().expect("until it is dropped");
        wait(child)
    }

    /// Sends `input` to the child and closes its standard input, and meanwhile reads its stdout and stderr to their
    /// ends, as far as each is a pipe; then waits for its end. All of it in no more than `limit`.
    ///
    /// It is Python's `Popen.communicate`. A child that ends without having read all its input is no error.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) around a [`TimeoutExpired`]. The child goes on after it; what it has written
    /// is kept and comes with the next call, so one can [`kill`](Child::kill) it and call again with no input and no
    /// limit. Else as [`wait_with_output`](Child::wait_with_output).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// let output = child.communicate(b"shout", None)?;
    /// assert_eq!(output.stdout, b"SHOUT");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn communicate(&mut self, input: &[u8], limit: Option<Duration>) -> io::Result<Output> {
        let deadline = Deadline::within(limit);
        let ended = self
            .exchange(input, deadline)
            .and_then(|()| self.wait_for_end(deadline));
        let status = ended.map_err(|error| self.expired(error, limit.unwrap_or(Duration::MAX)))?;
        let [stdout, stderr] = mem::take(&mut self.heard);
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Serves all three pipes until they are closed. `WouldBlock` when no time is left.
    fn exchange(&mut self, mut input: &[u8], deadline: Deadline) -> io::Result<()> {
        let mut piece = Vec::new();
        loop {
            if input.is_empty() {
                drop(self.stdin.take());
            }
            let mut waited: Vec<PollFd<'_>> = Vec::with_capacity(3);
            waited.extend(
                self.stdin
                    .as_ref()
                    .map(|pipe| PollFd::new(pipe, Interest::WRITABLE)),
            );
            waited.extend(
                self.stdout
                    .as_ref()
                    .map(|pipe| PollFd::new(pipe, Interest::READABLE)),
            );
            waited.extend(
                self.stderr
                    .as_ref()
                    .map(|pipe| PollFd::new(pipe, Interest::READABLE)),
            );
            if waited.is_empty() {
                return Ok(());
            }
            if select::poll(&mut waited, deadline.remaining())? == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            piece.resize(PIECE_BYTES, 0);
            let [stdout_heard, stderr_heard] = &mut self.heard;
            if let Some(pipe) = &self.stdin {
                match pipe.pipe.try_write(input) {
                    Ok(count) => input = &input[count..],
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => input = &[],
                    Err(error) => try_later(error)?,
                }
            }
            if let Some(pipe) = &self.stdout
                && !hear(&pipe.pipe, &mut piece, stdout_heard)?
            {
                self.stdout = None;
            }
            if let Some(pipe) = &self.stderr
                && !hear(&pipe.pipe, &mut piece, stderr_heard)?
            {
                self.stderr = None;
            }
        }
    }

    /// `WouldBlock` when `deadline` has passed.
    fn wait_for_end(&mut self, deadline: Deadline) -> io::Result<ExitStatus> {
        if let Some(status) = self.inner.try_wait()? {
            return Ok(status);
        }
        if self.end.is_none() {
            let pid = Pid::from_raw(self.inner.id() as i32);
            // The number cannot have gone to another process: this child has not been reaped.
            self.end = pid
                .and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok())
                .map(Source::new);
        }
        match &self.end {
            Some(end) => end.retry(Direction::Read, deadline, |_| ended(&mut self.inner)),
            None => look_for_end(&mut self.inner, deadline),
        }
    }

    /// Turns the `WouldBlock` of a time limit into the error that tells of it.
    fn expired(&self, error: io::Error, limit: Duration) -> io::Error {
        if error.kind() != ErrorKind::WouldBlock {
            return error;
        }
        io::Error::new(
            ErrorKind::TimedOut,
            TimeoutExpired {
                command: self.command.clone(),
                limit,
            },
        )
    }
}

/// A child that nobody but us can wait for.
struct Awaited(Option<Child>);

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && matches!(child.try_wait(), Ok(None))
        {
            (child.stdin, child.stdout, child.stderr) = (None, None, None);
            reap(child);
        }
    }
}

/// Waits in a green thread of its own for the end of `child`, which nobody else can.
fn reap(child: Child) {
    let given = Arc::new(ShortLock::new(Some(child)));
    let taken = given.clone();
    let wait = move || {
        let child = taken.lock().take();
        if let Some(mut child) = child {
            let _ = shield(|| child.wait_for_end(Deadline::NEVER));
        }
    };
    let name = "waits for an abandoned child".to_owned();
    // If it cannot be started, the child's end is left to that of the process.
    if let Ok(waiter) = green_thread::Builder::new().name(name).spawn(wait) {
        // Killed before it began.
        waiter.link(move |_| {
            let left = given.lock().take();
            left.into_iter().for_each(reap);
        });
    }
}

fn ended(child: &mut std_process::Child) -> io::Result<ExitStatus> {
    child
        .try_wait()?
        .ok_or_else(|| ErrorKind::WouldBlock.into())
}

/// Waits without a pidfd: looks again and again, every 1 ms at first, every 20 ms later.
fn look_for_end(child: &mut std_process::Child, deadline: Deadline) -> io::Result<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    loop {
        match ended(child) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !deadline.has_passed() => {
                green_thread::sleep(deadline.remaining().map_or(pause, |left| left.min(pause)));
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Adds what a pipe has to `heard`. False at its end.
fn hear(pipe: &GreenPipe, piece: &mut [u8], heard: &mut Vec<u8>) -> io::Result<bool> {
    match pipe.try_read(piece) {
        Ok(count) => {
            heard.extend_from_slice(&piece[..count]);
            Ok(count > 0)
        }
        Err(error) => try_later(error).map(|()| true),
    }
}

/// Errors that only mean "not now".
fn try_later(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

// A panic leaves no child half-changed: its state is the kernel's.
impl UnwindSafe for Child {}
impl RefUnwindSafe for Child {}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("command", &self.command)
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

/// A child process had not ended within the time limit. Found inside an [`io::Error`] of kind `TimedOut`.
///
/// # Examples
///
/// ```
/// use green::process::{Command, TimeoutExpired};
/// use std::time::Duration;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// let error = child.wait_timeout(Duration::from_millis(20)).unwrap_err();
/// let expired = error.get_ref().unwrap().downcast_ref::<TimeoutExpired>().unwrap();
/// assert_eq!(expired.limit(), Duration::from_millis(20));
/// # child.kill()?;
/// # child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutExpired {
    command: String,
    limit: Duration,
}

impl TimeoutExpired {
    /// The program and its arguments, quoted.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The limit that has passed.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

impl fmt::Display for TimeoutExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} still runs after {:?}", self.command, self.limit)
    }
}

impl error::Error for TimeoutExpired {}

/// Our end of the pipe to a child's standard input.
///
/// One `write` takes all bytes, and fails with `BrokenPipe` when the child has closed its end. Dropping it tells the
/// child that its input has ended.
///
/// # Differences from std
///
/// The descriptor is non-blocking, and blocking again once given away.
#[derive(Debug)]
pub struct ChildStdin {
    pipe: GreenPipe,
}

/// Our end of the pipe from a child's standard output.
///
/// # Differences from std
///
/// The descriptor is non-blocking, and blocking again once given away.
#[derive(Debug)]
pub struct ChildStdout {
    pipe: GreenPipe,
}

/// Our end of the pipe from a child's standard error.
///
/// # Differences from std
///
/// The descriptor is non-blocking, and blocking again once given away.
#[derive(Debug)]
pub struct ChildStderr {
    pipe: GreenPipe,
}

impl_read!(ChildStdout, ChildStderr);
impl_write!(ChildStdin, &ChildStdin);
impl_descriptor!(ChildStdin, ChildStdout, ChildStderr);

macro_rules! impl_owned {
    ($($face:ident),+) => {$(
        impl From<$face> for OwnedFd {
            fn from(end: $face) -> OwnedFd {
                end.pipe.into_fd()
            }
        }

        impl From<OwnedFd> for $face {
            fn from(fd: OwnedFd) -> $face {
                $face { pipe: GreenPipe::new(fd) }
            }
        }
    )+};
}

impl_owned!(ChildStdin, ChildStdout, ChildStderr);

#[cfg(test)]
mod tests;
