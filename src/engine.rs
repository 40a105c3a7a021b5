//! The engine: coroutines with stacks of their own, and the stacks.
//!
//! All that the rest of the crate knows of an engine:
//!
//! - `prepare`, once, before the first fiber;
//! - `Stack`, a stack or the right to one, which is taken when a green thread is
//!   spawned, so that a limit is met there and nowhere else; `Stacks`, what a hub
//!   keeps of them;
//! - `Fiber`: `new`, `resume`, `suspend`, `end`, and the `top` of its stack.
//!
//! Two engines have it: [`own`] where there is a switch of ours, and `may` by the
//! feature `engine-may`, for other architectures.

#[cfg(feature = "engine-may")]
mod may;
#[cfg(not(feature = "engine-may"))]
mod own;

#[cfg(all(
    not(feature = "engine-may"),
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
))]
compile_error!(
    "green switches stacks itself on x86-64 and aarch64 only; on this architecture enable the \
     feature `engine-may` (of green-std or greenhub)"
);

#[cfg(feature = "engine-may")]
pub(crate) use may::{Fiber, Stack, Stacks, prepare};
#[cfg(not(feature = "engine-may"))]
pub(crate) use own::{Fiber, Stack, Stacks, prepare};
