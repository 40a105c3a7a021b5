//! What a client sends, a line at a time, in bounded memory.

use std::io;

use greenhub::greenio::GreenSocket;

/// Bytes of a line, its end not counted.
pub(super) const LONGEST: usize = 1024;

pub(super) struct Inputs<'a> {
    socket: &'a GreenSocket,
    buffer: Vec<u8>,
    ended: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Without its end; what is not UTF-8 is replaced.
    Text(String),
    TooLong,
    End,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(socket: &'a GreenSocket) -> Inputs<'a> {
        Inputs {
            socket,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// The next line, also the last one that has no end.
    pub(super) fn next(&mut self) -> io::Result<Input> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(text(&line));
            }
            if self.buffer.len() > LONGEST {
                return Ok(Input::TooLong);
            }
            if self.ended {
                return Ok(match std::mem::take(&mut self.buffer) {
                    none if none.is_empty() => Input::End,
                    last => text(&last),
                });
            }
            let mut chunk = [0; LONGEST];
            match self.socket.recv(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn text(line: &[u8]) -> Input {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST {
        return Input::TooLong;
    }
    Input::Text(String::from_utf8_lossy(line).into_owned())
}
