//! What a running program says by itself: the blocking detector, the log.

mod blocking_detector;
mod logging;
