//! Programs of several machines, and cuts of the network between them.

use std::fmt;
use std::net::IpAddr;

use crate::world::{self, World};

fn world_here() -> &'static World {
    world::here().expect("machines and partitions are for simulations: see green::sim")
}

/// Calls `f` as on the machine with this address, inside a simulation.
///
/// What `f` opens, and all green threads that it starts, is on that machine: connections come from its address, the
/// unspecified address (`0.0.0.0`) stands for it, `127.0.0.1` and the paths of Unix sockets are its own, and another address
/// cannot be bound to. A program that is never on such a machine is on one that has every other address.
///
/// For a machine with a name, [`look_up`](crate::sim::look_up) tells the address.
///
/// ```
/// use green::net::{TcpListener, TcpStream};
/// use green::{sim, thread};
///
/// sim::run(1, || {
///     let server = "10.0.0.1".parse().unwrap();
///     let client = "10.0.0.2".parse().unwrap();
///     let listener = sim::on_machine(server, || TcpListener::bind("0.0.0.0:80")).unwrap();
///     let asking = sim::on_machine(client, || thread::spawn(|| TcpStream::connect("10.0.0.1:80")));
///     assert_eq!(listener.accept().unwrap().1.ip(), client);
///     asking.join().unwrap().unwrap();
/// });
/// ```
///
/// # Panics
///
/// Outside a simulation; with the panic of `f`.
pub fn on_machine<R>(address: IpAddr, f: impl FnOnce() -> R) -> R {
    struct Back(&'static World, Option<IpAddr>);
    impl Drop for Back {
        fn drop(&mut self) {
            self.0.move_to(self.1);
        }
    }

    let world = world_here();
    let _back = Back(world, world.move_to(Some(address.to_canonical())));
    f()
}

/// Cuts the network between two groups of machines, until the returned value is dropped.
///
/// Nobody is told. What goes from one group to the other meets with this:
///
/// - An attempt at a connection is repeated after a second, two, four and so on, and ends with `TimedOut` after two minutes.
/// - What a stream has under way waits and stays in order. Calls wait for what does not come, as long as their own limits let them.
///   The connection itself ends with `TimedOut` where the system's limits say so, those of `TCP_USER_TIMEOUT` (by default a
///   quarter of an hour) and keep-alive. Then the other end does not hear of it: a reader there waits for ever, unless it has
///   a limit too. Nor does it hear of a reset, nor of an end if the network heals only long after.
/// - Datagrams are lost.
///
/// Once the network has healed, streams go on: not at once but, as in the system, after up to as long again as they were
/// held up, at most two minutes.
///
/// [`Faults::partition`](crate::sim::Faults::partition) makes such cuts at random.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::net::{TcpListener, TcpStream};
/// use green::sim::{on_machine, partition, run};
/// use green::thread::{sleep, spawn};
///
/// run(1, || {
///     let (server, client) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
///     let listener = on_machine(server, || TcpListener::bind("10.0.0.1:7")).unwrap();
///     let mut ours = on_machine(client, || TcpStream::connect("10.0.0.1:7")).unwrap();
///     let (mut theirs, _) = listener.accept().unwrap();
///
///     let cut = partition([client], [server]);
///     ours.write_all(b"hello").unwrap();
///     theirs.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
///     let error = theirs.read(&mut [0; 5]).unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
///     cut.heal();
///     let mut text = [0; 5];
///     theirs.read_exact(&mut text).unwrap();
///     assert_eq!(&text, b"hello");
/// });
/// ```
///
/// # Panics
///
/// Outside a simulation.
pub fn partition(
    one: impl IntoIterator<Item = IpAddr>,
    other: impl IntoIterator<Item = IpAddr>,
) -> Partition {
    let world = world_here();
    let groups = [one.into_iter().collect(), other.into_iter().collect()];
    Partition {
        cut: world.cut(groups),
        simulation: world.number(),
    }
}

/// The network is cut as long as this lives: see [`partition`]. If several cuts are between two machines, all must heal. One that is
/// forgotten (`mem::forget`) never heals.
#[must_use = "the network heals when it is dropped"]
pub struct Partition {
    cut: u64,
    /// None if its main thread was over.
    simulation: Option<u64>,
}

impl Partition {
    /// The network is whole again between these groups. To drop it does the same.
    ///
    /// ```
    /// green::sim::run(1, || {
    ///     let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    ///     let cut = green::sim::partition([one], [other]);
    ///     green::thread::sleep(std::time::Duration::from_secs(60));
    ///     cut.heal();
    /// });
    /// ```
    pub fn heal(self) {}
}

impl Drop for Partition {
    fn drop(&mut self) {
        // One that was kept in a static may come to another simulation.
        if let Some(world) = world::here()
            && self.simulation.is_some()
            && world.number() == self.simulation
        {
            world.heal(self.cut);
        }
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition").finish_non_exhaustive()
    }
}
