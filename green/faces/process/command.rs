//! What to run and how: std's `Command`, which starts its children on the blocking pool.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem;
use std::path::Path;
use std::process::{self as std_process, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::sync::Arc;

use greenhub::wait_queue::ShortLock;

use super::child::Child;

/// Builds a child process, see `std::process::Command`: the methods, their defaults and their errors are the same.
///
/// [`spawn`](Command::spawn), [`status`](Command::status) and [`output`](Command::output) park the calling green
/// thread only.
///
/// # Differences from std
///
/// A kill or a time limit does not cut [`spawn`](Command::spawn) short: it takes effect at the next wait, so no child
/// is lost. It does cut [`status`](Command::status) and [`output`](Command::output) short. Then the child runs on
/// without its pipes, and is waited for in the background.
///
/// # Examples
///
/// ```
/// use green::process::Command;
///
/// let output = Command::new("echo").arg("from a child").output()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"from a child\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    inner: std_process::Command,
    /// Which of stdin, stdout and stderr the user has configured: the defaults depend on the call.
    configured: [bool; 3],
}

impl Command {
    /// Runs `program`, looked for in PATH unless it contains a slash, without arguments and with our environment.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command {
            inner: std_process::Command::new(program),
            configured: [false; 3],
        }
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    /// Adds several arguments.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let output = Command::new("printf").args(["%s-%s", "a", "b"]).output()?;
    /// assert_eq!(output.stdout, b"a-b");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets an environment variable of the child.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo $COLOUR"]).env("COLOUR", "green").output()?;
    /// assert_eq!(output.stdout, b"green\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, val);
        self
    }

    /// Sets several environment variables of the child.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// Removes an environment variable from what the child inherits.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.inner.env_remove(key);
        self
    }

    /// Lets the child inherit no environment variable.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let output = Command::new("/usr/bin/env").env_clear().env("ONLY", "this").output()?;
    /// assert_eq!(output.stdout, b"ONLY=this\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Sets the child's working directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let output = Command::new("pwd").current_dir("/").output()?;
    /// assert_eq!(output.stdout, b"/\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.inner.current_dir(dir);
        self
    }

    /// Sets the child's standard input: inherited by default, none at all for [`output`](Command::output).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::null()).spawn()?;
    /// assert!(child.stdin.is_none());
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdin(cfg);
        self.configured[0] = true;
        self
    }

    /// Sets the child's standard output: inherited by default, a pipe for [`output`](Command::output).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    /// use std::io::Read;
    ///
    /// let (mut reader, writer) = green::io::pipe()?;
    /// let status = Command::new("echo").arg("through a pipe").stdout(writer).status()?;
    /// assert!(status.success());
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "through a pipe\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdout(cfg);
        self.configured[1] = true;
        self
    }

    /// Sets the child's standard error: inherited by default, a pipe for [`output`](Command::output).
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stderr(cfg);
        self.configured[2] = true;
        self
    }

    /// Starts the child and returns a handle for it.
    ///
    /// # Errors
    ///
    /// `NotFound` and `PermissionDenied` for the program; the kernel's limits on processes and descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let mut child = Command::new("true").spawn()?;
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.start([Stdio::inherit, Stdio::inherit, Stdio::inherit])
    }

    /// Starts the child, waits for its end and returns all that it wrote to stdout and stderr.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn). A child that fails is no error here: see [`Output::status`].
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo trouble >&2; exit 3"]).output()?;
    /// assert_eq!(output.status.code(), Some(3));
    /// assert_eq!(output.stderr, b"trouble\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn output(&mut self) -> io::Result<Output> {
        self.start([Stdio::null, Stdio::piped, Stdio::piped])?
            .wait_with_output()
    }

    /// Starts the child, waits for its end and returns how it ended.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn). A child that fails is no error here.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// assert!(Command::new("true").status()?.success());
    /// assert!(!Command::new("false").status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.awaited(Child::wait)
    }

    /// The program given to [`new`](Command::new).
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments so far, the program not among them.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::process::Command;
    ///
    /// let mut command = Command::new("ls");
    /// command.args(["-l", "/"]).env("LANG", "C").env_remove("PATH").current_dir("/");
    /// assert_eq!(command.get_program(), "ls");
    /// assert_eq!(command.get_args().collect::<Vec<_>>(), ["-l", "/"]);
    /// assert_eq!(command.get_envs().count(), 2);
    /// assert_eq!(command.get_current_dir(), Some(std::path::Path::new("/")));
    /// ```
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The environment variables set (`Some`) or removed (`None`) so far.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The working directory set for the child.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// For the extension traits.
    pub(crate) fn inner_mut(&mut self) -> &mut std_process::Command {
        &mut self.inner
    }

    /// Runs `call` on the blocking pool.
    pub(crate) fn on_pool<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut std_process::Command) -> T + Send + 'static,
    ) -> T {
        let inner = mem::replace(&mut self.inner, std_process::Command::new(""));
        let lent = Lent {
            inner: Arc::new(ShortLock::new(inner)),
            owner: self,
        };
        let borrowed = Arc::clone(&lent.inner);
        greenhub::blocking_uncut(move || call(&mut borrowed.lock()))
    }

    fn start(&mut self, defaults: [fn() -> Stdio; 3]) -> io::Result<Child> {
        #[cfg(feature = "sim")]
        if greenhub::sim::is_simulated() {
            const REFUSAL: &str = "a process cannot be had in a simulation: see green::sim";
            return Err(io::Error::new(io::ErrorKind::Unsupported, REFUSAL));
        }
        let setters = [
            std_process::Command::stdin,
            std_process::Command::stdout,
            std_process::Command::stderr,
        ];
        for stream in 0..3 {
            if !self.configured[stream] {
                setters[stream](&mut self.inner, defaults[stream]());
            }
        }
        let child = self.on_pool(std_process::Command::spawn)?;
        Ok(Child::new(child, self.words()))
    }

    /// The program and its arguments, for people.
    fn words(&self) -> String {
        let mut words = format!("{:?}", self.get_program());
        for arg in self.get_args() {
            words.push_str(&format!(" {arg:?}"));
        }
        words
    }
}

/// The command while it is lent to the pool; it comes back even if the call is not made.
struct Lent<'a> {
    /// Locked by the pool alone, as long as it has it.
    inner: Arc<ShortLock<std_process::Command>>,
    owner: &'a mut Command,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        mem::swap(&mut *self.inner.lock(), &mut self.owner.inner);
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
