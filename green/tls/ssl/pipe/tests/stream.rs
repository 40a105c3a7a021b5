//! Bytes across the pipe: any pieces, any order of calls, bounded buffers, and not a byte lost.

use proptest::prelude::*;

use super::*;
use crate::ssl::record::{self, INCOMING_CAPACITY};

#[test]
fn ciphertext_may_come_byte_by_byte_with_writes_in_between() {
    for setup in SETUPS {
        let mut pair = Pair::of(setup);
        let mut shaken = [false; 2];
        while shaken != [true; 2] {
            let Pair { client, server } = &mut pair;
            for (index, (from, to)) in [(client, server)].into_iter().enumerate() {
                shaken[index] = step_by_byte(from, to);
                shaken[1 - index] = step_by_byte(to, from);
            }
        }
        let mut sent = Vec::new();
        let mut read = Vec::new();
        for round in 0..40_u8 {
            write(&mut pair.server, &[round; 33]);
            sent.extend([round; 33]);
            for byte in drain(&mut pair.server) {
                assert_eq!(pair.client.feed(&[byte]), 1);
                read.extend(read_all(&mut pair.client));
                write(&mut pair.client, b"meanwhile");
            }
            let bytes = drain(&mut pair.client);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                rest = &rest[pair.server.feed(rest)..];
                let got = read_all(&mut pair.server);
                assert!(got.chunks(9).all(|part| part == b"meanwhile"), "{setup:?}");
            }
        }
        assert_eq!(read, sent, "{setup:?}");
    }
}

/// Lets `to` have what `from` has to say, one byte at a time. Whether `to` is done.
fn step_by_byte(from: &mut SslPipe, to: &mut SslPipe) -> bool {
    let _ = from.handshake().unwrap();
    let mut done = to.is_handshaken();
    for byte in drain(from) {
        assert_eq!(to.feed(&[byte]), 1);
        done = to.handshake().unwrap() == Progress::Done(());
        if done {
            // Session tickets are read like data.
            assert_eq!(to.read(&mut [0; 1]).unwrap(), Progress::WantRead);
        }
    }
    done
}

#[test]
fn a_large_write_leaves_as_three_records_in_one_send_that_fits_a_segment() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let data: Vec<u8> = (0..200_000_u32).map(|i| (i * 7) as u8).collect();
        assert_eq!(
            pair.client.write(&data).unwrap(),
            Progress::Done(3 * record::PLAINTEXT),
            "{setup:?}"
        );
        assert_eq!(
            pair.client.write(&data).unwrap(),
            Progress::WantWrite,
            "{setup:?}"
        );
        assert!(pair.client.outgoing() <= OUTGOING_MARK, "{setup:?}");
        let waiting = pair.client.outgoing();
        let mut once = Vec::new();
        assert_eq!(
            pair.client.drain_to(&mut once).unwrap(),
            waiting,
            "{setup:?}"
        );
        let records = once.chunks(once.len() / 3);
        assert!(records.map(|record| record[0]).eq([23; 3]), "{setup:?}");
        // As much as TCP sends at once by the loopback interface.
        assert!(once.len() <= 65_483, "{setup:?}");
        assert_eq!(pair.client.drain_to(&mut once).unwrap(), 0, "{setup:?}");
    }
}

/// A sink that takes little at a time.
struct Narrow<'a>(&'a mut Vec<u8>, usize);

