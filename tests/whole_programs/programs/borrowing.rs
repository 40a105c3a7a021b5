//! Threads that borrow, values of a thread, cells and counted pointers.

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::{Rc, Weak};
use std::sync::{LazyLock, Mutex};
use std::thread;

static NAMES: LazyLock<Mutex<Vec<Cow<'static, str>>>> = LazyLock::new(Mutex::default);

std::thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

struct Node {
    children: RefCell<Vec<Rc<Node>>>,
    parent: RefCell<Weak<Node>>,
}

fn main() {
    let numbers: Vec<u64> = (1..=1000).collect();
    let sums: Vec<u64> = thread::scope(|scope| {
        let parts: Vec<_> = numbers.chunks(300).map(|part| scope.spawn(move || {
            DEPTH.set(DEPTH.get() + 1);
            NAMES.lock().unwrap().push(std::format!("{}", DEPTH.get()).into());
            part.iter().sum()
        })).collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    std::println!("{sums:?} {:?} {}", NAMES.lock().unwrap(), DEPTH.get());

    let root = Rc::new(Node { children: RefCell::default(), parent: RefCell::default() });
    let leaf = Rc::new(Node { children: RefCell::default(), parent: RefCell::default() });
    *leaf.parent.borrow_mut() = Rc::downgrade(&root);
    root.children.borrow_mut().push(leaf.clone());
    std::println!("{} {}", Rc::strong_count(&leaf), leaf.parent.borrow().upgrade().is_some());

    panic::set_hook(Box::new(|_| ()));
    let caught: Box<dyn Any + Send> = panic::catch_unwind(AssertUnwindSafe(|| std::panic!("on purpose"))).unwrap_err();
    std::println!("{:?}", caught.downcast_ref::<&str>());
}
