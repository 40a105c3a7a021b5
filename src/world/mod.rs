//! What a simulated program has instead of the system: a clock, choices by a seed, and a trace of what happened.
//!
//! An OS thread that runs simulations has a world, which each of them begins anew. Whoever would ask the system asks here
//! first ([`here`]); on any other thread there is none.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::sys::socket::int_option_by_number;
use crate::sys::virtual_time::{self, Virtual};

mod faults;
mod network;
mod random;
mod trace;

pub use faults::Faults;
use network::{Around, Network};
use random::Random;
pub use trace::Trace;
use trace::{Subject, TraceEvent};

/// The simulated time that each leg of a green thread takes, in nanoseconds, so that a loop that yields until some time
/// has come ends.
const LEG: u64 = 1_000;

pub(crate) struct World {
    clocks: Virtual,
    /// Of the simulation under way, never used twice in a process; 0 when its main thread is over.
    number: Cell<u64>,
    state: RefCell<State>,
}

/// The part of the world that is new in each simulation.
struct State {
    random: Random,
    trace: Trace,
    /// The green threads of this simulation by their ids: ids are the process's.
    threads: HashMap<u64, Thread>,
    /// Who runs, or ran last.
    running: u64,
    faults: Faults,
    network: Network,
    /// The names that were looked up, numbered in that order.
    hosts: HashMap<String, u32>,
}

/// A green thread of a simulation.
#[derive(Clone, Copy, Default)]
struct Thread {
    /// They are numbered as they started.
    number: u32,
    /// Where it runs, unless on the machine that has every address.
    machine: Option<IpAddr>,
}

impl State {
    fn machine(&self) -> Option<IpAddr> {
        self.threads.get(&self.running)?.machine
    }

    fn new(seed: u64, faults: Faults) -> State {
        State {
            random: Random::new(seed),
            trace: Trace::default(),
            threads: HashMap::new(),
            running: 0,
            faults,
            network: Network::default(),
            hosts: HashMap::new(),
        }
    }
}

thread_local! {
    static HERE: Cell<Option<&'static World>> = const { Cell::new(None) };
}

/// The world of the running thread, if it is simulated.
// Never inlined, so that the thread-local's address is taken anew after a wait.
#[inline(never)]
pub(crate) fn here() -> Option<&'static World> {
    HERE.get()
}

/// From now on the running thread lives in `world`.
pub(crate) fn enter(world: Option<&'static World>) {
    HERE.set(world);
    virtual_time::enter(world.map(|world| &world.clocks));
}

/// Refuses what is not simulated, if the running thread is.
///
/// # Errors
///
/// `Unsupported`, which says what it is.
pub(crate) fn refuse(what: &str) -> io::Result<()> {
    match here() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{what} cannot be had in a simulation: see green::sim"),
        )),
    }
}

