//! What every queue is: items in some order, and those who wait to put and to get.
//!
//! An item passes by the first of these ways that is open:
//!
//! 1. to the getter that has waited longest;
//! 2. into the store, if there is room;
//! 3. into its putter's *seat*, from where a getter takes it (no room at all), or moves it into the
//!    store (as soon as it has made room).
//!
//! Who waits has a seat, and queues alone in the seat's wait queue. That queue decides who is alive:
//! a waiter whose limit passed or that is being killed cannot be woken any more, so what was meant
//! for it goes to the next, and one that was woken always takes what it was given.
//!
//! *Invariants*, whenever the state is unlocked: if somebody waits to get, the store is empty and
//! nobody waits to put; if somebody waits to put, there is no room. Nobody waits once it is shut down.
//!
//! *Locks*: the state, then a seat that is listed in it. A waiter that lists its own seat holds the
//! seat first, which nobody else can know of until then.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{collections::VecDeque, sync::Arc};

use greenhub::Deadline;
use greenhub::wait_queue::ShortLock;
use greenhub::wait_queue::{WaitQueue, Wake, give_way};

use super::order::Order;

pub(crate) struct Core<O: Order> {
    what: &'static str,
    state: ShortLock<State<O>>,
}

struct State<O: Order> {
    store: O,
    /// None: there is always room.
    capacity: Option<usize>,
    getting: VecDeque<Arc<Seat<O::Item>>>,
    putting: VecDeque<Arc<Seat<O::Item>>>,
    /// Nothing is put any more.
    is_shut_down: bool,
}

/// One wait of one thread, with the item that it puts or is given.
struct Seat<T> {
    item: ShortLock<Option<T>>,
    /// Woken because the queue is shut down.
    is_refused: AtomicBool,
    waiter: WaitQueue,
}

impl<T> Seat<T> {
    fn new(item: Option<T>) -> Arc<Seat<T>> {
        Arc::new(Seat {
            item: ShortLock::new(item),
            is_refused: AtomicBool::new(false),
            waiter: WaitQueue::new(),
        })
    }

    /// Gives a getter its item, unless it has given up.
    fn fill(&self, item: T) -> Result<(), T> {
        // Before it is woken. One that has given up never looks here.
        *self.item.lock() = Some(item);
        if self.waiter.wake_one() {
            return Ok(());
        }
        Err(self.item.lock().take().expect("nobody else takes it"))
    }

    /// Takes a putter's item, unless it has given up: then the item is its own.
    fn empty(&self) -> Option<T> {
        if self.waiter.wake_one() {
            self.item.lock().take()
        } else {
            None
        }
    }

    /// Nobody will come for what it puts, or with what it gets.
    fn refuse(&self) {
        // Before it is woken.
        self.is_refused.store(true, Relaxed);
        self.waiter.wake_one();
    }
}

impl<O: Order> State<O> {
    fn has_room(&self) -> bool {
        self.capacity
            .is_none_or(|capacity| self.store.len() < capacity)
    }

    /// Moves the items of waiting putters into the store, as long as there is room. They must not
    /// run, and put what comes next, before that.
    fn refill(&mut self) {
        while self.has_room()
            && let Some(putter) = self.putting.pop_front()
        {
            if let Some(item) = putter.empty() {
                self.store.push(item);
            }
        }
    }
}

impl<O: Order> Core<O> {
    /// `what` names it in a report.
    pub(crate) fn new(what: &'static str, store: O, capacity: Option<usize>) -> Core<O> {
        Core {
            what,
            state: ShortLock::new(State {
                store,
                capacity,
                getting: VecDeque::new(),
                putting: VecDeque::new(),
                is_shut_down: false,
            }),
        }
    }

    /// Puts an item if that can be done at once, else gives it back.
    pub(crate) fn try_put(&self, mut item: O::Item) -> Result<(), O::Item> {
        let mut state = self.state.lock();
        if state.is_shut_down {
            return Err(item);
        }
        while let Some(getter) = state.getting.pop_front() {
            match getter.fill(item) {
                Ok(()) => return Ok(()),
                Err(refused) => item = refused,
            }
        }
        if !state.has_room() {
            return Err(item);
        }
        state.store.push(item);
        Ok(())
    }

