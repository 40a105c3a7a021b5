//! `green::pool::Group`: green threads that are killed and waited for together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use green::pool::{GreenPool, Group};
use green::{Killed, thread};
use test_support::net::{both_ways, wait_until};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn who_ends_leaves_the_group_in_whichever_way() {
    both_ways(|_| {
        let group = Group::new();
        let returned = group.spawn(|| 7);
        let panicked = group.spawn(|| std::panic::resume_unwind(Box::new("panicked")));
        let killed = group.spawn(thread::park);
        let pooled = GreenPool::new(1).spawn(thread::park);
        group.add(&pooled);
        wait_until("two members have left", || group.len() == 2);
        assert!(!group.join_timeout(SHORT));
        let left: Vec<_> = group.threads().map(|thread| thread.id()).collect();
        assert_eq!(left, [killed.thread().id(), pooled.thread().id()]);
        killed.kill().unwrap();
        pooled.thread().unpark();
        group.join();
        assert!(group.is_empty());
        assert_eq!(returned.join().unwrap(), 7);
        let panicked: thread::Result<()> = panicked.join();
        assert_eq!(
            *panicked.unwrap_err().downcast::<&str>().unwrap(),
            "panicked"
        );
        // One that has ended is no member.
        let ended = thread::spawn(|| ());
        ended.wait();
        group.add(&ended);
        assert!(group.is_empty());
    });
}

#[test]
fn a_kill_of_the_group_reaches_all_also_those_that_a_victim_starts() {
    both_ways(|_| {
        struct Starts(Group, Arc<AtomicUsize>);
        impl Drop for Starts {
            fn drop(&mut self) {
                self.1.fetch_add(1, SeqCst);
                self.0.spawn(thread::park);
            }
        }
        let (group, ended) = (Group::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            let starts = Starts(group.clone(), ended.clone());
            group.spawn(move || {
                let _starts = starts;
                thread::park();
            });
        }
        group.kill().unwrap();
        assert_eq!((ended.load(SeqCst), group.len()), (100, 0));
    });
}

#[test]
fn a_member_that_kills_its_group_is_killed_with_it() {
    both_ways(|_| {
        let group = Group::new();
        let other = group.spawn(thread::park);
        let theirs = group.clone();
        let killer = group.spawn(move || theirs.kill());
        group.join();
        assert!(Killed::caused(&*killer.join().unwrap_err()));
        assert!(Killed::caused(&*other.join().unwrap_err()));
    });
}

#[test]
fn a_member_that_is_shielded_ends_its_block_first() {
    both_ways(|_| {
        let (group, done) = (Group::new(), Arc::new(AtomicUsize::new(0)));
        let does = done.clone();
        let shielded = group.spawn(move || {
            green::shield(|| {
                does.fetch_add(1, SeqCst);
                thread::park();
                does.fetch_add(1, SeqCst);
            });
            thread::park();
        });
        wait_until("it is in its block", || done.load(SeqCst) == 1);
        assert!(!group.kill_timeout(SHORT).unwrap());
        assert_eq!(group.len(), 1);
        shielded.thread().unpark();
        group.kill().unwrap();
        assert_eq!(done.load(SeqCst), 2);
        assert!(shielded.is_finished() || shielded.wait_timeout(Duration::from_secs(60)));
    });
}

#[test]
fn who_is_discarded_goes_on_and_a_member_cannot_wait_for_itself() {
    both_ways(|_| {
        let group = Group::new();
        let apart = group.spawn(thread::park);
        assert!(group.discard(apart.thread()));
        assert!(!group.discard(apart.thread()));
        group.kill().unwrap();
        assert!(!apart.is_finished());
        apart.thread().unpark();
        apart.join().unwrap();
        let theirs = group.clone();
        let itself = group.spawn(move || {
            // What it panics with is asked for: no message.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| theirs.join())).is_err()
        });
        assert!(itself.join().unwrap());
    });
}

#[test]
fn who_is_discarded_before_it_begins_does_not_come_back() {
    both_ways(|_| {
        for _ in 0..100 {
            let group = Group::new();
            let apart = group.spawn(thread::park);
            assert!(group.discard(apart.thread()));
            while !apart.is_started() {
                thread::yield_now();
            }
            group.kill().unwrap();
            assert!(!apart.is_finished());
            apart.thread().unpark();
            apart.join().unwrap();
        }
    });
}

#[test]
fn an_os_thread_cannot_be_killed() {
    let error = thread::current().kill().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}
