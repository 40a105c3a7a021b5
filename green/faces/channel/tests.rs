use std::{
    cell::Cell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::*;
use greenhub::Deadline;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn delivers_in_order_whatever_the_capacity() {
    for capacity in [None, Some(0), Some(1), Some(3)] {
        let (sender, receiver) = channel(capacity);
        let thread = thread::spawn(move || {
            for number in 0..500 {
                sender.send(number).unwrap();
            }
        });
        assert!(receiver.iter().eq(0..500));
        thread.join().unwrap();
    }
}

#[test]
fn every_value_arrives_once_with_many_on_both_sides() {
    for capacity in [None, Some(0), Some(2)] {
        let (sender, receiver) = channel(capacity);
        let (report, reports) = unbounded();
        for first in 0..3 {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..400 {
                    sender.send(number * 3 + first).unwrap();
                }
            });
            let (receiver, report) = (receiver.clone(), report.clone());
            thread::spawn(move || report.send(receiver.iter().collect::<Vec<_>>()));
        }
        drop((sender, receiver, report));
        let mut all: Vec<_> = reports.iter().flatten().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1200));
    }
}

#[test]
fn tells_how_full_it_is() {
    let (sender, receiver) = bounded(2);
    assert!(sender.is_empty() && receiver.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert!(sender.is_full() && receiver.is_full());
    assert_eq!((sender.len(), receiver.len()), (2, 2));
    assert_eq!((sender.capacity(), receiver.capacity()), (Some(2), Some(2)));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    let (zero, never_full) = (bounded::<()>(0), unbounded::<()>());
    assert!(zero.0.is_empty() && zero.0.is_full());
    assert!(!never_full.0.is_full() && never_full.1.capacity().is_none());
    assert!(sender.same_channel(&sender.clone()));
    assert!(!receiver.same_channel(&bounded(2).1));
}

#[test]
fn a_send_with_a_limit_fails_in_time_and_leaves_nothing() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        for number in 0..capacity {
            sender.send(number).unwrap();
        }
        let start = Instant::now();
        assert_eq!(
            sender.send_timeout(9, SOON),
            Err(SendTimeoutError::Timeout(9))
        );
        assert!(start.elapsed() >= SOON);
        assert!(receiver.try_iter().eq(0..capacity));
        drop(receiver);
        assert_eq!(
            sender.send_deadline(9, Instant::now() + LONG),
            Err(SendTimeoutError::Disconnected(9))
        );
    }
}

#[test]
fn a_value_goes_past_a_receiver_that_timed_out() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        let early = receiver.clone();
        let early = thread::spawn(move || early.recv_timeout(SOON));
        assert_eq!(early.join().unwrap(), Err(RecvTimeoutError::Timeout));
        let late = thread::spawn(move || receiver.recv_timeout(LONG));
        sender.send(1).unwrap();
        assert_eq!(late.join().unwrap(), Ok(1));
    }
}

#[test]
fn a_waiting_sender_gets_its_value_back_when_the_receivers_go() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        let full: Vec<_> = std::iter::repeat_with(|| sender.try_send("in"))
            .take_while(Result::is_ok)
            .collect();
        assert_eq!(full.len(), capacity);
        let thread = thread::spawn(move || sender.send("out"));
        thread::sleep(Duration::from_millis(5));
        drop(receiver);
        assert_eq!(thread.join().unwrap(), Err(SendError("out")));
    }
}

#[test]
fn buffered_values_die_with_the_last_receiver() {
    let value = Rc::new(());
    let (sender, receiver) = unbounded();
    sender.send(Rc::clone(&value)).unwrap();
    drop(receiver);
    assert_eq!(Rc::strong_count(&value), 1);
    assert!(sender.send(Rc::clone(&value)).is_err());
}

