//! Ctrl-C and SIGTERM, made into something a thread can wait for.

use std::io;

use green::signal::{
    Signals,
    consts::{SIGINT, SIGTERM},
};

/// The wish to stop.
#[derive(Debug)]
pub struct StopSignal {
    signals: Signals,
}

impl StopSignal {
    /// From now on the two signals no longer end the process.
    pub fn install() -> io::Result<StopSignal> {
        let signals = Signals::new([SIGINT, SIGTERM])?;
        Ok(StopSignal { signals })
    }

    /// Waits for the next of the two signals.
    pub fn wait(&self) -> io::Result<()> {
        self.signals.wait().map(drop)
    }
}
