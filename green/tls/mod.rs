//! TLS, under two families of names. The feature `tls`.

pub mod native_tls;
pub mod ssl;
