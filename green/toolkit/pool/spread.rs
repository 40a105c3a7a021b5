//! Functions whose arguments come as a tuple.

/// A function whose arguments come as a tuple: what [`GreenPool::starmap`](super::GreenPool::starmap)
/// calls. Functions and closures of one to six arguments implement it.
///
/// ```
/// use green::pool::Spread;
///
/// assert_eq!(u32::pow.spread((2, 5)), 32);
/// ```
pub trait Spread<Arguments> {
    /// What it returns.
    type Output;

    /// Calls it with the elements of the tuple as its arguments.
    fn spread(&self, arguments: Arguments) -> Self::Output;
}

macro_rules! spread {
    ($($type:ident $value:ident),+) => {
        impl<F, T, $($type),+> Spread<($($type,)+)> for F
        where
            F: Fn($($type),+) -> T,
        {
            type Output = T;

            fn spread(&self, ($($value,)+): ($($type,)+)) -> T {
                self($($value),+)
            }
        }
    };
}

spread!(A a);
spread!(A a, B b);
spread!(A a, B b, C c);
spread!(A a, B b, C c, D d);
spread!(A a, B b, C c, D d, E e);
spread!(A a, B b, C c, D d, E e, G g);
