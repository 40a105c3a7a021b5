//! How a green thread leaves its result, and who waits for it.

use std::sync::Arc;
use std::task::Waker;

use crate::atomic::{AtomicBool, Ordering};
use crate::deadline::Deadline;
use crate::hub::site::Site;
use crate::hub::wait::{Request, Wake};
use crate::sys::lock::Lock;
use crate::wait_queue::{QueueEnd, WaitQueue};

type Result<T> = T;

pub struct Packet<T> {
    outcome: Lock<Completion<T>>,
    finished: AtomicBool,
    joiners: WaitQueue,
}

struct Completion<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

pub struct JoinInner<T> {
    pub packet: Arc<Packet<T>>,
}

impl<T> Packet<T> {
    pub fn new() -> Arc<Packet<T>> {
        Arc::new(Packet {
            outcome: Lock::new(Completion {
                result: None,
                waker: None,
            }),
            finished: AtomicBool::new(false),
            joiners: WaitQueue::new(),
        })
    }
}

impl<T> JoinInner<T> {
    fn is_finished(&self) -> bool {
        self.packet.finished.load(Ordering::Acquire)
    }
}

mod packet {
    use super::*;

    source!("src_green_thread_packet.rs");
}

source!("src_green_thread_join_handle.rs");
