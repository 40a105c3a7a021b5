//! `green::sync::mpsc` and `green::channel`, between green threads and OS threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use green::channel::{
    self, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, after,
    bounded as bounded_channel, select, unbounded,
};
use green::sync::mpsc;
use green::timeout;
use greenhub::green_thread;
use test_support::random::Random;
use test_support::sync::{bounded, green, on_hub, settle};

const SOON: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_green_thread_that_receives_parks_and_its_hub_goes_on() {
    green("a green thread that", || {
        let (sender, receiver) = mpsc::channel();
        let waiter = on_hub(move || receiver.recv().unwrap());
        settle();
        assert!(!waiter.is_finished());
        sender.send(5).unwrap();
        assert_eq!(waiter.join().unwrap(), 5);
    });
}

#[test]
fn values_cross_between_green_and_os_threads_in_order() {
    for capacity in [0, 1, 64] {
        bounded("crossing", move || {
            let (to_os, at_os) = mpsc::sync_channel(capacity);
            let (to_green, at_green) = mpsc::sync_channel(capacity);
            let green = on_hub(move || {
                for number in 0..500 {
                    to_os.send(number).unwrap();
                }
                drop(to_os);
                at_green.iter().collect::<Vec<_>>()
            });
            let os = thread::spawn(move || at_os.iter().collect::<Vec<_>>());
            assert!(os.join().unwrap().into_iter().eq(0..500));
            for number in 0..500 {
                to_green.send(number).unwrap();
            }
            drop(to_green);
            assert!(green.join().unwrap().into_iter().eq(0..500));
        });
    }
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    for capacity in [0, 3] {
        green("order", move || {
            let (sender, receiver) = bounded_channel(capacity);
            let (report, order) = unbounded();
            let receivers: Vec<_> = (0..4)
                .map(|number| {
                    let (receiver, report) = (receiver.clone(), report.clone());
                    on_hub(move || {
                        let value: i32 = receiver.recv().unwrap();
                        report.send((number, value)).unwrap();
                    })
                })
                .collect();
            settle();
            for value in 0..4 {
                sender.send(value).unwrap();
                // One that comes late does not overtake those who were promised a value.
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            }
            for receiver in receivers {
                receiver.join().unwrap();
            }
            assert!(order.try_iter().eq((0..4).map(|number| (number, number))));
        });
    }
}

#[test]
fn two_receivers_share_a_channel_fairly() {
    green("two receivers share a", || {
        let (sender, receiver) = bounded_channel(1);
        let take = |receiver: Receiver<()>| {
            on_hub(move || {
                receiver
                    .iter()
                    .inspect(|()| green_thread::yield_now())
                    .count()
            })
        };
        let takers = [take(receiver.clone()), take(receiver)];
        for _ in 0..1000 {
            sender.send(()).unwrap();
        }
        drop(sender);
        let [one, two] = takers.map(|taker| taker.join().unwrap());
        assert!(one.abs_diff(two) * 10 < one.min(two), "{one} and {two}");
    });
}

#[test]
fn threads_in_recv_and_in_select_take_turns() {
    for capacity in [None, Some(1)] {
        green("turns", move || {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded_channel);
            let plain = receiver.clone();
            let by_recv = on_hub(move || plain.iter().count());
            let by_select = on_hub(move || {
                let never = channel::never::<()>();
                let mut count = 0;
                loop {
                    select! {
                        recv(receiver) -> value => match value {
                            Ok(()) => count += 1,
                            Err(_) => return count,
                        },
                        recv(never) -> _ => unreachable!("nothing comes there"),
                    }
                }
            });
            for _ in 0..1000 {
                // Both wait again, after the first round.
                green_thread::yield_now();
                green_thread::yield_now();
                sender.send(()).unwrap();
            }
            drop(sender);
            let [one, two] = [by_recv, by_select].map(|taker| taker.join().unwrap());
            assert_eq!(one + two, 1000);
            assert!(one.abs_diff(two) * 10 < one.min(two), "{one} and {two}");
        });
    }
}

