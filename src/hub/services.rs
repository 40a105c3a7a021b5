//! What serves a hub's green threads from above the hub: timers of futures, wakers of others.
//!
//! A hub has one of each type, made when it is first asked for. They are kept in the hub and not by
//! its number, since each simulation's hub has the same.

use std::any::Any;
use std::sync::Arc;

use crate::sys::lock::Lock;

#[derive(Default)]
pub(crate) struct Services {
    of_each_type: Lock<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl Services {
    pub(crate) fn get<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut all = self.of_each_type.lock();
        let found = all.iter().find(|service| service.is::<T>()).cloned();
        let service = found.unwrap_or_else(|| {
            let new: Arc<dyn Any + Send + Sync> = Arc::new(T::default());
            all.push(Arc::clone(&new));
            new
        });
        service.downcast().expect("found by its type")
    }

    /// The simulation has ended, and the green threads that served it. What it left is not the next one's.
    #[cfg(feature = "sim")]
    pub(crate) fn end(&self) {
        // What they hold may be a user's: outside the lock.
        let ended = std::mem::take(&mut *self.of_each_type.lock());
        drop(ended);
    }
}
