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
            if without_cr(&self.buffer).len() > LONGEST {
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
    let line = without_cr(line.strip_suffix(b"\n").unwrap_or(line));
    if line.len() > LONGEST {
        return Input::TooLong;
    }
    Input::Text(String::from_utf8_lossy(line).into_owned())
}

/// A line's end may have come by half.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use greenhub::greenio::{Domain, Type};

    use super::*;

    /// What is read of a client that sends these pieces, each received by itself, and ends.
    fn inputs(pieces: &[&str]) -> Vec<Input> {
        let (near, far) = GreenSocket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        for piece in pieces {
            near.send_all(piece.as_bytes()).unwrap();
        }
        drop(near);
        let mut inputs = Inputs::new(&far);
        let mut all = Vec::new();
        loop {
            all.push(inputs.next().unwrap());
            if matches!(all.last(), Some(Input::TooLong | Input::End)) {
                return all;
            }
        }
    }

    #[test]
    fn the_longest_line_is_one_wherever_its_end_is_cut() {
        let line = "x".repeat(LONGEST);
        for end in [&["\n"][..], &["\r\n"], &["\r", "\n"], &["\r"], &[]] {
            let pieces = [&[&line[..]], end].concat();
            let expected = [Input::Text(line.clone()), Input::End];
            assert_eq!(inputs(&pieces), expected, "{end:?}");
        }
        assert_eq!(inputs(&[&line, "x"]), [Input::TooLong]);
        assert_eq!(inputs(&[&line, "\r", "x"]), [Input::TooLong]);
    }
}
