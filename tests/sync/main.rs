//! `green::sync` and `green::channel`: what green threads and OS threads wait for from each other.

mod channels;
mod fairness;
mod interrupts;
mod locks;
