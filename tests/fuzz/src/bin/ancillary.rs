//! Ancillary messages between two Unix sockets: each descriptor that was sent arrives as the same file or is closed, none
//! is owned that was not given, and none is left open.
#![no_main]

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use green::greenio::{ControlMessage, ControlWriter, Domain, GreenSocket, Type};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: Kind,
    /// The kernel adds a message of its own.
    names_sender: bool,
    names_process: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Stream,
    Datagram,
    Packets,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Send {
        bytes: &'a [u8],
        /// Control messages, each with these files.
        files: Vec<&'a [u8]>,
        others: Vec<(i32, i32, &'a [u8])>,
    },
    Receive {
        room: u8,
        control: u16,
        /// Where in memory the control messages begin.
        offset: u8,
        peeks: bool,
        /// How many control messages are looked at; the rest is dropped.
        looks: u8,
    },
}

/// What is sent, and how each is known again.
static FILES: LazyLock<Vec<(OwnedFd, u64)>> = LazyLock::new(|| {
    let pipes = (0..3).map(|_| std::io::pipe().unwrap());
    let mut files: Vec<OwnedFd> = pipes
        .map(|(reader, _): (PipeReader, _)| reader.into())
        .collect();
    files.push(UnixStream::pair().unwrap().0.into());
    let named = files.into_iter().map(|file| {
        let name = name(file.try_clone().unwrap());
        (file, name)
    });
    named.collect()
});

