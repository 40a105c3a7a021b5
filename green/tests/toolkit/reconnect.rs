//! `green::reconnect` against a peer that vanishes without a word, and the example of that name.

// The network of two machines that the example makes for itself.
#[path = "../../examples/reconnect/cable.rs"]
mod cable;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cable::{Cable, in_a_network_of_its_own};
use green::net::TcpStream;
use green::reconnect::{Presence, Reconnect};
use test_support::bounded;
use test_support::example_program::{ARE_BUILT, build};
use test_support::running::Running;

/// Set in the part of a test that runs in a network of its own.
const INSIDE: &str = "GREEN_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(120);

const PAUSE_MAX: Duration = Duration::from_millis(400);
/// Short enough that an attempt under way when the cable is back does not count for much.
const OPEN_LIMIT: Duration = Duration::from_millis(500);
/// "Within back-off and a second": of the latter an attempt that began too soon may take half.
const BACK_WITHIN: Duration = PAUSE_MAX.saturating_add(Duration::from_secs(1));

/// The longest wait that [`KERNEL`] leaves a peer that has vanished.
const NOTICED_WITHIN: Duration = Duration::from_secs(6);
const KERNEL: Presence = Presence {
    idle: Duration::from_secs(1),
    interval: Duration::from_secs(1),
    probes: 2,
    user_timeout: Some(Duration::from_secs(2)),
};

/// The example's server at the far end of a cable.
/// Serves in a network of its own.
fn far_server() -> Running {
    let mut command = in_a_network_of_its_own(&build("reconnect")).unwrap();
    let mut server = Running::start(command.args(["server", "0.0.0.0:7007"]));
    server.line("serving on");
    server
}

#[test]
fn resumes_within_back_off_and_a_second_after_a_peer_that_vanished() {
    if std::env::var_os(INSIDE).is_some() {
        return bounded("resumes within back off", PATIENCE, || {
            green::run(vanish_and_come_back)
        });
    }
    let own = match in_a_network_of_its_own(&std::env::current_exe().unwrap()) {
        Ok(command) => command,
        Err(refused) => return println!("skipped: no network of our own: {refused}"),
    };
    // Built out here, before anybody counts the seconds.
    build("reconnect");
    let test = "reconnect::resumes_within_back_off_and_a_second_after_a_peer_that_vanished";
    let mut inside = own;
    inside
        .args(["--exact", test, "--nocapture"])
        .env(ARE_BUILT, "1")
        .env(INSIDE, "1");
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{said}");
}

/// What waits when the peer vanishes, and what notices.
struct Cure {
    name: &'static str,
    use_limit: Option<Duration>,
    prepare: fn(&TcpStream) -> io::Result<()>,
    wait: fn(&mut TcpStream) -> io::Result<()>,
    noticed_within: Duration,
    kinds: &'static [ErrorKind],
}

/// The kernel tells why it got no answer, if it knows: here, that nobody answers to the address.
const BY_KERNEL: &[ErrorKind] = &[ErrorKind::TimedOut, ErrorKind::HostUnreachable];

const CURES: [Cure; 5] = [
    Cure {
        name: "a reader, by the limit of the use",
        use_limit: Some(Duration::from_secs(1)),
        prepare: |_| Ok(()),
        wait: read,
        noticed_within: NOTICED_WITHIN,
        kinds: &[ErrorKind::TimedOut],
    },
    Cure {
        name: "a reader, by its read timeout",
        use_limit: None,
        prepare: |stream| stream.set_read_timeout(Some(Duration::from_secs(1))),
        wait: read,
        noticed_within: NOTICED_WITHIN,
        kinds: &[ErrorKind::WouldBlock],
    },
    Cure {
        name: "an idle reader, by keepalive",
        use_limit: None,
        prepare: |stream| KERNEL.apply(stream),
        wait: read,
        noticed_within: NOTICED_WITHIN,
        kinds: BY_KERNEL,
    },
    Cure {
        name: "a writer in the midst of it, by TCP_USER_TIMEOUT",
        use_limit: None,
        prepare: |stream| KERNEL.apply(stream),
        wait: |stream| {
            loop {
                stream.as_green_socket().send_all(&[b'x'; 65536])?;
            }
        },
        noticed_within: NOTICED_WITHIN,
        kinds: BY_KERNEL,
    },
    Cure {
        name: "an idle reader, under SWIFT",
        use_limit: None,
        prepare: |stream| Presence::SWIFT.apply(stream),
        wait: read,
        noticed_within: Duration::from_secs(5),
        kinds: BY_KERNEL,
    },
];

fn read(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0])
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"well?\n")?;
    let mut answer = [0; 6];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"well?\n");
    Ok(())
}

fn vanish_and_come_back() {
    let server = far_server();
    let cable = Cable::lay(server.process.id(), "10.77.0.1/24", "10.77.0.2/24").unwrap();
    for cure in &CURES {
        // A busy machine may make one late; whoever does not come back in time never does.
        let in_time = (0..3).any(|_| vanish_under(cure, &cable));
        assert!(in_time, "{}: late three times", cure.name);
    }
}

/// Whether it was noticed, and the connection was back, in time.
fn vanish_under(cure: &Cure, cable: &Cable) -> bool {
    let address: SocketAddr = "10.77.0.2:7007".parse().unwrap();
    let failures = AtomicU32::new(0);
    let noticed = OnceLock::new();
    let mut server = Reconnect::new(|| {
        let stream = TcpStream::connect(address)?;
        (cure.prepare)(&stream)?;
        Ok(stream)
    })
    .open_limit(OPEN_LIMIT)
    .use_limit(cure.use_limit)
    .pauses(Duration::from_millis(50)..=PAUSE_MAX)
    .attempts(None)
    .total_limit(Duration::from_secs(60))
    .on_retry(|_, error, _| {
        noticed.get_or_init(|| (Instant::now(), error.kind()));
        failures.fetch_add(1, SeqCst);
    });
    server.run(ask).unwrap();
    cable.pull().unwrap();
    let pulled = Instant::now();
    let (repaired, back) = std::thread::scope(|scope| {
        let repair = scope.spawn(|| {
            while failures.load(SeqCst) < 4 {
                std::thread::sleep(Duration::from_millis(10));
            }
            cable.plug().unwrap();
            Instant::now()
        });
        let result = server.run(|stream| match failures.load(SeqCst) {
            0 => (cure.wait)(stream),
            _ => ask(stream),
        });
        let back = Instant::now();
        result.unwrap();
        (repair.join().unwrap(), back)
    });
    let &(noticed, kind) = noticed.get().unwrap();
    let (noticed, back) = (noticed - pulled, back.saturating_duration_since(repaired));
    println!(
        "{}: {kind:?} after {noticed:.1?}, back {back:.1?} after the repair",
        cure.name
    );
    assert!(cure.kinds.contains(&kind), "{}: {kind:?}", cure.name);
    noticed < cure.noticed_within && back < BACK_WITHIN
}

#[test]
fn the_example_survives_everything_that_happens_to_its_server() {
    let program = build("reconnect");
    let output = bounded("reconnect", PATIENCE, || {
        Command::new(program).output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let outages = said.matches("served again").count();
    match said.lines().find(|line| line.starts_with("skipped: ")) {
        Some(line) => {
            println!("{line}");
            assert_eq!(outages, 3, "{said}");
        }
        None => assert_eq!(outages, 4, "{said}"),
    }
    assert!(
        said.contains("Connection refused") && said.contains("Connection reset"),
        "{said}"
    );
    assert!(said.contains("the use took longer than"), "{said}");
    let wrong = Command::new(build("reconnect"))
        .arg("bogus")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
