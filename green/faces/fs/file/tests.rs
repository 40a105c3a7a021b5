use std::sync::Arc;

use super::{File, Locked};

#[test]
fn a_lock_that_nobody_takes_delivery_of_is_given_back() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let first = File::open(file.path()).unwrap();
    let second = File::open(file.path()).unwrap();
    first.inner.lock().unwrap();
    drop(Locked {
        file: Some(Arc::clone(&first.inner)),
    });
    second.try_lock().unwrap();
}
