//! What a program's own types are must not depend on `green` being among its crates.
//!
//! A crate that compares its types with std's (`impl PartialEq<Value> for u8`) takes away, from every program that has it
//! somewhere below, that the other side of a comparison is known. This file names no crate but `green`, so that it
//! compiles only as long as nothing of the kind comes with it.

use green as _;

/// Compares a value with one whose type only the comparison tells.
macro_rules! the_other_side_is_known {
    ($($kind:ty),* $(,)?) => {$(
        assert!(<$kind>::default() == Default::default(), stringify!($kind));
        assert!(Vec::<$kind>::new() == Vec::new(), stringify!($kind));
        assert!(None::<$kind> == None, stringify!($kind));
    )*};
}

#[test]
fn a_comparison_still_tells_the_type_of_its_other_side() {
    the_other_side_is_known!((), char, u128, i128, std::time::Duration);
    // The crate serde_json compares its values with these.
    #[cfg(not(feature = "json"))]
    the_other_side_is_known!(
        bool, u8, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64
    );
    // The crate http compares its status codes with it.
    #[cfg(not(feature = "http"))]
    the_other_side_is_known!(u16);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
    assert!(address == "127.0.0.1:80".parse().unwrap());
    assert!(7_u128 == "7".parse().unwrap());
}

#[test]
fn arithmetic_still_tells_the_type_of_its_result() {
    use std::time::Duration;

    let sum = Duration::from_secs(1) + Default::default();
    assert_eq!(sum.as_secs(), 1);
    let most = Duration::ZERO.max(Default::default());
    assert_eq!(most.as_secs(), 0);
    assert!(Duration::ZERO <= Default::default());
    assert!(1_i64 <= "2".parse().unwrap());
}
