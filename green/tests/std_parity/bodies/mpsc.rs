//! `sync::mpsc`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::lib::sync::mpsc::{
    IntoIter, Iter, Receiver, RecvError, RecvTimeoutError, SendError, Sender, SyncSender, TryIter,
    TryRecvError, TrySendError, channel, sync_channel,
};
use super::lib::thread;
use super::support::{LONG, SHORT};
use crate::harness::Transcript;

parity! {
    topic: mpsc,
    items: [
        "channel", "sync_channel", "Sender::send", "impl Clone for Sender",
        "impl Debug for Sender", "SyncSender::send", "SyncSender::try_send",
        "impl Clone for SyncSender", "impl Debug for SyncSender", "Receiver::recv",
        "Receiver::try_recv", "Receiver::recv_timeout", "Receiver::iter", "Receiver::try_iter",
        "impl IntoIterator for Receiver", "impl IntoIterator for &Receiver",
        "impl Debug for Receiver", "Iter", "TryIter", "IntoIter", "RecvError", "SendError",
        "TryRecvError", "TrySendError", "RecvTimeoutError",
    ],
    differs: [],
    bodies: {
        traits: [],
        re_exports: ["RecvError", "SendError", "TryRecvError", "TrySendError",
            "RecvTimeoutError"],
        sends_and_receives: ["channel", "Sender::send", "Receiver::recv", "Receiver::try_recv",
            "Receiver::recv_timeout", "impl Clone for Sender"],
        the_receiver_is_gone: ["Sender::send", "SyncSender::send", "SyncSender::try_send"],
        bounds: ["sync_channel", "SyncSender::send", "SyncSender::try_send",
            "impl Clone for SyncSender"],
        rendezvous: ["sync_channel", "SyncSender::send", "SyncSender::try_send"],
        times_out: ["Receiver::recv_timeout"],
        iterates: ["Receiver::iter", "Receiver::try_iter", "impl IntoIterator for Receiver",
            "impl IntoIterator for &Receiver", "Iter", "TryIter", "IntoIter"],
        a_waiting_receiver_is_told_of_the_end: ["Receiver::recv"],
        a_waiting_sender_is_told_of_the_end: ["SyncSender::send"],
        values_are_dropped: ["channel", "sync_channel"],
        many_senders: ["Sender::send", "SyncSender::send", "Receiver::iter"],
        shown: ["impl Debug for Sender", "impl Debug for SyncSender", "impl Debug for Receiver",
            "Iter", "TryIter", "IntoIter"],
    },
}

pub fn traits(t: &mut Transcript) {
    trait_table!(t, [
        Sender<u8>, Sender<Cell<u8>>, Sender<Rc<u8>>,
        SyncSender<u8>, SyncSender<Cell<u8>>, SyncSender<Rc<u8>>,
        Receiver<u8>, Receiver<Cell<u8>>, Receiver<Rc<u8>>,
        Iter<'static, u8>, TryIter<'static, u8>, IntoIter<u8>, IntoIter<Rc<u8>>,
    ]);
}

/// Compiles only if these are std's own types.
pub fn re_exports(t: &mut Transcript) {
    let _: std::sync::mpsc::RecvError = RecvError;
    let _: std::sync::mpsc::SendError<u8> = SendError(1);
    let _: std::sync::mpsc::TryRecvError = TryRecvError::Empty;
    let _: std::sync::mpsc::TrySendError<u8> = TrySendError::Full(1);
    let _: std::sync::mpsc::RecvTimeoutError = RecvTimeoutError::Timeout;
    t.see("compiles", true);
}

pub fn sends_and_receives(t: &mut Transcript) {
    let (sender, receiver) = channel();
    let other = sender.clone();
    t.see("empty", receiver.try_recv());
    for value in 0..3 {
        t.see("send", sender.send(value));
    }
    drop(sender);
    t.see("recv", receiver.recv());
    t.see("try_recv", receiver.try_recv());
    t.see("recv_timeout", receiver.recv_timeout(Duration::ZERO));
    t.see("empty", receiver.try_recv());
    other.send(9).unwrap();
    drop(other);
    t.see("last", receiver.recv());
    t.see("recv", receiver.recv());
    t.see("try_recv", receiver.try_recv());
    t.see("recv_timeout", receiver.recv_timeout(LONG));
}

pub fn the_receiver_is_gone(t: &mut Transcript) {
    let (sender, receiver) = channel();
    drop(receiver);
    t.see("send", sender.send(1));
    for bound in [0, 1] {
        let (sender, receiver) = sync_channel(bound);
        drop(receiver);
        t.see("send", sender.send(1));
        t.see("try_send", sender.try_send(2));
    }
}

pub fn bounds(t: &mut Transcript) {
    let (sender, receiver) = sync_channel(2);
    t.see("try_send", [1, 2, 3].map(|value| sender.try_send(value)));
    t.see("recv", receiver.recv());
    t.see("try_send", sender.clone().try_send(4));
    let waiting = thread::spawn(move || sender.send(5));
    t.see("all", receiver.iter().collect::<Vec<_>>());
    t.see("sent", waiting.join().unwrap());
}

