//! Receiving by iterator.

use std::{fmt, iter::FusedIterator};

use super::Receiver;

/// Waits for each value; ends when the channel is empty and disconnected. Made by
/// [`Receiver::iter`].
///
/// ```
/// use green::channel::{Iter, unbounded};
///
/// let (sender, receiver) = unbounded();
/// green::thread::spawn(move || (1..=3).try_for_each(|n| sender.send(n)));
/// let mut values: Iter<'_, i32> = receiver.iter();
/// assert_eq!(values.next(), Some(1));
/// assert_eq!(values.sum::<i32>(), 2 + 3);
/// ```
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// Never waits; ends when the channel is empty. Made by [`Receiver::try_iter`].
///
/// ```
/// use green::channel::{TryIter, unbounded};
///
/// let (sender, receiver) = unbounded();
/// sender.send('a').unwrap();
/// let mut there: TryIter<'_, char> = receiver.try_iter();
/// assert_eq!((there.next(), there.next()), (Some('a'), None));
/// // It goes on when more has come.
/// sender.send('b').unwrap();
/// assert_eq!(there.next(), Some('b'));
/// ```
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// As [`Iter`], but owns the receiver.
///
/// ```
/// use green::channel::{IntoIter, unbounded};
///
/// let (sender, receiver) = unbounded();
/// let values: IntoIter<i32> = receiver.into_iter();
/// let sum = green::thread::spawn(|| values.sum::<i32>());
/// (1..=3).try_for_each(|n| sender.send(n)).unwrap();
/// drop(sender);
/// assert_eq!(sum.join().unwrap(), 6);
/// ```
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Receiver<T> {
    /// Receives until the channel is empty and disconnected, and waits in between.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = green::channel::unbounded();
    /// green::thread::spawn(move || (1..=3).try_for_each(|value| sender.send(value)));
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Receives until it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = green::channel::unbounded();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    #[must_use]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
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
        IntoIter { receiver: self }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
