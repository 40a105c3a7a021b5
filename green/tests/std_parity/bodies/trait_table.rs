//! `trait_table!`: which traits a type implements, seen at run time.

/// Whether the type implements the trait: the inherent constant, which exists
/// only if it does, is preferred to the trait's.
macro_rules! implements {
    ($type:ty, $($bound:tt)+) => {{
        #[allow(dead_code, reason = "unused where the trait is implemented")]
        trait Otherwise {
            const YES: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "unused where the trait is not implemented")]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            const YES: bool = true;
        }
        <Probe<$type>>::YES
    }};
}

/// The names of those of the traits that the type implements.
macro_rules! implemented {
    ($type:ty, [$(($($bound:tt)+)),* $(,)?]) => {{
        let mut names: Vec<&'static str> = Vec::new();
        $(
            if implements!($type, $($bound)+) {
                names.push(stringify!($($bound)+));
            }
        )*
        names
    }};
}

/// Writes down for each of the types which traits it implements. The auto traits
/// must be the same over green; of the others it may have more.
macro_rules! trait_table {
    ($t:ident, [$($type:ty),* $(,)?]) => {
        $(
            $t.see(
                concat!(stringify!($type), ", auto traits"),
                implemented!($type, [
                    (Send), (Sync), (Unpin),
                    (std::panic::UnwindSafe), (std::panic::RefUnwindSafe),
                ]),
            );
            $t.at_least(
                stringify!($type),
                implemented!($type, [
                    (std::fmt::Debug), (std::fmt::Display), (std::fmt::Write),
                    (std::error::Error), (Clone), (Copy), (PartialEq), (Eq), (PartialOrd),
                    (Ord), (std::hash::Hash), (Default),
                    (std::io::Read), (std::io::Write), (std::io::BufRead), (std::io::Seek),
                    (super::lib::io::IsTerminal),
                    (Iterator), (DoubleEndedIterator), (ExactSizeIterator),
                    (std::iter::FusedIterator), (IntoIterator),
                    (std::os::fd::AsFd), (std::os::fd::AsRawFd), (std::os::fd::FromRawFd),
                    (std::os::fd::IntoRawFd), (From<std::os::fd::OwnedFd>),
                    (Into<std::os::fd::OwnedFd>), (Into<std::process::Stdio>),
                ]),
            );
        )*
    };
}
