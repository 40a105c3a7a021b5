//! A hub without an engine: tasks that wait as OS threads do.

pub mod wait_word {
    source!("src_hub_wait_word.rs");
}
pub mod home {
    source!("src_hub_home.rs");

    impl<T> Home<T> {
        pub fn poll(&self) {
            self.bell.wait();
        }
    }
}
pub mod interrupts {
    source!("src_hub_interrupts.rs");
}

pub mod site {
    use crate::clock::Nanos;

    #[derive(Clone, Copy, Debug)]
    pub enum Site {
        Park,
        Queue(&'static str),
    }

    #[derive(Debug)]
    pub struct SiteCell;

    impl SiteCell {
        pub fn set(&self, _: Site, _: Nanos) {}
    }
}

pub mod os_parker {
    use std::io;

    use super::wait_word::{Ticket, WaitWord};
    use super::{current, turn};
    use crate::deadline::Deadline;

    #[derive(Clone, Copy, Debug)]
    pub struct PollFor {
        pub fd: i32,
        pub events: i16,
    }

    /// What parks an OS thread, in place of a futex.
    #[derive(Debug)]
    pub struct OsParker(loom::sync::Notify);

    impl OsParker {
        pub fn new() -> OsParker {
            OsParker(loom::sync::Notify::new())
        }

        pub fn make_bell(&self) -> io::Result<()> {
            Ok(())
        }

        pub fn prepare(&self, _: Option<PollFor>) {}

        pub fn notify(&self) {
            self.0.notify();
        }

        /// A deadline passes here: its thread would sleep, and wakers come before or after.
        pub fn park(
            &self,
            word: &WaitWord,
            ticket: Ticket,
            deadline: Deadline,
            _: Option<PollFor>,
        ) {
            if !deadline.is_never() {
                turn::fire(current::task());
            }
            while word.open_ticket() == Some(ticket) {
                self.0.wait();
            }
        }
    }
}

pub mod task {
    use std::sync::Arc;

    use super::home::Home;
    use super::interrupts::Interrupts;
    use super::os_parker::OsParker;
    use super::site::SiteCell;
    use super::wait_word::WaitWord;
    use crate::atomic::{AtomicU64, AtomicUsize};
    use crate::clock::Nanos;

    #[derive(Debug)]
    pub struct Task {
        pub word: WaitWord,
        pub site: SiteCell,
        pub interrupts: Interrupts,
        pub stays: Mark,
        pub kind: Kind,
    }

    /// What a thread tells itself alone.
    #[derive(Debug, Default)]
    pub struct Mark(std::sync::atomic::AtomicBool);

    impl Mark {
        pub fn load(&self, order: crate::atomic::Ordering) -> bool {
            self.0.load(order)
        }

        pub fn store(&self, value: bool, order: crate::atomic::Ordering) {
            self.0.store(value, order);
        }

        pub fn swap(&self, value: bool, order: crate::atomic::Ordering) -> bool {
            self.0.swap(value, order)
        }
    }

    #[derive(Debug)]
    pub enum Kind {
        Green(Green),
        Os(OsParker),
    }

    pub struct Green {
        pub home: &'static Home<Arc<Task>>,
    }

    impl std::fmt::Debug for Green {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Green")
        }
    }

    impl Task {
        pub fn new() -> Arc<Task> {
            Arc::new(Task {
                word: WaitWord::default(),
                site: SiteCell,
                interrupts: Interrupts::default(),
                stays: Mark::default(),
                kind: Kind::Os(OsParker::new()),
            })
        }

        pub fn green(&self) -> Option<&Green> {
            None
        }
    }
}

pub mod local {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::task::Task;
    use crate::clock::Nanos;

    pub struct Local {
        pub time: Cell<Nanos>,
    }

    impl Local {
        pub fn handle(&self, task: &Arc<Task>) -> Arc<Task> {
            task.clone()
        }
    }
}

pub mod current {
    use std::cell::OnceCell;
    use std::sync::Arc;

    use super::local::Local;
    use super::task::Task;

    loom::thread_local! {
        static TASK: OnceCell<Arc<Task>> = OnceCell::new();
    }

    /// The running thread is `task` from now on.
    pub fn be(task: Arc<Task>) {
        TASK.with(|own| own.set(task).expect("a thread is one"));
    }

    pub fn with<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
        f(&task())
    }

    pub fn task() -> Arc<Task> {
        TASK.with(|task| task.get_or_init(Task::new).clone())
    }

    pub fn with_os_task<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
        with(f)
    }

    pub fn is_green() -> bool {
        false
    }

    pub fn local() -> Option<&'static Local> {
        None
    }
}

pub mod held {
    pub fn is_held() -> bool {
        false
    }

    pub fn is_in_hook() -> bool {
        false
    }
}

pub mod interrupt {
    use std::sync::Arc;

    pub(crate) use super::interrupts::{Interrupt, Masked, Raised};
    use super::task::Task;
    use super::wait_word::Phase;

    impl Task {
        pub fn masked(&self) -> Masked {
            Masked::Nothing
        }

        pub fn pending(&self, masked: Masked) -> Option<Interrupt> {
            (masked == Masked::Nothing && self.interrupts.is_killed()).then_some(Interrupt::Kill)
        }

        pub fn raise(&self, interrupt: Interrupt) -> ! {
            std::panic::resume_unwind(Box::new(Raised(interrupt)))
        }
    }

    source!("src_hub_interrupt.rs");
}

pub mod wake {
    source!("src_hub_wake.rs");

    fn schedule(_: &Home<Arc<Task>>, _: Arc<Task>) {
        unreachable!("a model has no green threads")
    }
}

pub mod turn {
    use std::sync::Arc;

    use super::task::Task;
    use super::wait_word::Phase;

    source!("src_hub_turn.rs");
}

pub mod wait {
    source!("src_hub_wait.rs");

    fn suspend_green(_: &Arc<Task>, _: &Local, _: &Green, _: Deadline) {
        unreachable!("a model has no green threads")
    }

    fn park_in_hook(_: &Arc<Task>, _: Ticket, _: Deadline, _: &Request) {
        unreachable!("a model has no panic hooks")
    }

    pub fn look_up() {}
    pub fn checkpoint() {}
}

pub struct Hub;
