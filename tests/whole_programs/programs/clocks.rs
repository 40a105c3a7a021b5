//! Time, sleeping and parking; futures by hand.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct After(Instant);

impl Future for After {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if Instant::now() >= self.0 {
            return Poll::Ready("it is time");
        }
        let (waker, time) = (context.waker().clone(), self.0);
        thread::spawn(move || {
            thread::sleep(time.saturating_duration_since(Instant::now()));
            waker.wake();
        });
        Poll::Pending
    }
}

fn main() {
    let begun = Instant::now();
    let mut future = pin!(After(begun + Duration::from_millis(30)));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let words = loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(words) => break words,
            Poll::Pending => thread::park(),
        }
    };
    std::assert!(begun.elapsed() >= Duration::from_millis(30));
    std::println!("{words}");
    std::println!("{}", SystemTime::now().duration_since(UNIX_EPOCH).is_ok());
    thread::park_timeout(std::default::Default::default());
    std::println!("{}", std::any::type_name::<Duration>() == std::any::type_name_of_val(&Duration::ZERO));
}
