//! What a TLS library refuses, in our words.

use std::io;

use openssl::error::ErrorStack;

/// The reasons in OpenSSL's queue, without its file names and line numbers.
pub(super) fn summary(stack: &ErrorStack) -> String {
    let mut reasons: Vec<&str> = stack
        .errors()
        .iter()
        .filter_map(|error| error.reason())
        .collect();
    reasons.dedup();
    if reasons.is_empty() {
        stack.to_string()
    } else {
        reasons.join(", ")
    }
}

/// An error in what the user gave us: a certificate, a key, a list of ciphers.
pub(super) fn refused(stack: ErrorStack) -> io::Error {
    malformed(summary(&stack))
}

pub(super) fn malformed(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// The refusal of what an engine cannot do.
pub(super) fn unsupported(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

/// Errors that other code left in this OS thread's queue would be taken for ours.
pub(super) fn forget_old_errors() {
    drop(ErrorStack::get());
}
