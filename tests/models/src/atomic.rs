//! loom's atomics with std's newest functions, and with what loom lacks of `SeqCst`: it takes such an access for one
//! that acquires and releases. A fence after each such change
//! stands for it: of two threads that each change one thing and then look at the other's, one sees the other.

pub use loom::sync::atomic::fence;
pub use std::sync::atomic::{Ordering, compiler_fence};

/// What nobody else can reach, to be written back.
pub struct Writing<'a, T: Copy> {
    value: T,
    write: Box<dyn Fn(T) + 'a>,
}

impl<T: Copy> std::ops::Deref for Writing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Copy> std::ops::DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Copy> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        (self.write)(self.value);
    }
}

fn settle(order: Ordering) {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        #[derive(Debug)]
        pub struct $name(loom::sync::atomic::$name);

        impl Default for $name {
            fn default() -> $name {
                $name::new(Default::default())
            }
        }

        impl $name {
            pub fn new(value: $value) -> $name {
                $name(loom::sync::atomic::$name::new(value))
            }

            pub fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            pub fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
                settle(order);
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                let before = self.0.swap(value, order);
                settle(order);
                before
            }

            pub fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let done = self.0.compare_exchange(from, to, success, failure);
                settle(success);
                done
            }

            pub fn compare_exchange_weak(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(from, to, success, failure)
            }

            pub fn try_update(
                &self,
                success: Ordering,
                failure: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.0.fetch_update(success, failure, f)
            }

            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.0.fetch_update(success, failure, f)
            }

            pub fn update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut f: impl FnMut($value) -> $value,
            ) -> $value {
                self.0
                    .fetch_update(success, failure, |value| Some(f(value)))
                    .unwrap_or_else(|value| value)
            }

            pub fn get_mut(&mut self) -> Writing<'_, $value> {
                let value = self.load(Ordering::Relaxed);
                Writing {
                    value,
                    write: Box::new(|value| self.store(value, Ordering::Relaxed)),
                }
            }
        }
    };
}

macro_rules! number {
    ($name:ident, $value:ty) => {
        atomic!($name, $value);

        impl $name {
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                let before = self.0.fetch_add(value, order);
                settle(order);
                before
            }

            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                let before = self.0.fetch_sub(value, order);
                settle(order);
                before
            }

            pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                let before = self.0.fetch_and(value, order);
                settle(order);
                before
            }
        }
    };
}

atomic!(AtomicBool, bool);
number!(AtomicU8, u8);
number!(AtomicU32, u32);
number!(AtomicU64, u64);
number!(AtomicUsize, usize);
