//! Who answers: late servers on OS threads, and programs of Debian's on free ports.
#![expect(unsafe_code, reason = "a longer queue for a listener")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::Duration;

use native_tls::{Identity, TlsAcceptor};
use test_support::certs::{AUTHORITY, LOCALHOST};

pub const LATE: Duration = Duration::from_millis(50);

/// Servers that answer a GET with its path, late.
pub struct Late {
    /// How URLs begin.
    pub http: String,
    pub tls_port: u16,
    /// Who issued the certificate for `localhost`.
    pub authority: String,
}

impl Late {
    pub fn start() -> Late {
        let http = serve(answer);
        let identity = Identity::from_pkcs8(LOCALHOST.chain.as_bytes(), LOCALHOST.key.as_bytes());
        let acceptor = Arc::new(TlsAcceptor::new(identity.unwrap()).unwrap());
        let tls_port = serve(move |stream| {
            let mut stream = acceptor.accept(stream).map_err(io::Error::other)?;
            answer(&mut stream)?;
            stream.shutdown()
        });
        Late {
            http: format!("http://127.0.0.1:{http}"),
            tls_port,
            authority: AUTHORITY.pem.clone(),
        }
    }
}

/// Answers each connection on an OS thread of its own; the port.
fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // With std's 128 the kernel drops some of two hundred that come at once, and they try again a second later.
    // SAFETY: no pointer is passed.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 1024) }, 0);
    spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let answer = answer.clone();
            spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let path = String::from_utf8_lossy(&request);
    let path = path.split(' ').nth(1).unwrap_or_default();
    sleep(LATE);
    let length = path.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + path).as_bytes())
}

/// A server that is another program; ended with the value.
pub struct Server {
    process: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Waits until it listens. None, and a word why, if the program is not there.
    fn start(mut command: Command, port: u16) -> Option<Server> {
        let program = command.get_program().display().to_string();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command
            .spawn()
            .inspect_err(|error| println!("skipped: no {program}: {error}"));
        let mut server = Server {
            process: process.ok()?,
            port,
        };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = server.process.try_wait() {
                println!("skipped: {program} ended: {status}");
                return None;
            }
            sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    pub fn redis() -> Option<Server> {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args([
            "--save",
            "",
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ]);
        Server::start(command, port)
    }

    pub fn memcached() -> Option<Server> {
        let port = free_port();
        let mut command = Command::new("memcached");
        command.args(["-u", "nobody", "-l", "127.0.0.1", "-p", &port.to_string()]);
        Server::start(command, port)
    }

    /// MariaDB, without tables and without users.
    pub fn mariadb() -> Option<(Server, tempfile::TempDir)> {
        let program = ["/usr/sbin/mariadbd", "/usr/sbin/mysqld"].map(Path::new);
        let Some(program) = program.into_iter().find(|program| program.exists()) else {
            println!("skipped: no MariaDB server");
            return None;
        };
        let (folder, port) = (unprivileged_folder(), free_port());
        let mine = folder.path().display();
        let mut command = unprivileged(program);
        command
            .args([
                "--no-defaults",
                "--skip-grant-tables",
                "--bind-address=127.0.0.1",
                "--max-connections=500",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={mine}"))
            .arg(format!("--socket={mine}/socket"));
        Some((Server::start(command, port)?, folder))
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    free.local_addr().unwrap().port()
}

/// Databases do not run as root.
fn unprivileged(program: &Path) -> Command {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg(program);
    command
}

fn unprivileged_folder() -> tempfile::TempDir {
    // Short, since a socket's path has to be.
    let folder = tempfile::Builder::new()
        .prefix("green")
        .tempdir_in("/tmp")
        .unwrap();
    let mut command = Command::new("chown");
    let _ = command
        .arg("nobody")
        .arg(folder.path())
        .stderr(Stdio::null())
        .status();
    folder
}

/// A PostgreSQL server in a folder of its own, reached by a socket there.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Postgres {
    pub fn start() -> Option<Postgres> {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten();
        let mut programs = versions.map(|version| version.path().join("bin"));
        let Some(programs) = programs.find(|bin| bin.join("initdb").exists()) else {
            println!("skipped: no PostgreSQL server");
            return None;
        };
        let database = Postgres {
            folder: unprivileged_folder(),
            programs,
        };
        let mine = database.folder.path().display().to_string();
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={mine} -c fsync=off -c max_connections=250"
        );
        let (data, log) = (format!("{mine}/data"), format!("{mine}/log"));
        let started = database.run(
            "initdb",
            &["-A", "trust", "-N", "-U", "nobody", "-D", &data],
        ) && database.run(
            "pg_ctl",
            &["-w", "-D", &data, "-l", &log, "-o", &options, "start"],
        );
        if !started {
            println!("skipped: no PostgreSQL server could be started");
        }
        started.then_some(database)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = unprivileged(&self.programs.join(program));
        command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// As libpq and the crate `postgres` take it.
    pub fn address(&self) -> String {
        let folder = self.folder.path().display();
        format!("host={folder} user=nobody dbname=postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data").display().to_string();
        self.run("pg_ctl", &["-m", "immediate", "-D", &data, "stop"]);
    }
}