fn name(file: OwnedFd) -> u64 {
    File::from(file).metadata().unwrap().ino()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

struct Sent {
    bytes: Vec<u8>,
    files: Vec<u64>,
}

struct Trial {
    kind: Kind,
    ends: (GreenSocket, GreenSocket),
    under_way: VecDeque<Sent>,
    /// Room for what the kernel adds.
    extra: usize,
}

/// The room that a control message with so much data takes.
fn space(data: usize) -> usize {
    16 + data.next_multiple_of(8)
}

impl Trial {
    fn new(input: &Input) -> Trial {
        let kind = match input.kind {
            Kind::Stream => Type::STREAM,
            Kind::Datagram => Type::DGRAM,
            Kind::Packets => Type::SEQPACKET,
        };
        let ends = GreenSocket::pair(Domain::UNIX, kind, None).unwrap();
        ends.0.set_nonblocking(true);
        ends.1.set_nonblocking(true);
        let mut extra = 0;
        if input.names_sender {
            ends.1.set_passcred(true).unwrap();
            extra += space(12);
        }
        /// From asm/socket.h; libc does not have it everywhere.
        const SO_PASSPIDFD: i32 = 76;
        let option =
            ends.1
                .set_option_i32(libc::SOL_SOCKET, SO_PASSPIDFD, input.names_process.into());
        if input.names_process && option.is_ok() {
            extra += space(4);
        }
        Trial {
            kind: input.kind,
            ends,
            under_way: VecDeque::new(),
            extra,
        }
    }

    fn send(&mut self, bytes: &[u8], files: &[&[u8]], others: &[(i32, i32, &[u8])]) {
        let mut control = ControlWriter::new();
        let mut sent = Sent {
            bytes: bytes.to_vec(),
            files: Vec::new(),
        };
        for list in files {
            let chosen = list
                .iter()
                .map(|&which| &FILES[usize::from(which) % FILES.len()]);
            sent.files.extend(chosen.clone().map(|(_, name)| name));
            let borrowed: Vec<_> = chosen.map(|(file, _)| file.as_fd()).collect();
            control.rights(&borrowed);
        }
        for &(level, kind, data) in others {
            let added = control.push(level, kind, data);
            let is_refused = (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) || level == 276;
            assert_eq!(added.is_err(), is_refused);
        }
        // The kernel takes 253 descriptors at most, and few kinds of other messages.
        let Ok(count) = self
            .ends
            .0
            .sendmsg(&[IoSlice::new(bytes)], None, &control, 0)
        else {
            return;
        };
        sent.bytes.truncate(count);
        if matches!(self.kind, Kind::Stream) && count == 0 {
            return;
        }
        self.under_way.push_back(sent);
    }

    fn receive(&mut self, room: usize, control: usize, offset: usize, peeks: bool, looks: usize) {
        let mut bytes = vec![0; room];
        let mut memory = vec![0xff; offset + control];
        let flags = if peeks { libc::MSG_PEEK } else { 0 };
        let buffers = &mut [IoSliceMut::new(&mut bytes)];
        let received = self.ends.1.recvmsg(buffers, &mut memory[offset..], flags);
        let Ok(mut received) = received else {
            assert!(self.under_way.is_empty());
            return;
        };
        assert!(received.len <= room);
        let was_cut = received.flags & libc::MSG_CTRUNC != 0;
        let mut names = Vec::new();
        let mut seen = 0;
        for message in received.control.by_ref().take(looks) {
            seen += 1;
            match message {
                ControlMessage::Rights(files) => names.extend(files.into_iter().map(name)),
                ControlMessage::Pidfd(process) => drop(name(process)),
                ControlMessage::Other { data, .. } => assert!(data.len() <= control),
                _ => {}
            }
        }
        let saw_all = seen < looks;
        let len = received.len;
        drop(received);
        let enough = |files: usize| control >= self.extra + space(4 * files);
        if let Kind::Stream = self.kind {
            // One reception may have the bytes of several, but no more than one of those with files. The files come with
            // the first of a message's bytes, or if none is asked for; a look goes on to the first message that has any.
            let mut left = len;
            let mut given = Vec::new();
            for (place, sent) in self.under_way.iter_mut().enumerate() {
                let is_asked = match peeks {
                    true => given.is_empty(),
                    false => left > 0 || room == 0 && place == 0,
                };
                if !is_asked {
                    break;
                }
                let here = left.min(sent.bytes.len());
                let place = len - left;
                assert_eq!(bytes[place..place + here], sent.bytes[..here]);
                left -= here;
                given.extend(sent.files.iter().copied());
                if !peeks {
                    sent.bytes.drain(..here);
                    sent.files.clear();
                }
            }
            assert_eq!(left, 0);
            self.under_way.retain(|sent| !sent.bytes.is_empty());
            assert!(
                given.starts_with(&names),
                "{names:?} of {given:?}, {len} bytes of {room}"
            );
            if saw_all && enough(given.len()) {
                assert_eq!(names, given);
                assert!(!was_cut);
            }
            return;
        }
        let sent = match peeks {
            true => self
                .under_way
                .front()
                .map(|sent| (sent.bytes.clone(), sent.files.clone())),
            false => self
                .under_way
                .pop_front()
                .map(|sent| (sent.bytes, sent.files)),
        };
        let (whole, files) = sent.expect("a message that nobody sent");
        assert_eq!(len, room.min(whole.len()));
        assert_eq!(bytes[..len], whole[..len]);
        assert!(files.starts_with(&names));
        if saw_all && enough(files.len()) {
            assert_eq!(names, files);
            assert!(!was_cut);
        } else if saw_all && names.len() < files.len() {
            assert!(was_cut, "descriptors are missing, and nothing says so");
        }
    }
}

fuzz_target!(|input: Input| {
    LazyLock::force(&FILES);
    let before = open_descriptors();
    let mut trial = Trial::new(&input);
    for step in input.steps.iter().take(50) {
        match step {
            Step::Send {
                bytes,
                files,
                others,
            } => trial.send(bytes, files, others),
            Step::Receive {
                room,
                control,
                offset,
                peeks,
                looks,
            } => trial.receive(
                usize::from(*room),
                usize::from(control % 2048),
                usize::from(offset % 8),
                *peeks,
                usize::from(*looks),
            ),
        }
    }
    drop(trial);
    assert_eq!(open_descriptors(), before, "a descriptor is left");
});
