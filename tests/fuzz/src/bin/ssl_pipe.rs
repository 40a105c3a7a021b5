//! One `SslPipe`, in either role: any bytes from the peer, and its calls in any order.
#![no_main]

use arbitrary::Arbitrary;
use green_fuzz::checked_pipe::{Failure, Setup};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    is_server: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Handshake,
    Feed(&'a [u8]),
    FeedFrom(&'a [u8]),
    FailToFeed(Failure),
    Eof,
    Error(Failure),
    Drain(u16),
    FailToDrain(Failure),
    Read(u16),
    Write(u16),
    Shutdown,
    Ask,
    TakeUnread,
}

fuzz_target!(|input: Input| {
    let (client, server) = input.setup.pipes();
    let mut pipe = if input.is_server { server } else { client };
    for step in input.steps.iter().take(100) {
        match *step {
            Step::Handshake => pipe.handshake(),
            Step::Feed(bytes) => drop(pipe.feed(bytes)),
            Step::FeedFrom(bytes) => drop(pipe.feed_from(bytes, None)),
            Step::FailToFeed(failure) => drop(pipe.feed_from(&[], Some(failure))),
            Step::Eof => pipe.feed_eof(),
            Step::Error(failure) => pipe.feed_error(failure),
            Step::Drain(most) => drop(pipe.drain(most.into())),
            Step::FailToDrain(failure) => pipe.drain_failing(failure),
            Step::Read(room) => assert!(pipe.read(room.into()).is_empty(), "without a key"),
            Step::Write(len) => assert_eq!(pipe.write(&vec![7; len.into()]), 0),
            Step::Shutdown => pipe.shutdown(),
            Step::Ask => pipe.ask(),
            Step::TakeUnread => drop(pipe.take_unread()),
        }
    }
    // The transport's end ends everything.
    pipe.feed_eof();
    pipe.handshake();
    assert!(!pipe.is_handshaken());
    assert!(pipe.reading.is_some());
});
