//! Signals that stop a server.

use std::io;
use std::sync::Arc;

use signal_hook::low_level::emulate_default_handler;

use crate::signal::Signals;
use crate::signal::consts::{SIGINT, SIGTERM};
use crate::thread::Builder;

/// SIGTERM and Ctrl-C, heard until it is dropped: the first stops, the second ends the process.
#[derive(Debug)]
pub(crate) struct StopSignals(Arc<Signals>);

impl StopSignals {
    pub(crate) fn new(stop: impl FnOnce() + Send + 'static) -> io::Result<StopSignals> {
        let signals = StopSignals(Arc::new(Signals::new([SIGTERM, SIGINT])?));
        let heard = signals.0.clone();
        let thread = Builder::new().name("stop signals".to_owned());
        thread.spawn(move || {
            if heard.wait().is_ok() {
                stop();
            }
            if let Ok(signal) = heard.wait() {
                let _ = emulate_default_handler(signal);
            }
        })?;
        Ok(signals)
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        self.0.close();
    }
}
