//! The server, and the process that it runs in.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use green::net::TcpStream;
use green::sync::{Arc, Mutex};
use green::thread;

use crate::cable;

/// What to say to a server that shall reset all its connections.
pub const PLEASE_RESET: &[u8] = b"reset\n";

type Connections = Arc<Mutex<Vec<TcpStream>>>;

/// Answers every line with the same line.
pub fn serve(address: &str) -> io::Result<()> {
    let listener = green::listen(address)?;
    println!("serving on {}", listener.local_addr()?);
    let connections = Connections::default();
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(|stream| welcome(stream, &connections)) {
            eprintln!("a client was not taken in: {error}");
        }
    }
    Ok(())
}

fn welcome(stream: TcpStream, connections: &Connections) -> io::Result<()> {
    connections.lock().unwrap().push(stream.try_clone()?);
    let connections = connections.clone();
    thread::spawn(move || answer(&stream, &connections));
    Ok(())
}

fn answer(mut stream: &TcpStream, connections: &Connections) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line == PLEASE_RESET {
            for connection in connections.lock().unwrap().drain(..) {
                let socket = connection.as_green_socket();
                socket.set_linger(Some(Duration::ZERO))?;
                socket.close();
            }
        }
        stream.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

/// A server in a process of its own, killed when this is dropped.
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    pub fn start(address: &str) -> Result<Process, Box<dyn Error>> {
        Process::run(Command::new(env::current_exe()?), address)
    }

    pub fn start_in_a_network_of_its_own(address: &str) -> Result<Process, Box<dyn Error>> {
        let command = cable::in_a_network_of_its_own(&env::current_exe()?)?;
        Process::run(command, address)
    }

    fn run(mut command: Command, address: &str) -> Result<Process, Box<dyn Error>> {
        command.args(["server", address]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output to read")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().rsplit(' ').next().unwrap_or("").parse()?;
        Ok(Process { child, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, signal: &str) -> Result<(), Box<dyn Error>> {
        let id = self.id().to_string();
        match Command::new("kill").args([signal, &id]).status()?.success() {
            true => Ok(()),
            false => Err(format!("kill {signal} failed").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
