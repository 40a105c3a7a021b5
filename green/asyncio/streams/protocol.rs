//! The protocol between a transport and the two ends of a stream.

use std::io;

use super::super::{Future, Protocol, Transport};
use super::reader::{Pausable, StreamReader, keep};
use crate::io::kept_error::KeptError;

/// Feeds a reader, and notes the end for the writer.
pub(super) struct Feeder {
    pub(super) reader: StreamReader,
    /// Completed when the connection is over: with what broke it, if anything did.
    pub(super) closed: Future<Option<KeptError>>,
    /// What a server does with a new connection.
    pub(super) connected: Option<Connected>,
}

type Connected = Box<dyn FnOnce(Transport) -> io::Result<()> + Send>;

impl Feeder {
    pub(super) fn new(reader: &StreamReader) -> Feeder {
        Feeder {
            reader: reader.clone(),
            closed: Future::new(),
            connected: None,
        }
    }
}

impl Protocol for Feeder {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        self.reader.set_source(Box::new(transport.clone()));
        match self.connected.take() {
            Some(connected) => connected(transport),
            None => Ok(()),
        }
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        self.reader.feed_data(data);
        Ok(())
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.reader.feed_eof();
        // What is still to be written may be.
        Ok(true)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let failure = error.map(keep);
        match failure.clone() {
            Some(failure) => self.reader.fail(failure),
            None => self.reader.feed_eof(),
        }
        // Only here is it completed, and only once.
        let _ = self.closed.set_result(failure);
    }
}

impl Pausable for Transport {
    fn pause_reading(&self) {
        Transport::pause_reading(self);
    }

    fn resume_reading(&self) {
        Transport::resume_reading(self);
    }
}
