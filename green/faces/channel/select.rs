//! Waiting for the first of several channel operations: [`Select`].

use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use greenhub::Deadline;
use greenhub::wait_queue::give_way;

use super::{
    ReadyTimeoutError, Receiver, RecvError, SelectTimeoutError, SendError, Sender, TryReadyError,
    TrySelectError,
    context::Context,
    selectable::{SelectHandle, Token},
};

/// Waits for the first of several channel operations, when their number is known only at run time;
/// otherwise see [`select!`](super::select!).
///
/// Operations are numbered in the order in which they were added. If several can go on, one is
/// chosen at random, or with [`new_biased`](Select::new_biased) the first. An operation on a
/// disconnected channel can go on: it completes with an error.
///
/// The `select` methods choose an operation, which must then be completed, by
/// [`SelectedOperation`]. The `ready` methods only tell which can go on; another thread may use it
/// first.
///
/// # Examples
///
/// ```
/// use green::channel::{Select, unbounded};
///
/// let (_first_sender, first) = unbounded::<i32>();
/// let (second_sender, second) = unbounded();
/// second_sender.send(7).unwrap();
///
/// let mut select = Select::new();
/// let of_first = select.recv(&first);
/// let of_second = select.recv(&second);
/// let operation = select.select();
/// match operation.index() {
///     index if index == of_first => unreachable!("nothing was sent there"),
///     index if index == of_second => assert_eq!(operation.recv(&second), Ok(7)),
///     _ => unreachable!(),
/// }
/// ```
#[derive(Clone)]
pub struct Select<'a> {
    operations: Vec<Operation<'a>>,
    next_index: usize,
    biased: bool,
}

#[derive(Clone, Copy)]
struct Operation<'a> {
    index: usize,
    handle: &'a dyn SelectHandle,
}

