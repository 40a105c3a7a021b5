//! What a `select` needs of either end of a channel.

use std::{sync::Arc, time::Instant};

use greenhub::Deadline;

use super::{context::Context, state::Claim};

/// What one end of a channel offers to a `select`.
pub(super) trait SelectHandle {
    /// Selects the operation if it can go on at once.
    fn try_select(&self) -> Option<Token>;
    /// Queues the operation, as number `operation` of `context`; `None` if it can go on at once.
    fn register(&self, context: &Arc<Context>, operation: usize) -> Option<Token>;
    /// As `register`, but selection means only that the operation may have become ready.
    fn watch(&self, context: &Arc<Context>, operation: usize) -> Option<Token>;
    /// Ends what `try_select`, `register` or `watch` began.
    fn cancel(&self, token: Token);
    fn is_ready(&self) -> bool;
    /// When the operation becomes ready by itself.
    fn deadline(&self) -> Deadline;
    fn address(&self) -> *const ();
}

/// What a channel needs to go on with an operation.
#[derive(Clone, Copy)]
pub(super) enum Token {
    Claim(Claim),
    Moment(Instant),
    Nothing,
}
