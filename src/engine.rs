//! The engine: coroutines with stacks of their own, and the stacks.
//!
//! All that the rest of the crate knows of an engine:
//!
//! - `prepare`, once, before the first fiber;
//! - `Stack`, a stack or the right to one, which is taken when a green thread is
//!   spawned, so that a limit is met there and nowhere else; `Stacks`, what a hub
//!   keeps of them;
//! - `Fiber`: `new`, `resume`, `suspend`, `suspend_for`, `call_on_hub`, `end`, and the `top` of its
//!   stack; `set_owner`, whose it is; `as_raw` and `from_raw`, itself as one word.
//!
//! There are two engines: [`own`], and `may` by the feature `engine-may`. If a program goes wrong
//! with the one and well with the other, the switch is at fault.

#[cfg(feature = "engine-may")]
mod may;
#[cfg(not(feature = "engine-may"))]
mod own;

#[cfg(feature = "engine-may")]
pub(crate) use may::{Fiber, Stack, Stacks, prepare};
#[cfg(not(feature = "engine-may"))]
pub(crate) use own::{Fiber, Stack, Stacks, prepare};