#[test]
fn a_value_may_use_the_channel_when_it_is_dropped() {
    struct Talker(Sender<Talker>, Rc<Cell<u32>>);
    impl Drop for Talker {
        fn drop(&mut self) {
            assert!(self.0.is_empty());
            self.1.set(self.1.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let (sender, receiver) = unbounded();
    for _ in 0..2 {
        let talker = Talker(sender.clone(), Rc::clone(&dropped));
        assert!(sender.send(talker).is_ok());
    }
    drop(receiver);
    assert_eq!(dropped.get(), 2);
}

#[test]
fn after_delivers_once_and_not_too_early() {
    let start = Instant::now();
    assert_eq!(after(LONG).try_recv(), Err(TryRecvError::Empty));
    let timer = after(SOON);
    let due = timer.recv().unwrap();
    assert!(due >= start + SOON && due <= Instant::now());
    assert_eq!(timer.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    assert_eq!(timer.capacity(), Some(1));
    assert!(timer.same_channel(&timer.clone()) && !timer.same_channel(&after(SOON)));
    assert_eq!(
        after(Duration::MAX).recv_timeout(SOON),
        Err(RecvTimeoutError::Timeout)
    );
}

#[test]
fn ticks_do_not_pile_up() {
    let period = Duration::from_millis(100);
    let ticks = tick(period);
    thread::sleep(period * 4);
    let begun = Instant::now();
    let missed = ticks.recv().unwrap();
    let more = ticks.try_recv();
    // Unless this thread was away for a whole period.
    assert!(more == Err(TryRecvError::Empty) || begun.elapsed() >= period);
    let next = ticks.recv().unwrap();
    assert!(next > missed && next >= begun + period);
}

#[test]
fn ticks_keep_their_beat_for_one_who_asks_in_time() {
    let (period, early) = (Duration::from_secs(3600), Duration::from_millis(1));
    let due = Instant::now();
    let timer = Timer::new(Some(due), Some(period));
    // However long it took to come up.
    thread::sleep(early);
    assert_eq!(timer.take_for(due - early), Some(due));
    assert_eq!(timer.deadline(), Deadline::at(due + period));

    let timer = Timer::new(Some(due), Some(period));
    let late = due + early;
    assert_eq!(timer.take_for(late), Some(due));
    assert_eq!(timer.deadline(), Deadline::at(late + period));
}

#[test]
fn select_takes_what_is_ready() {
    let (sender, receiver) = unbounded();
    let (other, full) = bounded(1);
    other.send(0).unwrap();
    sender.send(5).unwrap();
    let got = select! {
        recv(receiver) -> value => value,
        send(other, 1) -> _ => unreachable!(),
        recv(never::<i32>()) -> _ => unreachable!(),
    };
    assert_eq!(got, Ok(5));
    assert_eq!(full.recv(), Ok(0));
    select! {
        recv(&receiver) -> _ => unreachable!(),
        send(other, 1) -> sent => sent.unwrap(),
    }
    assert_eq!(full.recv(), Ok(1));
    select! { default => () }
    select! {
        recv(receiver) -> _ => unreachable!(),
        default => {}
    }
}

#[test]
fn select_waits_with_and_without_a_limit() {
    let (sender, receiver) = unbounded::<u8>();
    let start = Instant::now();
    select! {
        recv(receiver) -> _ => unreachable!(),
        default(SOON) => assert!(start.elapsed() >= SOON),
    }
    let thread = thread::spawn(move || {
        thread::sleep(SOON);
        sender.send(3)
    });
    select! {
        recv(receiver) -> value => assert_eq!(value, Ok(3)),
        recv(after(LONG)) -> _ => panic!("too late"),
    }
    thread.join().unwrap().unwrap();
    select! {
        recv(receiver) -> value => assert_eq!(value, Err(RecvError)),
    }
    select! {
        recv(never::<u8>()) -> _ => unreachable!(),
        recv(after(SOON)) -> due => assert!(due.is_ok()),
    }
}

#[test]
fn select_is_fair_and_select_biased_is_not() {
    let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
    for (sender, _) in &channels {
        for _ in 0..600 {
            sender.send(()).unwrap();
        }
    }
    let [one, two, three] = [&channels[0].1, &channels[1].1, &channels[2].1];
    let mut chosen = HashMap::new();
    for _ in 0..600 {
        let number = select! {
            recv(one) -> _ => 1,
            recv(two) -> _ => 2,
            recv(three) -> _ => 3,
        };
        *chosen.entry(number).or_insert(0) += 1;
    }
    assert!(chosen.values().all(|count| *count > 120), "{chosen:?}");
    for _ in 0..100 {
        select_biased! {
            recv(one) -> value => value.unwrap(),
            recv(two) -> _ => unreachable!(),
        }
    }
}

#[test]
fn select_over_a_list_of_channels() {
    let channels: Vec<_> = (0..4).map(|_| bounded::<usize>(0)).collect();
    let mut select = Select::new_biased();
    for (_, receiver) in &channels {
        select.recv(receiver);
    }
    assert!(select.try_select().is_err());
    assert!(select.select_timeout(SOON).is_err());
    assert!(select.try_ready().is_err());
    assert!(select.ready_timeout(SOON).is_err());
    thread::scope(|scope| {
        scope.spawn(|| channels[2].0.send(7).unwrap());
        assert_eq!(select.ready(), 2);
        let operation = select.select();
        assert_eq!(operation.index(), 2);
        assert_eq!(operation.recv(&channels[2].1), Ok(7));
    });
    select.remove(2);
    thread::scope(|scope| {
        scope.spawn(|| channels[3].0.send(8).unwrap());
        let operation = select.select_timeout(LONG).unwrap();
        assert_eq!(operation.index(), 3);
        assert_eq!(operation.recv(&channels[3].1), Ok(8));
    });
}

#[test]
fn two_selects_meet_in_a_rendezvous() {
    let (sender, receiver) = bounded(0);
    let (stop, stopped) = bounded::<()>(0);
    let other = stopped.clone();
    let thread = thread::spawn(move || {
        for number in 0..300 {
            select! {
                send(sender, number) -> sent => sent.unwrap(),
                recv(other) -> _ => panic!("stopped"),
            }
        }
    });
    for number in 0..300 {
        match number % 3 {
            0 => assert_eq!(receiver.recv(), Ok(number)),
            1 => select! {
                recv(receiver) -> value => assert_eq!(value, Ok(number)),
                recv(stopped) -> _ => unreachable!(),
            },
            _ => loop {
                match receiver.try_recv() {
                    Ok(value) => break assert_eq!(value, number),
                    Err(error) => assert_eq!(error, TryRecvError::Empty),
                }
                thread::yield_now();
            },
        }
    }
    thread.join().unwrap();
    drop(stop);
}

#[test]
fn a_select_does_not_meet_itself() {
    let (sender, receiver) = bounded(0);
    select! {
        send(sender, 1) -> _ => unreachable!(),
        recv(receiver) -> _ => unreachable!(),
        default(SOON) => (),
    }
}

#[test]
fn an_operation_that_is_chosen_and_dropped_gives_back_what_it_was_granted() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut select = Select::new();
        select.recv(&receiver);
        drop(select.select());
    }));
    assert!(dropped.is_err());
    assert_eq!(receiver.try_recv(), Ok(1));
    let (sender, receiver) = bounded(1);
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut select = Select::new();
        select.send(&sender);
        drop(select.select());
    }));
    assert!(dropped.is_err());
    sender.try_send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

