//! What the models must catch: faults that the sources do not have.

/// A text that stands in a file once, an expression or statements, and what may stand in its place, by name.
pub struct Place {
    pub file: &'static str,
    pub text: &'static str,
    pub mutants: &'static [(&'static str, &'static str)],
}

pub const PLACES: &[Place] = &[
    Place {
        file: "src/hub/wait_word.rs",
        text: "self.0.swap(pack(ticket, phase), Ordering::SeqCst);",
        mutants: &[(
            "a ticket opens weakly",
            "self.0.store(pack(ticket, phase), Ordering::Release);",
        )],
    },
    Place {
        file: "src/hub/wait_word.rs",
        text: "!open || seen >> PHASE_BITS != ticket",
        mutants: &[("an old ticket wakes", "!open")],
    },
    Place {
        file: "src/hub/interrupts.rs",
        text: "self.killed.store(true, Ordering::SeqCst);",
        mutants: &[(
            "a kill is marked weakly",
            "self.killed.store(true, Ordering::Release);",
        )],
    },
    Place {
        file: "src/hub/interrupt.rs",
        text: "self.interrupts.mark_killed();
        if let Some(ticket) = self.word.open_ticket() {
            self.wake(ticket, Phase::Interrupted);
        }",
        mutants: &[(
            "a killer looks before it marks",
            "if let Some(ticket) = self.word.open_ticket() {
            self.wake(ticket, Phase::Interrupted);
        }
        self.interrupts.mark_killed();",
        )],
    },
    Place {
        file: "src/hub/wait.rs",
        text: "masked == Masked::Nothing && task.interrupts.is_killed()",
        mutants: &[("a kill is not looked for once the ticket is open", "false")],
    },
    Place {
        file: "src/hub/home.rs",
        text: "self.mail.store(true, Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }",
        mutants: &[
            (
                "the bell is looked for before the mail is marked",
                "let rings = self.sleeping.swap(false, Ordering::SeqCst);
                self.mail.store(true, Ordering::SeqCst);
                if rings {
                    self.bell.ring();
                }",
            ),
            (
                "mail is marked weakly, and the bell looked for as weakly",
                "self.mail.store(true, Ordering::Release);
                if self.sleeping.load(Ordering::Acquire) {
                    self.sleeping.store(false, Ordering::Release);
                    self.bell.ring();
                }",
            ),
        ],
    },
    Place {
        file: "src/hub/home.rs",
        text: "self.sleeping.store(true, Ordering::SeqCst);",
        mutants: &[(
            "a hub goes to sleep weakly",
            "self.sleeping.store(true, Ordering::Release);",
        )],
    },
    Place {
        file: "src/hub/home.rs",
        text: "self.mail.store(false, Ordering::SeqCst);
            mem::swap(&mut *self.inbox.lock(), empty);",
        mutants: &[(
            "the mark is taken down after the mail",
            "mem::swap(&mut *self.inbox.lock(), empty);
            self.mail.store(false, Ordering::SeqCst);",
        )],
    },
    Place {
        file: "src/sys/lock.rs",
        text: "self.lock.state.swap(FREE, Ordering::Release)",
        mutants: &[(
            "a short lock is left weakly",
            "self.lock.state.swap(FREE, Ordering::Relaxed)",
        )],
    },
    Place {
        file: "src/sys/lock.rs",
        text: "self.state
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)",
        mutants: &[(
            "a short lock is taken weakly",
            "self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)",
        )],
    },
    Place {
        file: "src/sys/lock.rs",
        text: "self.state.swap(WAITED, Ordering::Acquire) != FREE",
        mutants: &[(
            "a sleeper takes a short lock as if nobody else slept",
            "self.take(FREE, HELD).is_err() && self.state.swap(WAITED, Ordering::Acquire) != FREE",
        )],
    },
    Place {
        file: "src/wait_queue.rs",
        text: "self.len.store(waiters.len() + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);",
        mutants: &[
            (
                "a waiter is not counted before it looks",
                "fence(Ordering::SeqCst);",
            ),
            (
                "no fence between a waiter's count and its look",
                "self.len.store(waiters.len() + 1, Ordering::Relaxed);",
            ),
        ],
    },
    Place {
        file: "src/wait_queue.rs",
        text: "fence(Ordering::SeqCst);
        !self.is_empty() && self.wake_one_then(|_, _| ())",
        mutants: &[(
            "no fence between a waker's change and its look",
            "!self.is_empty() && self.wake_one_then(|_, _| ())",
        )],
    },
    Place {
        file: "src/wait_queue.rs",
        text: "if waiter.wake() {
                woken = true;
                break;
            }",
        mutants: &[(
            "one who has timed out counts as woken",
            "waiter.wake();
            woken = true;
            break;",
        )],
    },
    Place {
        file: "green/faces/sync/lock.rs",
        text: "woken && !hand_over && state & WOKEN == 0",
        mutants: &[("who dies as it is woken takes the wake-up with it", "false")],
    },
    Place {
        file: "green/faces/sync/lock.rs",
        text: "self.is_handed_over(before) || self.standing == Standing::Woken && self.lock.try_lock()",
        mutants: &[(
            "who dies on its way wakes nobody",
            "self.is_handed_over(before)",
        )],
    },
    Place {
        file: "green/faces/sync/lock.rs",
        text: "self
            .state
            .compare_exchange(LOCKED, 0, Release, Relaxed)",
        mutants: &[(
            "a lock is left weakly",
            "self.state.compare_exchange(LOCKED, 0, Relaxed, Relaxed)",
        )],
    },
    Place {
        file: "green/faces/sync/shared_lock.rs",
        text: "self.pass_on();",
        mutants: &[("the last reader wakes no writer", "")],
    },
    Place {
        file: "green/faces/sync/shared_lock.rs",
        text: "self
            .state
            .compare_exchange(WRITER, 0, Release, Relaxed)",
        mutants: &[(
            "a writer leaves weakly",
            "self.state.compare_exchange(WRITER, 0, Relaxed, Relaxed)",
        )],
    },
    Place {
        file: "green/faces/channel/readers.rs",
        text: "self.queue.wake_one_then(|_, _| ())",
        mutants: &[(
            "a value is not announced to those about to wait",
            "{
                self.announced.store(false, Release);
                self.queue.wake_one_then(|_, _| ())
            }",
        )],
    },
    Place {
        file: "src/green_thread/packet.rs",
        text: "self.finished.store(true, Ordering::Release);
        self.joiners.wake_all();",
        mutants: &[(
            "joiners are woken before the end",
            "self.joiners.wake_all();
                self.finished.store(true, Ordering::Release);",
        )],
    },
];