impl<'a> Select<'a> {
    /// Creates an empty list; of several operations that can go on, one is chosen at random.
    #[must_use]
    pub fn new() -> Select<'a> {
        Select {
            operations: Vec::new(),
            next_index: 0,
            biased: false,
        }
    }

    /// Creates an empty list; of several operations that can go on, the first is chosen.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, unbounded};
    ///
    /// let (first_sender, first) = unbounded();
    /// let (second_sender, second) = unbounded();
    /// first_sender.send(1).unwrap();
    /// second_sender.send(2).unwrap();
    ///
    /// let mut select = Select::new_biased();
    /// select.recv(&first);
    /// select.recv(&second);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), 0);
    /// assert_eq!(operation.recv(&first), Ok(1));
    /// ```
    #[must_use]
    pub fn new_biased() -> Select<'a> {
        Select {
            biased: true,
            ..Select::new()
        }
    }

    /// Adds a send operation; returns its number.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, bounded};
    ///
    /// let (sender, receiver) = bounded(1);
    /// let mut select = Select::new();
    /// let index = select.send(&sender);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), index);
    /// operation.send(&sender, "value").unwrap();
    /// assert_eq!(receiver.recv(), Ok("value"));
    /// ```
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(s)
    }

    /// Adds a receive operation; returns its number.
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(r)
    }

    /// Removes an operation, say because its channel is disconnected. Its number is not used again.
    ///
    /// # Panics
    ///
    /// If there is no such operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, unbounded};
    ///
    /// let (sender, receiver) = unbounded::<u8>();
    /// drop(sender);
    /// let mut select = Select::new();
    /// let index = select.recv(&receiver);
    /// assert_eq!(select.try_ready(), Ok(index));
    /// select.remove(index);
    /// assert!(select.try_ready().is_err());
    /// ```
    pub fn remove(&mut self, index: usize) {
        let place = self
            .operations
            .iter()
            .position(|operation| operation.index == index);
        self.operations
            .remove(place.expect("no operation with this index"));
    }

    /// Chooses an operation that can go on at once.
    ///
    /// # Errors
    ///
    /// If none can.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, unbounded};
    ///
    /// let (sender, receiver) = unbounded();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert!(select.try_select().is_err());
    /// sender.send(1).unwrap();
    /// assert_eq!(select.try_select().unwrap().recv(&receiver), Ok(1));
    /// ```
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Deadline::NOW).ok_or(TrySelectError)
    }

    /// Waits until an operation can go on, and chooses it.
    ///
    /// # Panics
    ///
    /// If no operation has been added.
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.assert_not_empty();
        self.choose(Deadline::NEVER)
            .expect("a wait without a limit ends with an operation")
    }

    /// As [`select`](Select::select), for at most `timeout`. With an empty list it waits that long.
    ///
    /// # Errors
    ///
    /// If none can go on in time.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, unbounded};
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = unbounded::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert!(select.select_timeout(Duration::from_millis(5)).is_err());
    /// ```
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Deadline::after(timeout))
            .ok_or(SelectTimeoutError)
    }

    /// As [`select`](Select::select), until `deadline`. With an empty list it waits that long.
    ///
    /// # Errors
    ///
    /// If none can go on in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Deadline::at(deadline))
            .ok_or(SelectTimeoutError)
    }

    /// Finds an operation that can go on at once; returns its number.
    ///
    /// # Errors
    ///
    /// If none can.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(Deadline::NOW).ok_or(TryReadyError)
    }

    /// Waits until an operation can go on; returns its number.
    ///
    /// # Panics
    ///
    /// If no operation has been added.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{Select, unbounded};
    ///
    /// let (sender, receiver) = unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&receiver);
    /// let sending = green::thread::spawn(move || sender.send(1));
    /// assert_eq!(select.ready(), index);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # sending.join().unwrap().unwrap();
    /// ```
    pub fn ready(&mut self) -> usize {
        self.assert_not_empty();
        self.find_ready(Deadline::NEVER)
            .expect("a wait without a limit ends with an operation")
    }

    /// As [`ready`](Select::ready), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If none can go on in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Deadline::after(timeout))
            .ok_or(ReadyTimeoutError)
    }

    /// As [`ready`](Select::ready), until `deadline`.
    ///
    /// # Errors
    ///
    /// If none can go on in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Deadline::at(deadline))
            .ok_or(ReadyTimeoutError)
    }

    fn add(&mut self, handle: &'a dyn SelectHandle) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.operations.push(Operation { index, handle });
        index
    }

    fn assert_not_empty(&self) {
        assert!(
            !self.operations.is_empty(),
            "no operations have been added to `Select`"
        );
    }

    fn choose(&mut self, until: Deadline) -> Option<SelectedOperation<'a>> {
        self.wait_for(
            until,
            |operation| {
                let token = operation.handle.try_select()?;
                Some(SelectedOperation::new(operation, token))
            },
            |operation, context, number| operation.handle.register(context, number),
            |operation, token| Some(SelectedOperation::new(operation, token)),
        )
    }

    fn find_ready(&mut self, until: Deadline) -> Option<usize> {
        self.wait_for(
            until,
            |operation| operation.handle.is_ready().then_some(operation.index),
            |operation, context, number| operation.handle.watch(context, number),
            // It may be so no longer: look again.
            |_, _| None,
        )
    }

    /// Tries each operation; if none succeeds, enters them all, parks until one is selected or due,
    /// and makes the answer of it or tries again.
    fn wait_for<R>(
        &mut self,
        until: Deadline,
        attempt: impl Fn(Operation<'a>) -> Option<R>,
        enter: impl Fn(Operation<'a>, &Arc<Context>, usize) -> Option<Token>,
        answer: impl Fn(Operation<'a>, Token) -> Option<R>,
    ) -> Option<R> {
        if until != Deadline::NOW {
            give_way();
        }
        if !self.biased {
            shuffle(&mut self.operations);
        }
        loop {
            if let Some(done) = self.operations.iter().find_map(|each| attempt(*each)) {
                return Some(done);
            }
            if until.has_passed() {
                return None;
            }
            let mut entries = Entries::new(&self.operations);
            let due = self.operations.iter().map(|each| each.handle.deadline());
            let due = due.fold(until, Deadline::min);
            let context = Arc::clone(&entries.context);
            let selected = context.wait("channel: select", due, || entries.enter(&enter));
            if let Some((operation, token)) = selected.map(|number| entries.take(number))
                && let Some(done) = answer(operation, token)
            {
                return Some(done);
            }
        }
    }
}

/// The entries that one wait has left with its channels. Dropping it ends them, also if the thread
/// is killed in the wait.
struct Entries<'s, 'a> {
    operations: &'s [Operation<'a>],
    context: Arc<Context>,
    /// By the number of the operation, as far as they have been made.
    tokens: Vec<Token>,
}

impl<'s, 'a> Entries<'s, 'a> {
    fn new(operations: &'s [Operation<'a>]) -> Entries<'s, 'a> {
        Entries {
            operations,
            context: Arc::new(Context::new()),
            tokens: Vec::with_capacity(operations.len()),
        }
    }

    /// False if one of them can go on at once, so that there is nothing to wait for.
    fn enter(
        &mut self,
        enter: impl Fn(Operation<'a>, &Arc<Context>, usize) -> Option<Token>,
    ) -> bool {
        for (number, operation) in self.operations.iter().enumerate() {
            match enter(*operation, &self.context, number) {
                Some(token) => self.tokens.push(token),
                None => return false,
            }
        }
        true
    }

    /// The operation that was selected, with what it was granted, which this no longer gives back.
    fn take(&mut self, number: usize) -> (Operation<'a>, Token) {
        let token = std::mem::replace(&mut self.tokens[number], Token::Nothing);
        (self.operations[number], token)
    }
}

impl Drop for Entries<'_, '_> {
    fn drop(&mut self) {
        self.context.withdraw();
        for (operation, token) in self.operations.iter().zip(&self.tokens) {
            operation.handle.cancel(*token);
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// An operation that [`Select`] has chosen, and that must be completed by
/// [`send`](SelectedOperation::send) or [`recv`](SelectedOperation::recv).
///
/// # Panics
///
/// If it is dropped without having been completed.
///
/// # Examples
///
/// ```
/// use green::channel::{Select, SelectedOperation, bounded};
///
/// let (full, _reader) = bounded(1);
/// full.send("in the way").unwrap();
/// let (_sender, empty) = bounded::<i32>(1);
/// let (free, taken) = bounded(1);
/// let mut select = Select::new();
/// select.send(&full);
/// select.recv(&empty);
/// let sends = select.send(&free);
/// let chosen: SelectedOperation<'_> = select.select();
/// assert_eq!(chosen.index(), sends);
/// chosen.send(&free, "here").unwrap();
/// assert_eq!(taken.recv(), Ok("here"));
/// ```
#[must_use]
pub struct SelectedOperation<'a> {
    operation: Operation<'a>,
    /// `None` once completed.
    token: Option<Token>,
}

impl<'a> SelectedOperation<'a> {
    fn new(operation: Operation<'a>, token: Token) -> SelectedOperation<'a> {
        SelectedOperation {
            operation,
            token: Some(token),
        }
    }

    /// The number of the operation.
    #[must_use]
    pub fn index(&self) -> usize {
        self.operation.index
    }

    /// Completes a send.
    ///
    /// # Errors
    ///
    /// Gives `msg` back if all receivers are gone.
    ///
    /// # Panics
    ///
    /// If `s` is not the sender that was added for this operation.
    pub fn send<T>(self, s: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        match self.complete(s, "passed a sender that wasn't selected") {
            Token::Claim(claim) => s.core().send_claimed(claim, msg).map_err(SendError),
            Token::Moment(_) | Token::Nothing => unreachable!("senders deal in claims"),
        }
    }

    /// Completes a receive.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone.
    ///
    /// # Panics
    ///
    /// If `r` is not the receiver that was added for this operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{RecvError, Select, unbounded};
    ///
    /// let (sender, receiver) = unbounded::<u8>();
    /// drop(sender);
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.select().recv(&receiver), Err(RecvError));
    /// ```
    pub fn recv<T>(self, r: &Receiver<T>) -> Result<T, RecvError> {
        r.recv_selected(self.complete(r, "passed a receiver that wasn't selected"))
    }

    #[track_caller]
    fn complete(mut self, handle: &dyn SelectHandle, or_else: &str) -> Token {
        assert!(
            handle.address() == self.operation.handle.address(),
            "{or_else}"
        );
        self.token
            .take()
            .expect("an operation is consumed when it is completed")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.operation.handle.cancel(token);
            if !std::thread::panicking() {
                panic!("dropped `SelectedOperation` without completing the operation");
            }
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

/// Puts the operations in a random order, so that none of them is preferred.
fn shuffle(operations: &mut [Operation<'_>]) {
    greenhub::thread_local! {
        static SEED: Cell<u32> = const { Cell::new(0x9E37_79B9) };
    }
    // The end of an OS thread has no seed any more, and may do without.
    let _ = SEED.try_with_shared(|seed| {
        for place in (1..operations.len()).rev() {
            // Xorshift: no more is needed than that no order is regular.
            let mut random = seed.get();
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            seed.set(random);
            operations.swap(place, random as usize % (place + 1));
        }
    });
}