impl Write for Narrow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.1);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_narrow_sink_gets_every_byte_in_order_while_writes_go_on() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let data: Vec<u8> = (0..300_000_u32).map(|i| (i / 3) as u8).collect();
        let before = pair.client.produced();
        assert_eq!(before, pair.client.drained());
        let mut written = 0;
        let mut wire = Vec::new();
        while written < data.len() {
            match pair
                .client
                .write(&data[written..(written + 5_000).min(data.len())])
                .unwrap()
            {
                Progress::Done(count) => written += count,
                wanted => assert_eq!(wanted, Progress::WantWrite, "{setup:?}"),
            }
            pair.client.drain_to(&mut Narrow(&mut wire, 1_777)).unwrap();
            assert_eq!(pair.client.drained() - before, wire.len() as u64);
            assert_eq!(
                pair.client.produced() - pair.client.drained(),
                pair.client.outgoing() as u64
            );
        }
        wire.extend(drain(&mut pair.client));
        assert_eq!(pair.client.drained(), pair.client.produced());
        let mut read = Vec::new();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            rest = &rest[pair.server.feed(rest)..];
            read.extend(read_all(&mut pair.server));
        }
        assert!(read == data, "{setup:?}: bytes differ");
    }
}

#[test]
fn four_records_arrive_at_once_and_a_part_of_one_holds_no_buffer() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        write(&mut pair.client, &[7; 3 * record::PLAINTEXT]);
        let mut wire = drain(&mut pair.client);
        write(&mut pair.client, &[7; record::PLAINTEXT]);
        wire.extend(drain(&mut pair.client));
        let (first, last) = wire.split_at(wire.len() - 100);
        assert_eq!(pair.server.feed(first), first.len(), "{setup:?}");
        let mut read = read_all(&mut pair.server);
        assert_eq!(read.len(), 3 * record::PLAINTEXT);
        assert_eq!(pair.server.bio.wire().incoming.capacity(), 0, "{setup:?}");
        assert_eq!(pair.server.feed(last), last.len());
        read.extend(read_all(&mut pair.server));
        assert_eq!(read, [7; 4 * record::PLAINTEXT], "{setup:?}");
    }
}

#[test]
fn incoming_is_bounded_and_refuses_the_rest() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let mut wire = Vec::new();
        for _ in 0..3 {
            write(&mut pair.client, &[9; 40_000]);
            wire.extend(drain(&mut pair.client));
        }
        let before = pair.server.fed();
        assert_eq!(pair.server.room(), INCOMING_CAPACITY);
        assert_eq!(pair.server.feed(&wire), INCOMING_CAPACITY);
        assert_eq!(pair.server.fed() - before, INCOMING_CAPACITY as u64);
        assert_eq!(pair.server.feed(&wire[INCOMING_CAPACITY..]), 0);
        assert_eq!(pair.server.room(), 0);
        // A source is not even asked.
        assert_eq!(pair.server.feed_from(&mut Panicking).unwrap(), 0);
        let mut source = &wire[INCOMING_CAPACITY..];
        let mut read = read_all(&mut pair.server);
        while !source.is_empty() {
            let count = pair.server.feed_from(&mut source).unwrap();
            assert!((1..=INCOMING_CAPACITY).contains(&count));
            read.extend(read_all(&mut pair.server));
        }
        assert_eq!(read, [9; 120_000], "{setup:?}");
        // The end of a source is its end.
        assert_eq!(pair.server.feed_from(&mut source).unwrap(), 0);
        assert_eq!(
            error_of(pair.server.read(&mut [0; 8])).kind(),
            ErrorKind::UnexpectedEof
        );
    }
}

struct Panicking;

impl Read for Panicking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("there is no room, yet the source was read")
    }
}

#[test]
fn bytes_decrypted_at_once_are_read_one_at_a_time() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let data: Vec<u8> = (0..10_000_u32).map(|i| i as u8).collect();
        write(&mut pair.client, &data);
        carry(&mut pair.client, &mut pair.server);
        for (index, expected) in data.iter().enumerate() {
            let mut byte = [0];
            assert_eq!(
                pair.server.read(&mut byte).unwrap(),
                Progress::Done(1),
                "{setup:?}"
            );
            assert_eq!(byte[0], *expected);
            assert_eq!(pair.server.pending(), data.len() - 1 - index, "{setup:?}");
        }
        assert_eq!(pair.server.read(&mut [0]).unwrap(), Progress::WantRead);
    }
}

