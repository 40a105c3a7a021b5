//! [`select!`](super::select!): an arm for each operation.
//!
//! The arms are read one by one into a list; then the handles are bound, each under a name of its
//! own (every expansion step makes a fresh `handle`), the operation is chosen, and the list becomes
//! the arms of a `match` on its number.

/// Waits for the first of several channel operations, completes it, and runs its arm.
///
/// - `recv(receiver) -> result => …` receives; `result` is a pattern for `Result<T, RecvError>`.
/// - `send(sender, value) -> result => …` sends; `result` is a pattern for
///   `Result<(), SendError<T>>`. `value` is evaluated only if the operation is chosen.
/// - `default => …` runs if no operation can go on at once.
/// - `default(timeout) => …` runs if none can go on within that time (a `Duration`).
///
/// If several can go on, one is chosen at random; see `select_biased!` for the first. An operation
/// on a disconnected channel can go on: its result is an error.
///
/// # Examples
///
/// ```
/// use green::channel::{bounded, select, unbounded};
/// use std::time::Duration;
///
/// let (numbers, number) = unbounded();
/// let (words, word) = bounded::<&str>(1);
/// numbers.send(1).unwrap();
/// words.send("full").unwrap();
///
/// select! {
///     recv(number) -> result => assert_eq!(result, Ok(1)),
///     send(words, "more") -> _ => unreachable!("there is no room"),
///     default(Duration::from_secs(1)) => panic!("nothing came"),
/// }
/// # drop(word);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __channel_select {
    ($($arms:tt)*) => {
        $crate::__channel_select_arms!(
            ($crate::channel::Select::new()) () () $($arms)*
        )
    };
}

/// As `select!`, but if several operations can go on, the first is chosen.
///
/// # Examples
///
/// ```
/// use green::channel::{select_biased, unbounded};
///
/// let (urgent, first) = unbounded();
/// let (idle, second) = unbounded();
/// idle.send(1).unwrap();
/// urgent.send(2).unwrap();
/// select_biased! {
///     recv(first) -> value => assert_eq!(value, Ok(2)),
///     recv(second) -> _ => unreachable!(),
/// }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __channel_select_biased {
    ($($arms:tt)*) => {
        $crate::__channel_select_arms!(
            ($crate::channel::Select::new_biased()) () () $($arms)*
        )
    };
}

/// Reads arms: `(how to make the Select) (operations read) (default read) arms…`.
#[doc(hidden)]
#[macro_export]
macro_rules! __channel_select_arms {
    // An arm with a block needs no comma.
    ($new:tt ($($done:tt)*) $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $body:block $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (recv ($receiver) $result, $body)) $default $($($rest)*)?
        )
    };
    ($new:tt ($($done:tt)*) $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (recv ($receiver) $result, $body)) $default $($rest)*
        )
    };
    ($new:tt ($($done:tt)*) $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (recv ($receiver) $result, $body)) $default $($($rest)*)?
        )
    };
    ($new:tt ($($done:tt)*) $default:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:block $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (send ($sender, $value) $result, $body)) $default $($($rest)*)?
        )
    };
    ($new:tt ($($done:tt)*) $default:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (send ($sender, $value) $result, $body)) $default $($rest)*
        )
    };
    ($new:tt ($($done:tt)*) $default:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new ($($done)* (send ($sender, $value) $result, $body)) $default $($($rest)*)?
        )
    };
    ($new:tt $done:tt ()
        default $(($($timeout:expr)? $(,)?))? => $body:block $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new $done (($($($timeout)?)?) $body) $($($rest)*)?
        )
    };
    ($new:tt $done:tt ()
        default $(($($timeout:expr)? $(,)?))? => $body:block $($rest:tt)*) => {
        $crate::__channel_select_arms!(
            $new $done (($($($timeout)?)?) $body) $($rest)*
        )
    };
    ($new:tt $done:tt ()
        default $(($($timeout:expr)? $(,)?))? => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__channel_select_arms!(
            $new $done (($($($timeout)?)?) $body) $($($rest)*)?
        )
    };
    // All read.
    (($new:expr) $done:tt $default:tt) => {{
        #[allow(unused_mut, reason = "an empty list, or one with `default` only, is allowed")]
        let mut select = $new;
        $crate::__channel_select_bind!(select $done () $default)
    }};
}

/// Binds the handles: `select (operations to bind) (operations bound) (default)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __channel_select_bind {
    ($select:ident ((recv ($receiver:expr) $result:pat, $body:expr) $($rest:tt)*)
        ($($bound:tt)*) $default:tt) => {
        match &$receiver {
            handle => {
                let index = $select.recv(handle);
                $crate::__channel_select_bind!(
                    $select ($($rest)*)
                    ($($bound)* (index, |operation| operation.recv(handle), $result, $body))
                    $default
                )
            }
        }
    };
    ($select:ident ((send ($sender:expr, $value:expr) $result:pat, $body:expr) $($rest:tt)*)
        ($($bound:tt)*) $default:tt) => {
        match &$sender {
            handle => {
                let index = $select.send(handle);
                $crate::__channel_select_bind!(
                    $select ($($rest)*)
                    ($($bound)* (index, |operation| operation.send(handle, $value), $result, $body))
                    $default
                )
            }
        }
    };
    ($select:ident () $bound:tt ()) => {
        $crate::__channel_select_run!($select.select(), $bound)
    };
    ($select:ident () $bound:tt (() $body:expr)) => {
        match $select.try_select() {
            Ok(operation) => $crate::__channel_select_run!(operation, $bound),
            Err(_) => $body,
        }
    };
    ($select:ident () $bound:tt (($timeout:expr) $body:expr)) => {
        match $select.select_timeout($timeout) {
            Ok(operation) => $crate::__channel_select_run!(operation, $bound),
            Err(_) => $body,
        }
    };
}

/// Completes the chosen operation and runs its arm.
#[doc(hidden)]
#[macro_export]
macro_rules! __channel_select_run {
    ($chosen:expr, ($(($index:ident, |$operation:ident| $complete:expr, $result:pat, $body:expr))*)) => {{
        let chosen = $chosen;
        match chosen.index() {
            $(
                number if number == $index => {
                    let $operation = chosen;
                    let $result = $complete;
                    $body
                }
            )*
            _ => unreachable!("the chosen operation is one of these"),
        }
    }};
}
