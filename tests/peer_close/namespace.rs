//! Two network namespaces of our own, joined by a link that can be cut.
#![expect(unsafe_code, reason = "unshare(2) has no safe binding")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// An OS thread in a network namespace of its own.
struct Namespace {
    jobs: Sender<Job>,
    thread_id: i32,
}

impl Namespace {
    fn new() -> io::Result<Namespace> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (entered, entering) = mpsc::channel();
        thread::spawn(move || {
            // SAFETY: takes flags only; affects this thread alone.
            let outcome = match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
                // SAFETY: no arguments.
                0 => Ok(unsafe { libc::gettid() }),
                _ => Err(io::Error::last_os_error()),
            };
            let _ = entered.send(outcome);
            todo.into_iter().for_each(|job| job());
        });
        let thread_id = entering.recv().expect("the thread lives")?;
        Ok(Namespace { jobs, thread_id })
    }

    /// Runs `job` inside and waits for it.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job = move || done.send(job()).expect("somebody waits");
        self.jobs.send(Box::new(job)).expect("the thread lives");
        result.recv().expect("the job was done")
    }

    fn ip(&self, arguments: &str) -> io::Result<()> {
        let arguments = arguments.to_owned();
        self.run(move || {
            let output = Command::new("ip").args(arguments.split(' ')).output()?;
            match output.status.success() {
                true => Ok(()),
                false => Err(io::Error::other(format!(
                    "ip {arguments}: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ))),
            }
        })
    }
}

/// Two namespaces and the link between them.
pub struct Link {
    near: Namespace,
    far: Namespace,
    listener: TcpListener,
}

impl Link {
    /// # Errors
    ///
    /// Where namespaces, or `ip`, are not to be had.
    pub fn new() -> io::Result<Link> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        near.ip(&format!(
            "link add near type veth peer name far netns {}",
            far.thread_id
        ))?;
        near.ip("address add 10.0.0.1/24 dev near")?;
        far.ip("address add 10.0.0.2/24 dev far")?;
        near.ip("link set near up")?;
        far.ip("link set far up")?;
        let listener = far.run(|| TcpListener::bind("10.0.0.2:0"))?;
        Ok(Link {
            near,
            far,
            listener,
        })
    }

    /// A connection across the link: its near and its far end.
    pub fn connection(&self) -> (TcpStream, TcpStream) {
        let address = self.listener.local_addr().unwrap();
        let near = self.near.run(move || TcpStream::connect(address).unwrap());
        (near, self.listener.accept().unwrap().0)
    }

    /// Takes the far end of the link down: packets vanish.
    pub fn cut(&self) {
        self.far.ip("link set far down").unwrap();
    }
}