#[test]
fn nothing_to_read_into_and_nothing_to_write_do_nothing() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        assert_eq!(pair.client.read(&mut []).unwrap(), Progress::Done(0));
        assert_eq!(pair.client.write(&[]).unwrap(), Progress::Done(0));
        assert_eq!(pair.client.outgoing(), 0);
        assert!(!pair.client.peer_closed_cleanly());
    }
}

/// One step of a random walk; the numbers are sizes.
#[derive(Clone, Debug)]
enum Step {
    Write { by_client: bool, size: usize },
    Carry { from_client: bool, size: usize },
    Read { by_client: bool, size: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1..4_usize, 1..300_usize, 1..20_000_usize, Just(100_000)];
    (0..3, any::<bool>(), size).prop_map(|(kind, client, size)| match kind {
        0 => Step::Write {
            by_client: client,
            size,
        },
        1 => Step::Carry {
            from_client: client,
            size,
        },
        _ => Step::Read {
            by_client: client,
            size,
        },
    })
}

/// An end with what it has sent and received so far.
struct End {
    pipe: SslPipe,
    sent: usize,
    received: usize,
    /// On its way to the other end.
    wire: Vec<u8>,
}

/// The byte at a place in everybody's stream.
fn byte_at(place: usize) -> u8 {
    (place ^ (place >> 8)) as u8
}

impl End {
    fn new(pipe: SslPipe) -> Self {
        Self {
            pipe,
            sent: 0,
            received: 0,
            wire: Vec::new(),
        }
    }

    fn write(&mut self, size: usize) {
        let bytes: Vec<u8> = (self.sent..self.sent + size).map(byte_at).collect();
        match self.pipe.write(&bytes) {
            Ok(Progress::Done(count)) => self.sent += count,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotConnected),
        }
        assert!(self.pipe.outgoing() <= OUTGOING_LIMIT + 2 * INCOMING_CAPACITY);
    }

    fn carry_to(&mut self, other: &mut Self, size: usize) {
        if self.wire.is_empty() {
            self.pipe.drain_to(&mut self.wire).unwrap();
        }
        let fed = other.pipe.feed(&self.wire[..size.min(self.wire.len())]);
        self.wire.drain(..fed);
    }

    /// Shakes hands or reads. Whether there was anything to do.
    fn read(&mut self, size: usize) -> bool {
        if !self.pipe.is_handshaken() {
            return self.pipe.handshake().unwrap() == Progress::Done(());
        }
        let mut bytes = vec![0; size];
        match self.pipe.read(&mut bytes).unwrap() {
            Progress::Done(count) => {
                assert!(count > 0, "an end from nowhere");
                for byte in &bytes[..count] {
                    assert_eq!(*byte, byte_at(self.received));
                    self.received += 1;
                }
                true
            }
            Progress::WantRead => false,
            Progress::WantWrite => panic!("nothing here fills outgoing by reading"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_small_steps_carries_every_byte(setup in 0..SETUPS.len(), steps in prop::collection::vec(step(), 1..400)) {
        let Pair { client, server } = Pair::of(SETUPS[setup]);
        let (mut client, mut server) = (End::new(client), End::new(server));
        for step in steps {
            match step {
                Step::Write { by_client: true, size } => client.write(size),
                Step::Write { by_client: false, size } => server.write(size),
                Step::Carry { from_client: true, size } => client.carry_to(&mut server, size),
                Step::Carry { from_client: false, size } => server.carry_to(&mut client, size),
                Step::Read { by_client: true, size } => { client.read(size); }
                Step::Read { by_client: false, size } => { server.read(size); }
            }
        }
        // Whatever the steps left undone, the rest goes through.
        for _ in 0..1_000 {
            client.carry_to(&mut server, usize::MAX);
            server.carry_to(&mut client, usize::MAX);
            while client.read(50_000) {}
            while server.read(50_000) {}
        }
        prop_assert_eq!((client.sent, server.sent), (server.received, client.received));
        prop_assert!(client.pipe.is_handshaken() && server.pipe.is_handshaken());
    }
}
