//! How bulk is asked for: a head says how many bytes follow it, and how many
//! the server is to send after them; an acknowledgement ends the exchange.

/// Bytes of a head, and of an acknowledgement.
pub const HEAD: usize = 16;

/// Bytes of each write, and of each read's buffer.
pub const BLOCK: usize = 16 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Bytes from the client.
    pub up: usize,
    /// Bytes from the server.
    pub down: usize,
}

impl Request {
    /// As it travels.
    pub fn to_head(self) -> [u8; HEAD] {
        let both = (self.up as u128) << 64 | self.down as u128;
        both.to_be_bytes()
    }

    /// What arrived.
    pub fn from_head(head: [u8; HEAD]) -> Request {
        let both = u128::from_be_bytes(head);
        Request {
            up: (both >> 64) as usize,
            down: both as u64 as usize,
        }
    }

    /// The lengths of the server's writes.
    pub fn writes(self) -> impl Iterator<Item = usize> {
        (0..self.down)
            .step_by(BLOCK)
            .map(move |start| (self.down - start).min(BLOCK))
    }
}
