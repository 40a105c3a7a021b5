//! Servers that others wrote, as Debian has them: each with a folder of its own, on a free port or at a socket, ended with its value.
//!
//! Where one is not installed the start says so and gives nothing, and the caller's test is skipped.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::running::{Process, find, free_port};

/// A server at a port of the loopback interface.
pub struct Server {
    // Ended before its folder goes.
    _process: Process,
    _folder: TempDir,
    pub port: u16,
}

impl Server {
    pub fn redis() -> Option<Server> {
        Server::start(&find("redis-server")?, |command, folder, port| {
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--dir"]);
            command.arg(folder);
        })
    }

    pub fn memcached() -> Option<Server> {
        Server::start(&find("memcached")?, |command, _, port| {
            command.args(["-l", "127.0.0.1", "-p", &port.to_string()]);
        })
    }

    pub fn nats() -> Option<Server> {
        Server::start(&find("nats-server")?, |command, _, port| {
            command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        })
    }

    /// MariaDB, without tables and without users.
    pub fn mariadb() -> Option<Server> {
        let program = find("mariadbd").or_else(|| find("mysqld"))?;
        Server::start(&program, |command, folder, port| {
            command.args(["--no-defaults", "--skip-grant-tables"]);
            command.args(["--bind-address=127.0.0.1", "--max-connections=500"]);
            command.arg(format!("--port={port}"));
            command.arg(format!("--datadir={}", folder.display()));
            command.arg(format!("--socket={}/socket", folder.display()));
        })
    }

    /// Starts `program`, with what `arguments` gives it for a folder and a port, and waits until it listens.
    fn start(program: &Path, arguments: impl Fn(&mut Command, &Path, u16)) -> Option<Server> {
        // The port was free a moment ago. A server ends if another program has taken it meanwhile.
        for _ in 0..3 {
            let (folder, port) = (unprivileged_folder(), free_port());
            let mut command = unprivileged(program);
            arguments(&mut command, folder.path(), port);
            let mut process = Process(quiet(&mut command).spawn().unwrap());
            while process.try_wait().unwrap().is_none() {
                // Who answers may be somebody who has taken the port before it.
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
                    && listens(process.id(), port)
                {
                    return Some(Server {
                        _process: process,
                        _folder: folder,
                        port,
                    });
                }
                sleep(Duration::from_millis(10));
            }
        }
        eprintln!(
            "skipped: {} ends as soon as it is started",
            program.display()
        );
        None
    }
}

/// Whether it is that process which listens at the port.
fn listens(process: u32, port: u16) -> bool {
    let sockets = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    // Local and remote address, state, five more, inode (proc(5)); a state of 0A is one that listens.
    let at_port = format!(":{port:04X}");
    let listening: Vec<_> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 9 && words[1].ends_with(&at_port) && words[3] == "0A")
        .map(|words| format!("socket:[{}]", words[9]))
        .collect();
    let Ok(files) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|file| listening.iter().any(|socket| file.as_os_str() == &**socket))
}

/// PostgreSQL, at a socket in its folder.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
}

impl Postgres {
    pub fn start() -> Option<Postgres> {
        let versions = std::fs::read_dir("/usr/lib/postgresql");
        let versions = versions.into_iter().flatten().flatten();
        let mut programs = versions.map(|version| version.path().join("bin"));
        let Some(programs) = programs.find(|bin| bin.join("initdb").exists()) else {
            eprintln!("skipped: no PostgreSQL server is installed");
            return None;
        };
        let server = Postgres {
            folder: unprivileged_folder(),
            programs,
        };
        let data = server.data();
        let made = server.run(
            "initdb",
            &["-A", "trust", "-N", "-U", "nobody", "-D", &data],
        );
        let started = made && server.go_on();
        if !started {
            eprintln!("skipped: no PostgreSQL server could be started");
        }
        started.then_some(server)
    }

    /// Starts it again where it was stopped; false if that fails.
    pub fn go_on(&self) -> bool {
        let mine = self.folder().display();
        let (data, log) = (self.data(), format!("{mine}/log"));
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={mine} -c fsync=off -c max_connections=250"
        );
        self.run(
            "pg_ctl",
            &["-w", "-D", &data, "-l", &log, "-o", &options, "start"],
        )
    }

    /// Ends every connection, and itself.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-m", "immediate", "-D", &self.data(), "stop"]);
    }

    /// A session of psql's, which says nothing but values.
    pub fn psql(&self) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.address()]);
        psql
    }

    /// What a statement gives back.
    pub fn ask(&self, statement: &str) -> String {
        let output = self.psql().args(["-c", statement]).output().unwrap();
        assert!(output.status.success(), "{statement}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn data(&self) -> String {
        self.folder().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = unprivileged(&self.programs.join(program));
        command.args(arguments).current_dir("/");
        quiet(&mut command)
            .status()
            .is_ok_and(|status| status.success())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As libpq and the crate `postgres` take it.
    pub fn address(&self) -> String {
        let folder = self.folder().display();
        format!("host={folder} user=nobody dbname=postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// `program` as somebody else, if root runs the tests: most servers refuse to be root.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    command.arg(program);
    command
}

fn unprivileged_folder() -> TempDir {
    // Short, since a socket's path has to be.
    let folder = tempfile::Builder::new().prefix("green").tempdir_in("/tmp");
    let folder = folder.unwrap();
    let mut chown = Command::new("chown");
    chown.arg("nobody").arg(folder.path());
    // Where that is refused, it is this user's and the server will be too.
    let _ = quiet(&mut chown).status();
    folder
}
