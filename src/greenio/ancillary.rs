//! Ancillary data, which travels with the bytes of a message.
//!
//! Control messages (`cmsg(3)`) are read and written as plain bytes; what they mean is left to the
//! socket's family and its user. The exceptions, descriptors that come along (`SCM_RIGHTS`, `SCM_PIDFD`),
//! are turned into [`OwnedFd`]s, so that none leaks.

#![expect(unsafe_code, reason = "takes ownership of received descriptors")]

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::c_int;
use socket2::SockAddr;

use crate::sys::{fd, socket};

/// A header is the length, the level and the type; all of it in whole words.
const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 2 * size_of::<c_int>();

/// From linux/socket.h; libc does not have it.
const SCM_PIDFD: c_int = 4;

/// What [`GreenSocket::recvmsg`](super::GreenSocket::recvmsg) brought.
#[derive(Debug)]
pub struct Received<'control> {
    /// How many bytes are in the buffers.
    pub len: usize,
    /// Who sent them, if the socket's family says so.
    pub address: SockAddr,
    /// The flags of the message, such as `MSG_TRUNC` and `MSG_CTRUNC`.
    pub flags: c_int,
    /// The control messages that came along.
    pub control: ControlMessages<'control>,
}

pub(super) fn received(raw: socket::Received, control: &mut [u8]) -> Received<'_> {
    let (bytes, _) = control.split_at(raw.control_len.min(control.len()));
    Received {
        len: raw.len,
        address: raw.address,
        flags: raw.flags,
        control: ControlMessages { rest: bytes },
    }
}

/// The control messages of one received message, in order.
///
/// Descriptors among them are owned by the iterator until it hands them out:
/// dropping it closes those that were not taken. A close does not wait: lingering is switched off for such a socket,
/// also for whoever has a duplicate.
#[derive(Debug)]
pub struct ControlMessages<'a> {
    rest: &'a [u8],
}

/// One control message.
#[derive(Debug)]
#[non_exhaustive]
pub enum ControlMessage<'a> {
    /// Descriptors that the peer sent (`SOL_SOCKET`, `SCM_RIGHTS`).
    Rights(Vec<OwnedFd>),
    /// The process that sent the message, as a pidfd (`SOL_SOCKET`, `SCM_PIDFD`), where the option `SO_PASSPIDFD` asks for it.
    Pidfd(OwnedFd),
    /// Any other, as the kernel wrote it.
    Other {
        /// The protocol level, such as `SOL_SOCKET`.
        level: c_int,
        /// The type within that level, such as `SCM_CREDENTIALS`.
        kind: c_int,
        /// The data without padding.
        data: &'a [u8],
    },
}

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let len = usize::from_ne_bytes(*self.rest.first_chunk()?);
        let level = c_int::from_ne_bytes(*self.rest.get(WORD..)?.first_chunk()?);
        let kind =
            c_int::from_ne_bytes(*self.rest.get(WORD + size_of::<c_int>()..)?.first_chunk()?);
        let data = self.rest.get(HEADER..len)?;
        self.rest = self
            .rest
            .get(len.next_multiple_of(WORD)..)
            .unwrap_or_default();
        Some(match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => ControlMessage::Rights(take_descriptors(data)),
            // If the process is gone, the kernel may give an error's number in its place.
            (libc::SOL_SOCKET, SCM_PIDFD) if data.first_chunk().is_some_and(is_descriptor) => {
                match take_descriptors(data).pop() {
                    Some(process) => ControlMessage::Pidfd(process),
                    None => ControlMessage::Other { level, kind, data },
                }
            }
            _ => ControlMessage::Other { level, kind, data },
        })
    }
}

impl Drop for ControlMessages<'_> {
    fn drop(&mut self) {
        for message in self {
            if let ControlMessage::Rights(descriptors) = message {
                // Its close is not to wait.
                descriptors
                    .iter()
                    .for_each(|socket| fd::linger_in_background(socket.as_raw_fd()));
            }
        }
    }
}