pub fn rendezvous(t: &mut Transcript) {
    let (sender, receiver) = sync_channel(0);
    t.see("nobody there", sender.try_send(1));
    let taking = thread::spawn(move || (receiver.recv(), receiver.recv()));
    t.see("send", sender.send(2));
    t.see("send", sender.send(3));
    t.see("taken", taking.join().unwrap());
    let (sender, receiver) = sync_channel(0);
    let giving = thread::spawn(move || sender.send(4));
    t.see("recv", receiver.recv());
    t.see("given", giving.join().unwrap());
    t.see("after", receiver.try_recv());
}

pub fn times_out(t: &mut Transcript) {
    let (sender, receiver) = channel();
    let start = Instant::now();
    t.see("nothing", receiver.recv_timeout(SHORT));
    t.see("not too early", start.elapsed() >= SHORT);
    t.see("zero", receiver.recv_timeout(Duration::ZERO));
    let sending = thread::spawn(move || {
        thread::sleep(SHORT);
        sender.send(1)
    });
    t.see("in time", receiver.recv_timeout(LONG));
    sending.join().unwrap().unwrap();
    let (sender, receiver) = channel();
    sender.send(2).unwrap();
    t.see("for ever", receiver.recv_timeout(Duration::MAX));
}

pub fn iterates(t: &mut Transcript) {
    let (sender, receiver) = channel();
    for value in 0..6 {
        sender.send(value).unwrap();
    }
    let some: TryIter<'_, i32> = receiver.try_iter();
    t.see("some", some.take(2).collect::<Vec<_>>());
    let mut each: Iter<'_, i32> = receiver.iter();
    t.see("next", each.next());
    t.see("by reference", IntoIterator::into_iter(&receiver).next());
    t.see("rest so far", receiver.try_iter().collect::<Vec<_>>());
    sender.send(7).unwrap();
    drop(sender);
    let owned: IntoIter<i32> = receiver.into_iter();
    t.see("owned", owned.collect::<Vec<_>>());
}

pub fn a_waiting_receiver_is_told_of_the_end(t: &mut Transcript) {
    let (sender, receiver) = channel::<u8>();
    let waiting = thread::spawn(move || receiver.recv());
    thread::sleep(SHORT);
    drop(sender);
    t.see("recv", waiting.join().unwrap());
}

pub fn a_waiting_sender_is_told_of_the_end(t: &mut Transcript) {
    for bound in [0, 1] {
        let (sender, receiver) = sync_channel(bound);
        while sender.try_send("in").is_ok() {}
        let waiting = thread::spawn(move || sender.send("out"));
        thread::sleep(SHORT);
        drop(receiver);
        t.see("send", waiting.join().unwrap());
    }
}

pub fn values_are_dropped(t: &mut Transcript) {
    struct Counts(Rc<Cell<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let (sender, receiver) = channel();
    for _ in 0..3 {
        assert!(sender.send(Counts(Rc::clone(&dropped))).is_ok());
    }
    drop(receiver.recv());
    t.see("received", dropped.get());
    drop(receiver);
    t.see("with the receiver", dropped.get());
    drop(sender.send(Counts(Rc::clone(&dropped))));
    t.see("given back", dropped.get());
    let (sender, receiver) = sync_channel(4);
    assert!(sender.send(Counts(Rc::clone(&dropped))).is_ok());
    drop(sender);
    t.see("buffered", dropped.get());
    drop(receiver);
    t.see("with the channel", dropped.get());
}

pub fn many_senders(t: &mut Transcript) {
    let (sender, receiver) = channel();
    let (sync_sender, sync_receiver) = sync_channel(3);
    for _ in 0..4 {
        let (sender, sync_sender): (Sender<u32>, SyncSender<u32>) =
            (sender.clone(), sync_sender.clone());
        thread::spawn(move || {
            for value in 0..100 {
                sender.send(value).unwrap();
                sync_sender.send(value).unwrap();
            }
        });
    }
    drop((sender, sync_sender));
    let sums = thread::spawn(move || sync_receiver.iter().sum::<u32>());
    t.see("sum", receiver.iter().sum::<u32>());
    t.see("sum", sums.join().unwrap());
}

pub fn shown(t: &mut Transcript) {
    let (sender, receiver): (Sender<u8>, Receiver<u8>) = channel();
    let (sync_sender, _receiver) = sync_channel::<u8>(1);
    t.see("ends", format!("{sender:?} {sync_sender:?} {receiver:?}"));
    t.see("iter", format!("{:?}", receiver.iter()));
    t.see("try_iter", format!("{:?}", receiver.try_iter()));
    t.see("into_iter", format!("{:?}", receiver.into_iter()));
}
