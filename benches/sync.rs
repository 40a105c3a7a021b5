//! What `green::sync` and `green::channel` cost when nobody has to wait, beside std and
//! crossbeam-channel. The figure to hold: lock and unlock within 1.2 of std's.
//!
//! `cargo bench --bench sync`

use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Operations in one sample iteration, so that the timer does not count.
const BATCH: u32 = 64;

fn batch(bencher: Bencher<'_, '_>, mut operation: impl FnMut()) {
    bencher
        .counter(divan::counter::ItemsCount::new(BATCH))
        .bench_local(|| {
            for _ in 0..BATCH {
                operation();
            }
        });
}

mod mutex {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        let mutex = std::sync::Mutex::new(0_u64);
        batch(bencher, || *black_box(&mutex).lock().unwrap() += 1);
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        let mutex = green::sync::Mutex::new(0_u64);
        batch(bencher, || *black_box(&mutex).lock().unwrap() += 1);
    }
}

mod rwlock_read {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        let lock = std::sync::RwLock::new(0_u64);
        batch(bencher, || {
            black_box(*black_box(&lock).read().unwrap());
        });
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        let lock = green::sync::RwLock::new(0_u64);
        batch(bencher, || {
            black_box(*black_box(&lock).read().unwrap());
        });
    }
}

mod rwlock_write {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        let lock = std::sync::RwLock::new(0_u64);
        batch(bencher, || *black_box(&lock).write().unwrap() += 1);
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        let lock = green::sync::RwLock::new(0_u64);
        batch(bencher, || *black_box(&lock).write().unwrap() += 1);
    }
}

mod lazy_lock {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        static LAZY: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| 1);
        batch(bencher, || {
            black_box(**black_box(&LAZY));
        });
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        static LAZY: green::sync::LazyLock<u64> = green::sync::LazyLock::new(|| 1);
        batch(bencher, || {
            black_box(**black_box(&LAZY));
        });
    }
}

mod condvar_notify_nobody {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        let condvar = std::sync::Condvar::new();
        batch(bencher, || black_box(&condvar).notify_one());
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        let condvar = green::sync::Condvar::new();
        batch(bencher, || black_box(&condvar).notify_one());
    }
}

mod channel_send_and_recv {
    use super::*;

    #[divan::bench]
    fn std(bencher: Bencher<'_, '_>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        batch(bencher, || {
            sender.send(1_u64).unwrap();
            black_box(receiver.recv().unwrap());
        });
    }

    #[divan::bench]
    fn crossbeam(bencher: Bencher<'_, '_>) {
        let (sender, receiver) = crossbeam_channel::unbounded();
        batch(bencher, || {
            sender.send(1_u64).unwrap();
            black_box(receiver.recv().unwrap());
        });
    }

    #[divan::bench]
    fn green(bencher: Bencher<'_, '_>) {
        let (sender, receiver) = green::channel::unbounded();
        batch(bencher, || {
            sender.send(1_u64).unwrap();
            black_box(receiver.recv().unwrap());
        });
    }
}
