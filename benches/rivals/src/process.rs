//! The measured programs and the load generator, as child processes.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::proc_fs::{self, Usage};
use crate::scenario::Variant;
use crate::workloads::{go, nginx};

/// Which executable holds a variant's workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// This one.
    Rivals,
    /// The package `green-program`, built apart so that its features are those
    /// of green's users.
    Green,
    /// This one, which then becomes the program in `go/`.
    Go,
    /// This one, which then becomes nginx.
    Nginx,
}

/// Where a program runs, and before whom.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its only core.
    pub cpu: Option<usize>,
    /// Its priority.
    pub nice: Option<i32>,
}

/// What the load generator says on its connections; [`crate::load`] has the commands of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Messages that are echoed.
    Tcp,
    /// The same over TLS.
    Tls,
    /// A small page, over HTTP/1.1.
    Http,
    /// The same page over HTTP/2, ten requests at once.
    Http2,
    /// Bulk over TLS.
    Bulk,
    /// A TLS connection for each message.
    Visits,
}

impl Talk {
    fn name(self) -> &'static str {
        match self {
            Talk::Tcp => "tcp",
            Talk::Tls => "tls",
            Talk::Http => "http",
            Talk::Http2 => "http2",
            Talk::Bulk => "bulk",
            Talk::Visits => "visits",
        }
    }
}

/// Where the executables are.
#[derive(Debug)]
pub struct Programs {
    rivals: PathBuf,
    green: PathBuf,
}

impl Programs {
    /// They stand in one directory.
    pub fn locate() -> io::Result<Programs> {
        let rivals = env::current_exe()?;
        let green = rivals.with_file_name("green-program");
        Ok(Programs { rivals, green })
    }

    /// Builds green's program with the cargo that runs this one.
    fn build_green(&self) -> io::Result<()> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--release",
                "--quiet",
                "--package",
                "green-program",
            ])
            .args([
                "--manifest-path",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ])
            .status()?;
        if !status.success() {
            return Err(io::Error::other("green's program does not build"));
        }
        Ok(())
    }

    /// Makes ready what these variants need, and drops those whose program is missing here, with a reason.
    pub fn prepare(&self, variants: &mut Vec<&Variant>) -> io::Result<()> {
        let wanted = |variants: &[&Variant], program| {
            variants.iter().any(|variant| variant.program == program)
        };
        if wanted(variants, Program::Green) {
            self.build_green()?;
        }
        for (program, name) in [(Program::Go, "Go"), (Program::Nginx, "nginx")] {
            if wanted(variants, program)
                && let Err(error) = self.make_ready(program)
            {
                eprintln!("without the rows of {name}: {error}");
                variants.retain(|variant| variant.program != program);
            }
        }
        Ok(())
    }

    /// Says why it cannot.
    fn make_ready(&self, program: Program) -> io::Result<()> {
        match program {
            Program::Green => self.build_green(),
            Program::Go => self.build_go(),
            Program::Nginx => Programs::find_nginx(),
            Program::Rivals => Ok(()),
        }
    }

    /// Whether it is installed; says why not.
    fn find_nginx() -> io::Result<()> {
        let found = Command::new(nginx::PROGRAM)
            .arg("-v")
            .stderr(Stdio::null())
            .status()?;
        match found.success() {
            true => Ok(()),
            false => Err(io::Error::other("it does not tell its version")),
        }
    }

    /// Builds the program in Go; says why it does not.
    fn build_go(&self) -> io::Result<()> {
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(self.rivals.with_file_name(go::FILE))
            .arg(".")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/go"))
            .status()?;
        if !built.success() {
            return Err(io::Error::other("its program does not build"));
        }
        Ok(())
    }

    /// Starts the variant's workload, as an argument of `tool` unless that is
    /// empty, with `more` after its own arguments.
    pub fn start(
        &self,
        variant: &Variant,
        tool: &[&str],
        more: &[&str],
        place: Place,
    ) -> io::Result<Running> {
        let path = match variant.program {
            Program::Rivals | Program::Go | Program::Nginx => &self.rivals,
            Program::Green => &self.green,
        };
        let mut command = match tool {
            [] => Command::new(path),
            [tool, arguments @ ..] => {
                let mut command = Command::new(tool);
                command.args(arguments).arg(path);
                command
            }
        };
        command
            .arg("run")
            .arg(variant.workload)
            .args(variant.arguments)
            .args(more);
        command.envs(variant.environment.iter().copied());
        Running::start(command, place)
    }

    /// Starts the load generator with `connections` to `address`, all open and
    /// each served once when this returns.
    pub fn load(
        &self,
        talk: Talk,
        address: SocketAddr,
        connections: usize,
        place: Place,
    ) -> io::Result<Load> {
        let mut command = Command::new(&self.rivals);
        command
            .arg("load")
            .args(["--address", &address.to_string()]);
        command.args(["--connections", &connections.to_string()]);
        command.args(["--talk", talk.name()]);
        let mut running = Running::start(command, place)?;
        match running.line()?.as_str() {
            "ready" => Ok(Load { running }),
            other => Err(io::Error::other(format!(
                "the load generator said {other:?}"
            ))),
        }
    }
}

