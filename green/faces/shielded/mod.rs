//! std's names once more, for code with `unsafe` of its own: a wait here is not ended by a kill or a limit.
//!
//! Each type is the one of the same name in [`green::sync`](crate::sync), [`green::thread`](crate::thread) or
//! [`green::channel`](crate::channel), but each of its waits is in a [`shield`](crate::shield()). Kills and limits take
//! effect after it. Why `unsafe` code may need that stands on the page [*Soundness*](crate::guide::soundness).
//!
//! A reference to a type here can be used as one to the type that it stands for; [`of`](sync::Mutex::of) and
//! [`into_unshielded`](sync::Mutex::into_unshielded) convert. Guards and errors are those of the other module. A method
//! that is called by path on the other type (`green::sync::Mutex::lock(&mutex)`) is not shielded.
//!
//! # Examples
//!
//! ```
//! use green::shielded::sync::mpsc::channel;
//! use green::thread;
//!
//! let (send, receive) = channel();
//! let waiter = thread::spawn(move || {
//!     let received = receive.recv();
//!     // The kill acts here.
//!     thread::yield_now();
//!     received
//! });
//! while !waiter.is_started() {
//!     thread::yield_now();
//! }
//! waiter.kill()?;
//! send.send(7).unwrap();
//! assert!(waiter.join().is_err());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod channel;
pub mod sync;
pub mod thread;

/// A type of one field that can be used as what it holds.
macro_rules! shielded {
    ($(#[$meta:meta])* $name:ident [$($declared:tt)*] [$($used:tt)*] over $inner:ty) => {
        $(#[$meta])*
        pub struct $name<$($declared)*>($inner);

        impl<$($declared)*> ::std::ops::Deref for $name<$($used)*> {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }

        impl<$($declared)*> ::std::ops::DerefMut for $name<$($used)*> {
            fn deref_mut(&mut self) -> &mut $inner {
                &mut self.0
            }
        }

        impl<$($declared)*> ::std::fmt::Debug for $name<$($used)*>
        where
            $inner: ::std::fmt::Debug,
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

/// The way in and out for types that own what they hold.
macro_rules! converted {
    ($name:ident [$($declared:tt)*] [$($used:tt)*] over $inner:ty) => {
        impl<$($declared)*> $name<$($used)*> {
            /// The same, its waits shielded.
            pub const fn of(unshielded: $inner) -> Self {
                $name(unshielded)
            }

            /// The same, its waits not shielded.
            pub fn into_unshielded(self) -> $inner {
                self.0
            }
        }
    };
}

/// The iterators over a module's `Receiver`.
macro_rules! received_by_iterators {
    () => {
        /// Waits for each value; ends when the channel is empty and no sender is left. By
        /// [`Receiver::iter`].
        #[derive(Debug)]
        pub struct Iter<'a, T>(&'a Receiver<T>);

        /// As [`Iter`], and owns the receiver.
        #[derive(Debug)]
        pub struct IntoIter<T>(Receiver<T>);

        impl<T> Iterator for Iter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.0.recv().ok()
            }
        }

        impl<T> Iterator for IntoIter<T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.0.recv().ok()
            }
        }

        impl<'a, T> IntoIterator for &'a Receiver<T> {
            type Item = T;
            type IntoIter = Iter<'a, T>;

            fn into_iter(self) -> Iter<'a, T> {
                self.iter()
            }
        }

        impl<T> IntoIterator for Receiver<T> {
            type Item = T;
            type IntoIter = IntoIter<T>;

            fn into_iter(self) -> IntoIter<T> {
                IntoIter(self)
            }
        }
    };
}

use converted;
use received_by_iterators;
use shielded;