    /// As `try_put`, and waits for it until `deadline`, or until the queue is shut down.
    pub(crate) fn put(&self, item: O::Item, deadline: Deadline) -> Result<(), O::Item> {
        give_way();
        let mut unsent = self.try_put(item);
        while let Err(item) = unsent {
            if self.is_shut_down() {
                return Err(item);
            }
            let seat = Seat::new(Some(item));
            match self.wait(&seat, Side::Putting, deadline) {
                Wake::Woken if !seat.is_refused.load(Relaxed) => return Ok(()),
                wake => {
                    let item = seat.item.lock().take().expect("nobody came for it");
                    if wake == Wake::TimedOut {
                        return Err(item);
                    }
                    unsent = self.try_put(item);
                }
            }
        }
        Ok(())
    }

    /// Gets an item if that can be done at once.
    pub(crate) fn try_get(&self) -> Option<O::Item> {
        let mut state = self.state.lock();
        if let Some(item) = state.store.pop() {
            state.refill();
            return Some(item);
        }
        while let Some(putter) = state.putting.pop_front() {
            if let Some(item) = putter.empty() {
                return Some(item);
            }
        }
        None
    }

    /// As `try_get`, and waits for it until `deadline`, or until nothing comes any more.
    pub(crate) fn get(&self, deadline: Deadline) -> Option<O::Item> {
        give_way();
        loop {
            if let Some(item) = self.try_get() {
                return Some(item);
            }
            if self.is_shut_down() {
                // What was put in between.
                return self.try_get();
            }
            let seat = Seat::new(None);
            match self.wait(&seat, Side::Getting, deadline) {
                Wake::Woken => return seat.item.lock().take(),
                Wake::TimedOut => return None,
                Wake::NotNeeded => (),
            }
        }
    }

    fn wait(&self, seat: &Arc<Seat<O::Item>>, side: Side, deadline: Deadline) -> Wake {
        let listed = Listed {
            core: self,
            seat,
            side,
        };
        let wake = seat.waiter.wait(self.what, deadline, || {
            let mut state = self.state.lock();
            let cannot = match side {
                Side::Putting => !state.has_room() && state.getting.is_empty(),
                Side::Getting => state.store.len() == 0 && state.putting.is_empty(),
            };
            let needed = cannot && !state.is_shut_down;
            if needed {
                side.list(&mut state).push_back(seat.clone());
            }
            needed
        });
        if wake == Wake::Woken {
            // Who woke us has taken it off the list.
            std::mem::forget(listed);
        }
        wake
    }

    /// Changes how much there is room for; what is there stays.
    pub(crate) fn resize(&self, capacity: Option<usize>) {
        let mut state = self.state.lock();
        state.capacity = capacity;
        state.refill();
    }

    /// From now on nothing is put, and who waits here goes on without.
    pub(crate) fn shut_down(&self) {
        let mut state = self.state.lock();
        state.is_shut_down = true;
        state.putting.drain(..).for_each(|seat| seat.refuse());
        state.getting.drain(..).for_each(|seat| seat.refuse());
    }

    /// The same, and gives what was in it.
    pub(crate) fn shut_down_now(&self) -> Vec<O::Item> {
        self.shut_down();
        let mut state = self.state.lock();
        std::iter::from_fn(|| state.store.pop()).collect()
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.state.lock().is_shut_down
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.state.lock().capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().store.len()
    }

    pub(crate) fn getting(&self) -> usize {
        self.state.lock().getting.len()
    }

    pub(crate) fn putting(&self) -> usize {
        self.state.lock().putting.len()
    }
}

#[derive(Clone, Copy)]
enum Side {
    Putting,
    Getting,
}

impl Side {
    fn list<O: Order>(self, state: &mut State<O>) -> &mut VecDeque<Arc<Seat<O::Item>>> {
        match self {
            Side::Putting => &mut state.putting,
            Side::Getting => &mut state.getting,
        }
    }
}

/// Takes a seat off its list when the wait ends otherwise than by its being served.
struct Listed<'a, O: Order> {
    core: &'a Core<O>,
    seat: &'a Arc<Seat<O::Item>>,
    side: Side,
}

impl<O: Order> Drop for Listed<'_, O> {
    fn drop(&mut self) {
        let mut state = self.core.state.lock();
        let list = self.side.list(&mut state);
        if let Some(place) = list.iter().position(|seat| Arc::ptr_eq(seat, self.seat)) {
            list.remove(place);
        }
    }
}