fn is_descriptor(bytes: &[u8; size_of::<RawFd>()]) -> bool {
    RawFd::from_ne_bytes(*bytes) >= 0
}

fn take_descriptors(data: &[u8]) -> Vec<OwnedFd> {
    let numbers = data.as_chunks::<{ size_of::<RawFd>() }>().0;
    let owned = numbers.iter().map(|bytes| {
        // SAFETY: the kernel has just installed this descriptor for us. The bytes
        // are those of one `recvmsg` (only `received` makes a `ControlMessages`)
        // and are passed over once, so nobody else owns it.
        unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(*bytes)) }
    });
    owned.collect()
}

/// Builds the ancillary data for
/// [`GreenSocket::sendmsg`](super::GreenSocket::sendmsg).
///
/// # Examples
///
/// A pipe's end is sent through a socket:
///
/// ```
/// use green::greenio::{ControlMessage, ControlWriter, Domain, GreenSocket, Type};
/// use std::io::{IoSlice, IoSliceMut, Write};
/// use std::os::fd::AsFd;
///
/// # fn main() -> std::io::Result<()> {
/// let (here, there) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
/// let (reader, mut writer) = std::io::pipe()?;
///
/// let mut control = ControlWriter::new();
/// control.rights(&[reader.as_fd()]);
/// here.sendmsg(&[IoSlice::new(b"a pipe")], None, &control, 0)?;
/// drop(reader);
///
/// let (mut bytes, mut room) = ([0; 16], [0; 64]);
/// let mut received = there.recvmsg(&mut [IoSliceMut::new(&mut bytes)], &mut room, 0)?;
/// let Some(ControlMessage::Rights(mut ends)) = received.control.next() else {
///     panic!("no descriptor came");
/// };
/// writer.write_all(b"x")?;
/// drop(writer);
/// let pipe = std::io::PipeReader::from(ends.remove(0));
/// assert_eq!(std::io::read_to_string(pipe)?, "x");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ControlWriter<'fd> {
    bytes: Vec<u8>,
    /// They are open until the message is sent.
    descriptors: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> ControlWriter<'fd> {
    /// Without a control message.
    pub const fn new() -> ControlWriter<'fd> {
        ControlWriter {
            bytes: Vec::new(),
            descriptors: PhantomData,
        }
    }

    /// Adds descriptors for the peer (`SCM_RIGHTS`, Unix sockets). They are
    /// duplicated when the message is sent, and borrowed until then.
    ///
    /// ```compile_fail,E0505
    /// # use green::greenio::ControlWriter;
    /// # use std::os::fd::AsFd;
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let mut control = ControlWriter::new();
    /// control.rights(&[reader.as_fd()]);
    /// drop(reader);
    /// println!("its number may be another's by now: {control:?}");
    /// ```
    pub fn rights(&mut self, descriptors: &[BorrowedFd<'fd>]) {
        let numbers: Vec<u8> = descriptors
            .iter()
            .flat_map(|descriptor| descriptor.as_raw_fd().to_ne_bytes())
            .collect();
        self.add(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
    }

    /// Adds a control message of any kind whose data is plain data.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a kind whose data refers to something of
    /// the process: numbers of descriptors (`SCM_RIGHTS`, which [`rights`](Self::rights) adds) and
    /// addresses of memory (those of RDS).
    pub fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) -> io::Result<()> {
        /// From linux/socket.h; libc does not have it.
        const SOL_RDS: c_int = 276;
        let refusal = match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => "descriptors are added by `rights`",
            (SOL_RDS, _) => "control messages of RDS hold addresses of memory",
            _ => {
                self.add(level, kind, data);
                return Ok(());
            }
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, refusal))
    }

    fn add(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        self.bytes.extend((HEADER + data.len()).to_ne_bytes());
        self.bytes.extend(level.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(data);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(WORD), 0);
    }

    /// The control messages as the kernel wants them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
