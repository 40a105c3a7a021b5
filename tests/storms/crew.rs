//! Threads that do the work of a round, and who kills them.

use super::*;

enum Worker {
    Green(JoinHandle<()>),
    Os(std::thread::JoinHandle<()>),
}

/// The threads of a round, on all hubs and beside them.
pub struct Crew {
    random: Random,
    workers: Vec<Worker>,
}

/// Who kills, to be waited for before the workers are.
pub struct Strikes(std::thread::JoinHandle<Vec<Worker>>);

impl Crew {
    pub fn new(random: &mut Random) -> Crew {
        Crew {
            random: Random::new(random.below(u64::MAX)),
            workers: Vec::new(),
        }
    }

    /// What another thread's decisions come from.
    pub fn random(&mut self) -> Random {
        let number = self.random.below(1 << 32);
        Random::of(self.random.below(u64::MAX), number)
    }

    /// Starts a green thread on one of the hubs.
    pub fn green(&mut self, body: impl FnOnce(Random) + Send + 'static) {
        let random = self.random();
        let hubs = green::hub_count().unwrap() as u64;
        let hub = self.random.below(hubs) as usize;
        let thread = Builder::new().hub(hub).spawn(move || body(random)).unwrap();
        self.workers.push(Worker::Green(thread));
    }

    /// Starts a thread: an OS thread in one of six cases. Nobody can kill that.
    pub fn any(&mut self, body: impl FnOnce(Random) + Send + 'static) {
        if self.random.below(6) > 0 {
            return self.green(body);
        }
        let random = self.random();
        let thread = std::thread::spawn(move || body(random));
        self.workers.push(Worker::Os(thread));
    }

    /// Kills up to all of the green threads, at any moment; then waits for all.
    pub fn storm(self) {
        self.strikes().join();
    }

    /// Waits for all of them.
    pub fn calm(self) {
        Strikes(std::thread::spawn(|| self.workers)).join();
    }

    /// Begins to kill, from an OS thread.
    pub fn strikes(mut self) -> Strikes {
        let mut random = self.random();
        Strikes(std::thread::spawn(move || {
            let count = self.workers.len() as u64;
            for _ in 0..random.below(count + 1) {
                let victim = random.below(count) as usize;
                match random.below(4) {
                    0 => {}
                    1 => std::thread::yield_now(),
                    2 => sleep(MICROSECOND * random.below(300) as u32),
                    _ => sleep(MICROSECOND * random.below(5_000) as u32),
                }
                if let Worker::Green(victim) = &self.workers[victim] {
                    victim.kill().unwrap();
                }
            }
            self.workers
        }))
    }
}

impl Strikes {
    /// Waits for all of them; each was killed, or ended well.
    pub fn join(self) {
        for worker in self.0.join().unwrap() {
            let ended = match worker {
                Worker::Green(thread) => thread.join(),
                Worker::Os(thread) => thread.join(),
            };
            match ended {
                Ok(()) => {}
                Err(payload) if green::Killed::caused(&*payload) => count(&KILLS),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    }
}
