use std::cell::Cell;
use std::rc::Rc;

use super::*;

#[derive(Debug)]
struct Owner {
    name: u32,
    place: Cell<Option<usize>>,
}

impl Timed for Rc<Owner> {
    fn place(&self) -> Option<usize> {
        self.place.get()
    }
    fn set_place(&self, place: Option<usize>) {
        self.place.set(place);
    }
}

fn owner(name: u32) -> Rc<Owner> {
    Rc::new(Owner {
        name,
        place: Cell::new(None),
    })
}

fn put(queue: &mut TimerQueue<Rc<Owner>>, owner: &Rc<Owner>, when: u64) {
    queue.at_latest(owner, Nanos(when).into(), || owner.clone());
}

#[test]
fn equal_deadlines_fire_in_order_of_registration() {
    let mut queue = TimerQueue::new();
    let owners: Vec<_> = (0..12).map(owner).collect();
    put(&mut queue, &owners[0], 20);
    for owner in &owners[1..] {
        put(&mut queue, owner, 10);
    }
    let fired: Vec<u32> = std::iter::from_fn(|| queue.pop_due(Nanos(20)))
        .map(|owner| owner.name)
        .collect();
    assert_eq!(fired, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]);
}

#[test]
fn nothing_fires_early() {
    let mut queue = TimerQueue::new();
    put(&mut queue, &owner(0), 10);
    assert!(queue.pop_due(Nanos(9)).is_none());
    assert!(queue.pop_due(Nanos(10)).is_some());
}

#[test]
fn a_later_deadline_adds_no_entry() {
    let mut queue = TimerQueue::new();
    let one = owner(0);
    for when in (10..2010).rev() {
        put(&mut queue, &one, when);
    }
    for when in 10..2010 {
        put(&mut queue, &one, when);
    }
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.next(), Nanos(10).into());
}

#[test]
fn agrees_with_a_sorted_list_over_random_steps() {
    let mut queue = TimerQueue::new();
    let owners: Vec<_> = (0..200).map(owner).collect();
    let mut model: Vec<(u64, u32)> = Vec::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..20_000 {
        let who = (random() % 200) as u32;
        let when = random() % 1000;
        match random() % 4 {
            0 | 1 => {
                put(&mut queue, &owners[who as usize], when);
                match model.iter_mut().find(|(_, name)| *name == who) {
                    Some(entry) => entry.0 = entry.0.min(when),
                    None => model.push((when, who)),
                }
            }
            2 => {
                let removed = queue.remove(&owners[who as usize]).is_some();
                assert_eq!(removed, model.iter().any(|(_, name)| *name == who));
                model.retain(|(_, name)| *name != who);
            }
            _ => {
                let now = random() % 300;
                let earliest = model.iter().map(|(when, _)| *when).min();
                match queue.pop_due(Nanos(now)) {
                    Some(owner) => {
                        let at = model.iter().position(|(_, n)| *n == owner.name).unwrap();
                        assert_eq!(Some(model.swap_remove(at).0), earliest);
                    }
                    None => assert!(earliest.is_none_or(|when| when > now)),
                }
            }
        }
        assert_eq!(queue.len(), model.len());
    }
}
