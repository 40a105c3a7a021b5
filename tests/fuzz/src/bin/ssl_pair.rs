//! Two `SslPipe`s face to face: what lies between them splits, drops, changes, repeats and adds bytes, and ends.
//!
//! What is read must be the beginning of what was written, whatever happens to the ciphertext; a clean end comes behind
//! all of it only; and where the ciphertext was left as it is, everything arrives.
#![no_main]

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use green_fuzz::checked_pipe::{CheckedPipe, Ended, Failure, Setup};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    /// Begins behind the handshake.
    is_wrapped: bool,
    steps: Vec<(bool, Step<'a>)>,
}

/// At one of the two ends.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Handshake,
    Read(u16),
    Write(u16),
    Shutdown,
    Ask,
    TakeUnread,
    /// What it has to send goes on the way.
    Send(u16),
    /// What is on the way to it arrives.
    Arrive(u16),
    Settle,
    // What a transport does.
    FailToSend(Failure),
    FailToArrive(Failure),
    Eof,
    Error(Failure),
    // What an enemy does to the bytes on the way to it.
    Change(u16, u8),
    Drop(u16, u8),
    Repeat(u16, u8),
    Add(u16, &'a [u8]),
}

struct End {
    pipe: CheckedPipe,
    /// On the way to it.
    way: VecDeque<u8>,
    written: usize,
    read: usize,
    /// What comes, or what it sends, may not be what the other end meant.
    is_disturbed: bool,
}

/// The byte of a stream at a place, so that a byte in a wrong place is seen.
fn byte_at(side: usize, place: usize) -> u8 {
    (place as u8) ^ ((place >> 8) as u8).wrapping_mul(31) ^ (side as u8) << 7
}

struct Pair([End; 2]);

impl Pair {
    fn send(&mut self, from: usize, most: usize) -> bool {
        let sent = self.0[from].pipe.drain(most);
        self.0[1 - from].way.extend(&sent);
        !sent.is_empty()
    }

    fn arrive(&mut self, at: usize, most: usize) -> bool {
        let end = &mut self.0[at];
        let piece: Vec<u8> = end.way.iter().take(most).copied().collect();
        let taken = end.pipe.feed(&piece);
        end.way.drain(..taken);
        taken > 0
    }

    fn read(&mut self, at: usize, room: usize) -> bool {
        let [here, there] = self.0.get_disjoint_mut([at, 1 - at]).unwrap();
        let came = here.pipe.read(room);
        for (&byte, place) in came.iter().zip(here.read..) {
            assert_eq!(byte, byte_at(1 - at, place), "at {place}");
        }
        here.read += came.len();
        assert!(here.read <= there.written);
        if here.pipe.reading == Some(Ended::Cleanly) {
            assert!(there.pipe.is_shut);
            assert_eq!(here.read, there.written, "a clean end too early");
        }
        !came.is_empty()
    }

    fn settle(&mut self) {
        // Each turn carries something, and there is so much of it.
        for _ in 0..1000 {
            let mut moved = false;
            for at in [0, 1] {
                self.0[at].pipe.handshake();
                moved |= self.send(at, usize::MAX);
                moved |= self.arrive(at, usize::MAX);
                self.0[at].pipe.handshake();
                while self.read(at, 20_000) {
                    moved = true;
                }
                moved |= self.send(at, usize::MAX);
            }
            if !moved {
                return;
            }
        }
        panic!("they do not come to rest");
    }

    fn step(&mut self, at: usize, step: &Step) {
        let end = &mut self.0[at];
        let place = |place: u16| usize::from(place).min(end.way.len());
        match *step {
            Step::Handshake => end.pipe.handshake(),
            Step::Read(room) => drop(self.read(at, room.into())),
            Step::Write(len) => {
                let bytes: Vec<u8> = (end.written..)
                    .take(len.into())
                    .map(|p| byte_at(at, p))
                    .collect();
                end.written += end.pipe.write(&bytes);
            }
            Step::Shutdown => end.pipe.shutdown(),
            Step::Ask => end.pipe.ask(),
            Step::TakeUnread => drop(end.pipe.take_unread()),
            Step::Send(most) => drop(self.send(at, most.into())),
            Step::Arrive(most) => drop(self.arrive(at, most.into())),
            Step::Settle => self.settle(),
            Step::FailToSend(failure) => {
                end.is_disturbed |= failure.lasts();
                end.pipe.drain_failing(failure);
            }
            Step::FailToArrive(failure) => {
                end.is_disturbed |= failure.lasts();
                end.pipe.feed_from(&[], Some(failure));
            }
            Step::Eof => {
                end.is_disturbed = true;
                end.pipe.feed_eof();
            }
            Step::Error(failure) => {
                end.is_disturbed |= failure.lasts();
                end.pipe.feed_error(failure);
            }
            Step::Change(at, by) => {
                let at = place(at);
                if let Some(byte) = end.way.get_mut(at) {
                    *byte ^= by;
                    end.is_disturbed |= by != 0;
                }
            }
            Step::Drop(at, count) => {
                let at = place(at);
                let to = (at + usize::from(count)).min(end.way.len());
                end.is_disturbed |= end.way.drain(at..to).len() > 0;
            }
            Step::Repeat(at, count) => {
                let at = place(at);
                let again: Vec<u8> = end
                    .way
                    .iter()
                    .skip(at)
                    .take(count.into())
                    .copied()
                    .collect();
                end.is_disturbed |= !again.is_empty();
                end.way.extend(again);
            }
            Step::Add(at, bytes) => {
                let rest = end.way.split_off(place(at));
                end.is_disturbed |= !bytes.is_empty();
                end.way.extend(bytes);
                end.way.extend(rest);
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let (client, server) = input.setup.pipes();
    let mut pair = Pair([client, server].map(|pipe| End {
        pipe,
        way: VecDeque::new(),
        written: 0,
        read: 0,
        is_disturbed: false,
    }));
    if input.is_wrapped {
        pair.settle();
        assert!(pair.0.iter().all(|end| end.pipe.is_handshaken()));
    }
    for (is_server, step) in input.steps.iter().take(100) {
        pair.step(usize::from(*is_server), step);
    }
    pair.settle();
    if pair.0.iter().any(|end| end.is_disturbed) {
        return;
    }
    for at in [0, 1] {
        let [here, there] = pair.0.get_disjoint_mut([at, 1 - at]).unwrap();
        assert!(here.pipe.is_handshaken());
        assert_eq!(here.read, there.written, "what was written has not come");
        let ended = there.pipe.is_shut.then_some(Ended::Cleanly);
        assert_eq!(here.pipe.reading, ended);
    }
});
