//! What is patched, each by its switch.

bitflags::bitflags! {
    /// What is patched, by eventlet's names. The usual choice is all of it.
    ///
    /// ```
    /// use green_monkey::Patch;
    ///
    /// let all_but_names = Patch::all() - Patch::DNS;
    /// assert!(all_but_names.contains(Patch::SOCKET | Patch::TIME));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Patch: u32 {
        /// Sending, receiving, accepting, connecting; `read` and `write` of sockets too.
        const SOCKET = 1;
        /// `poll`, `select`, `epoll_wait`.
        const SELECT = 1 << 1;
        /// Sleeping and yielding.
        const TIME = 1 << 2;
        /// Looking up names of hosts.
        const DNS = 1 << 3;
        /// Locks, condition variables, parking and joining: std's, those of crates, C's and C++'s.
        const THREAD = 1 << 4;
        /// Waiting for child processes.
        const SUBPROCESS = 1 << 5;
        /// Pipes and files by `read` and `write`, and locks of files.
        const OS = 1 << 6;
    }
}

impl Default for Patch {
    /// All.
    fn default() -> Patch {
        Patch::all()
    }
}
