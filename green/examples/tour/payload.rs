//! Traffic whose damage would show: random bytes, framed with their length and checksum.

use std::io::{self, Read, Write};

/// Random enough for traffic, and the same in every run.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each `seed`.
    pub fn new(seed: usize) -> Random {
        Random((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Longest payload of a frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;
const HEADER_BYTES: usize = 8;

/// Makes `frame` one that carries `len` random bytes.
pub fn make_frame(frame: &mut Vec<u8>, random: &mut Random, len: usize) {
    frame.resize(HEADER_BYTES + len, 0);
    random.fill(&mut frame[HEADER_BYTES..]);
    seal(frame);
}

fn seal(frame: &mut [u8]) {
    let len = (frame.len() - HEADER_BYTES) as u32;
    let checksum = crc32fast::hash(&frame[HEADER_BYTES..]);
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame[4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads one frame, header and all, into `frame` and checks it. False: the peer has ended in good
/// order, between two frames.
pub fn read_frame(stream: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<bool> {
    frame.resize(HEADER_BYTES, 0);
    let first = stream.read(frame)?;
    if first == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut frame[first..])?;
    let field =
        |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let (len, checksum) = (field(0) as usize, field(4));
    if len > FRAME_BYTES_MAX {
        return Err(damaged());
    }
    frame.resize(HEADER_BYTES + len, 0);
    stream.read_exact(&mut frame[HEADER_BYTES..])?;
    match crc32fast::hash(&frame[HEADER_BYTES..]) == checksum {
        true => Ok(true),
        false => Err(damaged()),
    }
}

/// Checks a frame that came in one piece.
pub fn check_frame(mut bytes: &[u8]) -> io::Result<()> {
    match read_frame(&mut bytes, &mut Vec::new())? && bytes.is_empty() {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// Answers every frame with the same frame, until the peer ends.
pub fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut frame = Vec::new();
    while read_frame(&mut stream, &mut frame)? {
        stream.write_all(&frame)?;
    }
    Ok(())
}

/// Sends a frame with `len` bytes and sees it come back the same.
pub fn exchange(mut stream: impl Read + Write, random: &mut Random, len: usize) -> io::Result<()> {
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    make_frame(&mut sent, random, len);
    stream.write_all(&sent)?;
    match read_frame(&mut stream, &mut received)? {
        true if received == sent => Ok(()),
        true => Err(damaged()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the bytes that came are not those that were sent",
    )
}