#[test]
fn a_receiver_bound_to_a_select_that_lets_go_waits_for_the_next() {
    let (sender, receiver) = bounded(0);
    let thread = thread::spawn(move || receiver.recv_timeout(LONG));
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut select = Select::new();
        select.send(&sender);
        drop(select.select());
    }));
    assert!(dropped.is_err());
    sender.send(3).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(3));
}

#[test]
fn a_send_chosen_by_select_keeps_its_place() {
    let (sender, receiver) = bounded(1);
    let mut select = Select::new();
    select.send(&sender);
    let operation = select.select();
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    operation.send(&sender, 1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    let receiver = Arc::new(receiver);
    let other = Arc::clone(&receiver);
    let thread = thread::spawn(move || other.recv_timeout(LONG));
    let operation = select.select();
    operation.send(&sender, 4).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(4));
}

#[test]
#[should_panic(expected = "no operations have been added to `Select`")]
fn selecting_from_nothing_panics() {
    drop(Select::new().select());
}

#[test]
#[should_panic(expected = "passed a receiver that wasn't selected")]
fn completing_with_another_receiver_panics() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&receiver);
    let _ = select.select().recv(&receiver.clone());
}

#[test]
fn a_send_whose_limit_passes_has_delivered_nothing() {
    let (send, received) = bounded(0);
    let receiver = thread::spawn(move || received.iter().count());
    let sent = greenhub::green_thread::spawn(move || {
        let attempt = |round: u32| {
            let limit = Duration::from_nanos(u64::from(round % 400) * 100);
            greenhub::timeout(limit, || send.send(round).unwrap()).is_ok()
        };
        (0..20_000).filter(|round| attempt(*round)).count()
    });
    let sent = sent.join().unwrap();
    assert_eq!(receiver.join().unwrap(), sent);
}

#[test]
fn who_takes_two_values_takes_the_older_first_beside_a_woken_receiver() {
    greenhub::run(|| {
        let (send, receive) = bounded(2);
        let theirs = receive.clone();
        let woken = greenhub::green_thread::spawn_local(move || theirs.recv());
        greenhub::green_thread::yield_now();
        // It is woken for the first, and cannot run before we wait.
        send.send(1).unwrap();
        send.send(2).unwrap();
        assert_eq!(receive.try_recv(), Ok(1));
        assert_eq!(woken.join().unwrap(), Ok(2));
    });
}
