use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    thread,
    time::{Duration, Instant},
};

use super::{
    Receiver, RecvError, RecvTimeoutError, SendError, Sender, SyncSender, TryRecvError,
    TrySendError, channel, sync_channel,
};

#[test]
fn delivers_in_order_and_then_disconnects() {
    let (sender, receiver) = channel();
    for number in 0..3 {
        sender.clone().send(number).unwrap();
    }
    drop(sender);
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(2));
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(
        receiver.recv_timeout(Duration::from_secs(9)),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn sending_to_nobody_gives_the_value_back() {
    let (sender, receiver) = channel();
    drop(receiver);
    assert_eq!(sender.send(1), Err(SendError(1)));
    let (sender, receiver) = sync_channel(0);
    drop(receiver);
    assert_eq!(sender.send(1), Err(SendError(1)));
    assert_eq!(sender.try_send(1), Err(TrySendError::Disconnected(1)));
}

#[test]
fn a_sender_stops_at_the_bound_and_goes_on_after_a_receive() {
    let (sender, receiver) = sync_channel(2);
    let thread = thread::spawn(move || {
        for number in 0..6 {
            sender.send(number).unwrap();
        }
        sender
    });
    assert_eq!(
        receiver.iter().take(6).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
    let sender = thread.join().unwrap();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_rendezvous_needs_both_sides() {
    let (sender, receiver) = sync_channel(0);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    let thread = thread::spawn(move || sender.send(2));
    assert_eq!(receiver.recv(), Ok(2));
    thread.join().unwrap().unwrap();
}

#[test]
fn a_receive_with_a_limit_ends_not_before_it() {
    let (_sender, receiver) = channel::<()>();
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= limit);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn iterates_by_reference_and_by_value() {
    let (sender, receiver) = channel();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    drop(sender);
    assert_eq!((&receiver).into_iter().next(), Some(1));
    assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_waiting_receiver_learns_that_the_last_sender_is_gone() {
    let (sender, receiver) = channel::<()>();
    let thread = thread::spawn(move || receiver.recv());
    thread::sleep(Duration::from_millis(5));
    drop(sender);
    assert_eq!(thread.join().unwrap(), Err(RecvError));
}

#[test]
fn shows_itself_as_std_does_and_has_its_auto_traits() {
    fn shared<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn owned<T: Send + UnwindSafe + RefUnwindSafe>() {}
    shared::<Sender<i32>>();
    shared::<SyncSender<i32>>();
    owned::<Receiver<i32>>();
    let (sender, receiver) = channel::<()>();
    let (sync_sender, _) = sync_channel::<()>(0);
    assert_eq!(
        format!("{sender:?} {sync_sender:?} {receiver:?}"),
        "Sender { .. } SyncSender { .. } Receiver { .. }"
    );
}