#[test]
fn a_sender_stops_at_the_bound() {
    green("a sender stops at the", || {
        let (sender, receiver) = bounded_channel(2);
        let sent = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&sent);
        let putter = on_hub(move || {
            for value in 0..5 {
                sender.send(value).unwrap();
                count.fetch_add(1, SeqCst);
            }
        });
        settle();
        assert_eq!(sent.load(SeqCst), 2);
        for value in 0..3 {
            assert_eq!(receiver.recv(), Ok(value));
            settle();
            assert_eq!(sent.load(SeqCst), 3 + value);
        }
        putter.join().unwrap();
        assert!(receiver.iter().eq([3, 4]));
    });
}

#[test]
fn a_rendezvous_send_returns_only_after_a_receive() {
    green("a rendezvous send", || {
        let (sender, receiver) = bounded_channel(0);
        let putter = on_hub({
            let sender = sender.clone();
            move || sender.send(1)
        });
        settle();
        assert!(!putter.is_finished());
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        let start = Instant::now();
        assert_eq!(
            sender.send_timeout(3, SOON),
            Err(SendTimeoutError::Timeout(3))
        );
        assert!(start.elapsed() >= SOON);
        assert_eq!(receiver.recv(), Ok(1));
        putter.join().unwrap().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_value_is_never_given_to_a_receiver_that_timed_out() {
    for capacity in [0, 1] {
        green("a value is never given", move || {
            let (sender, receiver) = bounded_channel(capacity);
            let early: Vec<_> = (0..3)
                .map(|_| {
                    let receiver = receiver.clone();
                    on_hub(move || receiver.recv_timeout(SOON))
                })
                .collect();
            let late = on_hub(move || receiver.recv_timeout(LONG));
            for early in early {
                assert_eq!(early.join().unwrap(), Err(RecvTimeoutError::Timeout));
            }
            sender.send(1).unwrap();
            assert_eq!(late.join().unwrap(), Ok(1));
        });
    }
}

#[test]
fn a_send_reaches_only_living_receivers() {
    for capacity in [0, 1] {
        bounded("a send reaches only", move || {
            let (sender, receiver) = bounded_channel(capacity);
            let wait = |receiver: &Receiver<u8>| {
                let receiver = receiver.clone();
                let (entered, enters) = unbounded();
                let thread = on_hub(move || {
                    entered.send(()).unwrap();
                    receiver.recv()
                });
                enters.recv().unwrap();
                on_hub(settle).join().unwrap();
                thread
            };
            let dying = [wait(&receiver), wait(&receiver)];
            // From this OS thread, so that both may not have noticed yet.
            for thread in &dying {
                thread.kill().unwrap();
            }
            if capacity == 0 {
                assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
            }
            let living = wait(&receiver);
            sender.try_send(2).unwrap();
            assert_eq!(living.join().unwrap(), Ok(2));
            for thread in dying {
                assert!(thread.join().is_err());
            }
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        });
    }
}

#[test]
fn a_killed_sender_takes_its_value_with_it() {
    green("a killed sender takes", || {
        let (sender, receiver) = bounded_channel(0);
        let put = |value: Arc<()>| {
            let sender = sender.clone();
            on_hub(move || sender.send(value))
        };
        let [first, second] = [Arc::new(()), Arc::new(())];
        let (killed, lives) = (put(Arc::clone(&first)), put(Arc::clone(&second)));
        settle();
        killed.kill().unwrap();
        assert!(killed.join().is_err());
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(Arc::ptr_eq(&receiver.recv().unwrap(), &second));
        lives.join().unwrap().unwrap();
    });
}

#[test]
fn a_receiver_that_panics_does_not_touch_its_sender() {
    green("a receiver that panics", || {
        let (sender, receiver) = bounded_channel(0);
        let panics = on_hub({
            let receiver = receiver.clone();
            move || {
                receiver.recv().unwrap();
                panic!("planned");
            }
        });
        settle();
        sender.send(1).unwrap();
        assert!(panics.join().is_err());
        let next = on_hub(move || receiver.recv());
        settle();
        sender.try_send(2).unwrap();
        assert_eq!(next.join().unwrap(), Ok(2));
    });
}

#[test]
fn a_block_limit_ends_a_receive_and_loses_nothing() {
    green("timeout", || {
        let (sender, receiver) = unbounded();
        assert!(greenhub::timeout(SOON, || receiver.recv()).is_err());
        sender.send(1).unwrap();
        assert_eq!(greenhub::timeout(SOON, || receiver.recv()).unwrap(), Ok(1));
    });
}

#[test]
fn select_parks_and_is_woken_by_any_of_its_channels() {
    green("select", || {
        let (numbers, number) = unbounded();
        let (words, word) = bounded_channel(0);
        let (full, room) = bounded_channel(1);
        full.send(0).unwrap();
        let selecting = on_hub(move || {
            let mut seen = Vec::new();
            for _ in 0..3 {
                select! {
                    recv(number) -> value => seen.push(format!("{value:?}")),
                    recv(word) -> value => seen.push(format!("{value:?}")),
                    send(full, 1) -> sent => seen.push(format!("{sent:?}")),
                    recv(after(LONG)) -> _ => panic!("too late"),
                }
            }
            seen
        });
        settle();
        words.send("word").unwrap();
        settle();
        assert_eq!(room.recv(), Ok(0));
        settle();
        numbers.send(7).unwrap();
        assert_eq!(
            selecting.join().unwrap(),
            ["Ok(\"word\")", "Ok(())", "Ok(7)"]
        );
        assert_eq!(room.recv(), Ok(1));
        assert!(words.send("gone").is_err());
    });
}

#[test]
fn a_killed_select_leaves_no_entry_behind() {
    green("select killed", || {
        let (one, of_one) = bounded_channel::<u8>(0);
        let (two, of_two) = unbounded::<u8>();
        let selecting = on_hub({
            let (of_one, of_two) = (of_one.clone(), of_two.clone());
            move || {
                select! {
                    recv(of_one) -> _ => (),
                    recv(of_two) -> _ => (),
                }
            }
        });
        settle();
        selecting.kill().unwrap();
        assert!(selecting.join().is_err());
        assert_eq!(one.try_send(1), Err(TrySendError::Full(1)));
        two.send(2).unwrap();
        assert_eq!(of_two.try_recv(), Ok(2));
        drop(of_one);
    });
}

#[test]
fn selects_of_green_and_os_threads_meet_in_a_rendezvous() {
    bounded("two selects", || {
        let (sender, receiver) = bounded_channel(0);
        let put = move || {
            for value in 0..300 {
                select! {
                    send(sender, value) -> sent => sent.unwrap(),
                    recv(after(LONG)) -> _ => panic!("too late"),
                }
            }
        };
        let take = move || {
            for expected in 0..300 {
                select! {
                    recv(receiver) -> value => assert_eq!(value, Ok(expected)),
                    recv(after(LONG)) -> _ => panic!("too late"),
                }
            }
        };
        let green = on_hub(put);
        let os = thread::spawn(take);
        green.join().unwrap();
        os.join().unwrap();
    });
}

#[test]
fn a_receiver_killed_while_it_is_owed_a_value_leaves_it_to_the_next() {
    green("owed", || {
        let (sender, receiver) = bounded_channel(0);
        let take = |receiver: &Receiver<u8>| {
            let receiver = receiver.clone();
            on_hub(move || receiver.recv())
        };
        let bound = take(&receiver);
        settle();
        let mut select = channel::Select::new();
        select.send(&sender);
        let operation = select.select();
        // The receiver is bound to this operation now, and waits for its value.
        settle();
        bound.kill().unwrap();
        assert!(bound.join().is_err());
        let next = take(&receiver);
        operation.send(&sender, 4).unwrap();
        assert_eq!(next.join().unwrap(), Ok(4));
    });
}

#[test]
fn a_selected_send_does_not_wait_if_its_receiver_is_killed() {
    green("a selected send", || {
        let (sender, receiver) = bounded_channel(0);
        let mut select = channel::Select::new();
        select.send(&sender);
        let mut choose_and_kill = |receiver: Receiver<u8>| {
            let bound = on_hub(move || receiver.recv());
            settle();
            let operation = select.select();
            bound.kill().unwrap();
            assert!(bound.join().is_err());
            operation
        };
        let operation = choose_and_kill(receiver.clone());
        assert_eq!(timeout(LONG, || operation.send(&sender, 4)), Ok(Ok(())));
        assert_eq!(receiver.try_recv(), Ok(4));

        let operation = choose_and_kill(receiver);
        // Nobody is left who could take it.
        assert!(operation.send(&sender, 5).is_err());
    });
}

/// Senders and receivers of all kinds on one channel while some are killed and some time out: each
/// value arrives exactly once, or is still with the channel, or died with its sender.
#[test]
fn nothing_is_lost_or_doubled_when_those_at_a_channel_are_killed() {
    for (seed, capacity) in [(1, Some(0)), (2, Some(1)), (3, Some(8)), (4, None)] {
        bounded("stress", move || stress(seed, capacity));
    }
}

fn stress(seed: u64, capacity: Option<usize>) {
    let (sender, receiver) = capacity.map_or_else(unbounded, bounded_channel);
    let sent: Arc<Vec<AtomicBool>> = Arc::new((0..2_000).map(|_| false.into()).collect());
    let received: Arc<Vec<AtomicU32>> = Arc::new((0..2_000).map(|_| 0.into()).collect());
    let putters: Vec<_> = (0..10_usize)
        .map(|number| {
            let (sender, sent) = (sender.clone(), Arc::clone(&sent));
            green_thread::spawn(move || {
                for value in (number..2_000).step_by(10) {
                    put(&sender, value);
                    sent[value].store(true, SeqCst);
                }
            })
        })
        .collect();
    let take_all = |number: u64| {
        let (receiver, received) = (receiver.clone(), Arc::clone(&received));
        move || {
            let mut random = Random::of(seed, number);
            while let Some(value) = take(&receiver, &mut random) {
                received[value].fetch_add(1, SeqCst);
            }
        }
    };
    let takers: Vec<_> = (0..9).map(|it| green_thread::spawn(take_all(it))).collect();
    let os_taker = thread::spawn(take_all(9));
    drop(sender);
    let mut random = Random::of(seed, 99);
    for victim in 0..3 {
        green_thread::sleep(Duration::from_micros(random.below(500)));
        takers[victim].kill().unwrap();
        green_thread::sleep(Duration::from_micros(random.below(500)));
        putters[victim].kill().unwrap();
    }
    for threads in [putters, takers] {
        for (number, thread) in threads.into_iter().enumerate() {
            let ended = thread.join();
            assert!(ended.is_ok() || number < 3, "thread {number}: not killed");
        }
    }
    os_taker.join().unwrap();
    for value in receiver.try_iter() {
        received[value].fetch_add(1, SeqCst);
    }
    for value in 0..2_000 {
        let times = received[value].load(SeqCst);
        assert!(times <= 1, "{value} arrived {times} times");
        assert!(times == 1 || !sent[value].load(SeqCst), "{value} is lost");
    }
}

fn put(sender: &Sender<usize>, value: usize) {
    match value % 3 {
        0 => sender.send(value).unwrap(),
        1 => select! {
            send(sender, value) -> sent => sent.unwrap(),
        },
        _ => {
            let mut next = value;
            while let Err(error) = sender.send_timeout(next, Duration::from_micros(200)) {
                assert!(error.is_timeout(), "receivers live to the end");
                next = error.into_inner();
            }
        }
    }
}

/// `None` when the channel is disconnected.
fn take(receiver: &Receiver<usize>, random: &mut Random) -> Option<usize> {
    loop {
        let limit = Duration::from_micros(random.below(300));
        match random.below(4) {
            0 => return receiver.recv().ok(),
            1 => match receiver.recv_timeout(limit) {
                Err(RecvTimeoutError::Timeout) => {}
                done => return done.ok(),
            },
            2 => match receiver.try_recv() {
                Err(TryRecvError::Empty) => green_thread::yield_now(),
                done => return done.ok(),
            },
            _ => select! {
                recv(receiver) -> value => return value.ok(),
                default(limit) => {}
            },
        }
    }
}