/// A child process that answers in lines. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command, place: Place) -> io::Result<Running> {
        if let Some(cpu) = place.cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        if let Some(nice) = place.nice {
            command.args(["--nice", &nice.to_string()]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().expect("standard input is piped");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Ok(Running {
            child,
            input,
            output,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process has used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        proc_fs::usage(self.pid())
    }

    /// The address of a server.
    pub fn listening(&mut self) -> io::Result<SocketAddr> {
        let line = self.line()?;
        line.strip_prefix("listening ")
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no address in {line:?}")))
    }

    /// The figures of a workload that measures itself; ends with it.
    pub fn results(&mut self) -> io::Result<HashMap<String, f64>> {
        let mut results = HashMap::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                break;
            }
            if let Some(reason) = line.strip_prefix("failed ") {
                return Err(io::Error::other(reason.trim_end()));
            }
            let mut words = line.split_whitespace();
            if let (Some("result"), Some(name), Some(value)) =
                (words.next(), words.next(), words.next())
            {
                let value = value.parse().map_err(io::Error::other)?;
                results.insert(name.to_owned(), value);
            }
        }
        match self.child.wait()? {
            status if status.success() => Ok(results),
            status => Err(io::Error::other(format!("the program ended with {status}"))),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the program ended early",
            )),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The load generator, its connections open.
#[derive(Debug)]
pub struct Load {
    running: Running,
}

/// What the generator answered, by name.
pub type Answer = HashMap<String, f64>;

impl Load {
    pub fn usage(&self) -> io::Result<Usage> {
        self.running.usage()
    }

    /// One request in flight on every connection for so long.
    pub fn closed(&mut self, time: Duration) -> io::Result<Answer> {
        self.command(format!("closed {}", time.as_secs_f64()))
    }

    /// One request in flight on every connection until so many are answered.
    pub fn count(&mut self, requests: u64) -> io::Result<Answer> {
        self.command(format!("count {requests}"))
    }

    /// Requests at fixed instants; latencies in microseconds.
    pub fn open(&mut self, rate: f64, time: Duration) -> io::Result<Answer> {
        self.command(format!("open {rate} {}", time.as_secs_f64()))
    }

    /// So many bytes each way on every connection, again and again for so long.
    pub fn bulk(&mut self, up: usize, down: usize, time: Duration) -> io::Result<Answer> {
        self.command(format!("bulk {up} {down} {}", time.as_secs_f64()))
    }

    fn command(&mut self, command: String) -> io::Result<Answer> {
        writeln!(self.running.input, "{command}")?;
        let line = self.running.line()?;
        line.split_whitespace()
            .map(|pair| {
                let (name, value) = pair.split_once('=')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect::<Option<Answer>>()
            .ok_or_else(|| io::Error::other(format!("an answer that is none: {line:?}")))
    }
}

#[cfg(test)]
mod tests;