impl World {
    /// A world lasts as long as the process.
    pub(crate) fn new() -> &'static World {
        Box::leak(Box::new(World {
            clocks: Virtual::new(),
            number: Cell::new(0),
            state: RefCell::new(State::new(0, Faults::none())),
        }))
    }

    /// Begins another simulation.
    pub(crate) fn restart(&self, seed: u64, faults: Faults) {
        let mut state = State::new(seed, faults);
        static LAST: AtomicU64 = AtomicU64::new(0);
        self.number.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        self.clocks.restart(state.random.next());
        self.state.replace(state);
    }

    /// Its number, until its main thread is over.
    pub(crate) fn number(&self) -> Option<u64> {
        Some(self.number.get()).filter(|number| *number != 0)
    }

    /// The main thread of the simulation is over.
    pub(crate) fn end(&self) {
        self.number.set(0);
    }

    /// What has happened, which is nothing from now on.
    pub(crate) fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.state.borrow_mut().trace)
    }

    /// Nanoseconds since the simulation began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.clocks.now() - virtual_time::BEGIN
    }

    /// The clock, as [`Nanos`](crate::clock::Nanos) has it, moves on to `now`.
    pub(crate) fn jump(&self, now: u64) {
        self.clocks.set_now(now.max(self.clocks.now()));
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.state.borrow_mut().random.below(n)
    }

    /// How long something takes that is over in a moment: up to a millisecond.
    pub(crate) fn moment(&self) -> Duration {
        Duration::from_micros(1 + self.below(1_000))
    }

    /// Whether a green thread that makes a call and need not wait lets others run now.
    pub(crate) fn gives_way(&self) -> bool {
        self.below(8) == 0
    }

    /// A green thread has been placed here.
    pub(crate) fn starts(&self, id: u64) {
        let state = &mut *self.state.borrow_mut();
        let number = state.threads.len() as u32 + 1;
        let machine = state.machine();
        state.threads.insert(id, Thread { number, machine });
        let at = self.elapsed();
        state
            .trace
            .add(TraceEvent::new(at, Subject::Thread(number), "starts"));
    }

    /// A green thread is about to run, which takes some time.
    pub(crate) fn runs(&self, id: u64) {
        self.tell_of_thread(id, "runs");
        self.state.borrow_mut().running = id;
        self.clocks.set_now(self.clocks.now() + LEG);
    }

    /// A green thread has ended.
    pub(crate) fn ends(&self, id: u64) {
        self.tell_of_thread(id, "ends");
    }

    fn tell_of_thread(&self, id: u64, what: &'static str) {
        let state = &mut *self.state.borrow_mut();
        let number = state.threads.get(&id).map_or(0, |thread| thread.number);
        let at = self.elapsed();
        state
            .trace
            .add(TraceEvent::new(at, Subject::Thread(number), what));
    }

    fn network<R>(&self, call: impl FnOnce(&mut Network, &mut Around<'_>) -> R) -> R {
        let state = &mut *self.state.borrow_mut();
        let mut around = Around {
            now: self.clocks.now(),
            elapsed: self.elapsed(),
            random: &mut state.random,
            trace: &mut state.trace,
            faults: &state.faults,
        };
        call(&mut state.network, &mut around)
    }

    /// Lets everything happen on the network that is due. Adds to `ready` what the hub is to hand out, by token.
    pub(crate) fn happen(&self, ready: &mut Vec<(u64, u32)>) {
        self.network(|network, around| {
            network.happen(around);
            network.take_touched(ready);
        });
    }

    /// When something is due on the network.
    pub(crate) fn next(&self) -> Option<u64> {
        self.state.borrow().network.next()
    }

    /// The running thread, and those that it starts, are on that machine from now on, or on the one that has every
    /// address. Gives where it was.
    pub(crate) fn move_to(&self, machine: Option<IpAddr>) -> Option<IpAddr> {
        let state = &mut *self.state.borrow_mut();
        state.network.machines.extend(machine);
        let running = state.threads.entry(state.running).or_default();
        std::mem::replace(&mut running.machine, machine)
    }

    /// Cuts the network between two groups of machines; gives the cut's number.
    pub(crate) fn cut(&self, groups: [Vec<IpAddr>; 2]) -> u64 {
        self.network(|network, around| network.cut(around, groups))
    }

    pub(crate) fn heal(&self, cut: u64) {
        self.network(|network, around| network.heal(around, cut));
    }

    /// The address of a name.
    pub(crate) fn look_up(&self, name: &str) -> io::Result<IpAddr> {
        let state = &mut *self.state.borrow_mut();
        if state.random.happens(state.faults.no_answer) {
            // What std says for EAI_AGAIN.
            return Err(io::Error::other(
                "failed to lookup address information: Temporary failure in name resolution",
            ));
        }
        if name == "localhost" {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        let next = state.hosts.len() as u32 + 1;
        let number = *state.hosts.entry(name.to_owned()).or_insert(next);
        // 10.77.0.0/16, and on from there.
        Ok(Ipv4Addr::from_bits(0x0a4d_0000 + number).into())
    }
}

/// What the hub needs to know of a descriptor.
impl World {
    /// By which token the hub tells of the descriptor already.
    pub(crate) fn token(&self, fd: RawFd) -> io::Result<Option<u64>> {
        self.network(|network, _| network.token(fd))
    }

    pub(crate) fn register(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.network(|network, _| network.register(fd, token))
    }

    pub(crate) fn deregister(&self, fd: RawFd, token: u64) {
        self.network(|network, _| network.deregister(fd, token));
    }

    /// What it is ready for, as epoll(7) has it.
    pub(crate) fn readiness(&self, fd: RawFd) -> io::Result<u32> {
        self.network(|network, _| network.readiness(fd))
    }
}

/// The calls on sockets, each as the system call of its name; none waits.
impl World {
    pub(crate) fn socket(
        &self,
        domain: Domain,
        ty: Type,
        protocol: Option<Protocol>,
    ) -> io::Result<OwnedFd> {
        let known = [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&domain)
            && [Type::STREAM, Type::DGRAM].contains(&ty)
            && protocol.is_none_or(|protocol| [Protocol::TCP, Protocol::UDP].contains(&protocol));
        if !known {
            refuse("a socket of this family or type")?;
        }
        let machine = self.state.borrow().machine();
        self.network(|network, around| {
            if around.lacks_descriptors() {
                return Err(io::Error::from_raw_os_error(libc::EMFILE));
            }
            let socket = Socket::new_raw(domain, ty.nonblocking().cloexec(), protocol)?;
            network.add(around, socket.as_raw_fd(), domain, ty, machine);
            Ok(socket.into())
        })
    }

    pub(crate) fn pair(&self, domain: Domain, ty: Type) -> io::Result<(OwnedFd, OwnedFd)> {
        if domain != Domain::UNIX {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let one = self.socket(domain, ty, None)?;
        let other = self.socket(domain, ty, None);
        let other = other.inspect_err(|_| self.close(one.as_raw_fd(), false))?;
        self.network(|network, around| network.pair(around, one.as_raw_fd(), other.as_raw_fd()))?;
        Ok((one, other))
    }

    pub(crate) fn close(&self, fd: RawFd, resets: bool) {
        self.network(|network, around| network.close(around, fd, resets));
    }

    pub(crate) fn bind(&self, fd: RawFd, address: &SockAddr) -> io::Result<()> {
        let shares = |name| int_option_by_number(fd, libc::SOL_SOCKET, name) == Some(1);
        let shares = shares(libc::SO_REUSEPORT);
        self.network(|network, around| network.bind(around, fd, address, shares))
    }

    pub(crate) fn listen(&self, fd: RawFd, most: i32) -> io::Result<()> {
        self.network(|network, around| network.listen(around, fd, most))
    }

    pub(crate) fn connect(&self, fd: RawFd, address: &SockAddr) -> io::Result<()> {
        self.network(|network, around| network.connect(around, fd, address))
    }

    pub(crate) fn accept(&self, fd: RawFd) -> io::Result<(Socket, SockAddr)> {
        let (number, domain, peer) = self.network(|network, around| network.accept(around, fd))?;
        match Socket::new_raw(domain, Type::STREAM.nonblocking().cloexec(), None) {
            Ok(socket) => {
                self.network(|network, _| network.accepted(number, socket.as_raw_fd()));
                Ok((socket, peer))
            }
            Err(error) => {
                self.network(|network, _| network.unaccepted(fd, number));
                Err(error)
            }
        }
    }

    pub(crate) fn local_addr(&self, fd: RawFd) -> io::Result<SockAddr> {
        self.network(|network, _| network.local_addr(fd))
    }

    pub(crate) fn peer_addr(&self, fd: RawFd) -> io::Result<SockAddr> {
        self.network(|network, _| network.peer_addr(fd))
    }

    pub(crate) fn take_error(&self, fd: RawFd) -> io::Result<Option<io::Error>> {
        self.network(|network, _| network.take_error(fd))
    }

    pub(crate) fn is_listener(&self, fd: RawFd) -> io::Result<bool> {
        self.network(|network, _| network.is_listener(fd))
    }

    pub(crate) fn shutdown(&self, fd: RawFd, how: Shutdown) -> io::Result<()> {
        self.network(|network, around| network.shutdown(around, fd, how))
    }

    pub(crate) fn send(
        &self,
        fd: RawFd,
        bufs: &[IoSlice<'_>],
        to: Option<&SockAddr>,
    ) -> io::Result<usize> {
        self.network(|network, around| network.send(around, fd, bufs, to))
    }

    pub(crate) fn receive(
        &self,
        fd: RawFd,
        bufs: &mut [IoSliceMut<'_>],
        flags: c_int,
    ) -> io::Result<(usize, c_int, SockAddr)> {
        self.network(|network, around| network.receive(around, fd, bufs, flags))
    }
}
