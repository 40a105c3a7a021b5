//! Plain connections: what is read and written, how a writer is held back, and every way of closing.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, Future, ReadError, ServerOptions, open_connection, open_connection_over,
    open_unix_connection, start_server_over, start_unix_server,
};
use socket2::SockRef;

use super::*;

fn reset(peer: TcpStream) {
    let linger = Some(Duration::ZERO);
    SockRef::from(&peer).set_linger(linger).unwrap();
}

#[test]
fn many_clients_talk_to_one_server() {
    on_both("many", || {
        let (server, address) = serve(echo, ServerOptions::new());
        let clients: Vec<_> = (0..50)
            .map(|number| {
                green::thread::spawn(move || {
                    let options = ConnectionOptions::new();
                    let (reader, writer) = open_connection(address, options).unwrap();
                    for round in 0..10 {
                        let line = format!("client {number}, round {round}\n").into_bytes();
                        writer.write(&line).unwrap();
                        assert_eq!(reader.readline().unwrap(), line);
                    }
                    writer.writelines(&["one ", "two ", "three"]).unwrap();
                    writer.write_eof().unwrap();
                    assert_eq!(reader.read_to_eof().unwrap(), b"one two three");
                    assert!(reader.at_eof());
                    writer.close();
                    writer.wait_closed().unwrap();
                })
            })
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        server.close();
        server.wait_closed();
    });
}

#[test]
fn unix_sockets_and_sockets_made_elsewhere_are_streams_too() {
    on_both("unix", || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _server = start_unix_server(echo, &path, ServerOptions::new()).unwrap();
        let (reader, writer) = open_unix_connection(&path, ConnectionOptions::new()).unwrap();
        writer.write(b"over a path\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"over a path\n");
        assert!(writer.can_write_eof());
        assert!(writer.get_extra_info().sslcontext().is_none());

        let listener = green::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _server = start_server_over(echo, listener, ServerOptions::new()).unwrap();
        let connected = green::net::TcpStream::connect(address).unwrap();
        let ours = connected.local_addr().unwrap();
        let (reader, writer) = open_connection_over(connected, ConnectionOptions::new()).unwrap();
        writer.write(b"over a socket\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"over a socket\n");
        let extra = writer.get_extra_info();
        assert_eq!(extra.peername().unwrap().as_socket(), Some(address));
        assert_eq!(extra.sockname().unwrap().as_socket(), Some(ours));
        assert_eq!(extra.socket().local_addr().unwrap().as_socket(), Some(ours));
        assert!(extra.cipher().is_none() && extra.peercert().is_none());
    });
}

#[test]
fn writing_never_waits_and_draining_does() {
    on_both("drain", || {
        let (_reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        assert_eq!(
            writer.transport().get_write_buffer_limits(),
            (16 * 1024, 64 * 1024)
        );
        writer.drain().unwrap();
        let sent = pattern(MUCH);
        writer.write(&sent).unwrap();
        assert!(writer.transport().get_write_buffer_size() > 64 * 1024);
        // One who gives up draining takes nothing back.
        let drained = green::timeout(Duration::from_millis(10), || writer.drain());
        assert!(drained.is_err());
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received
        });
        writer.drain().unwrap();
        assert!(writer.transport().get_write_buffer_size() <= 16 * 1024);
        writer.close();
        writer.wait_closed().unwrap();
        assert!(green::blocking(move || reading.join().unwrap()) == sent);
    });
}

#[test]
fn closing_sends_what_was_written_first() {
    on_both("flush", || {
        let (reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        let sent = pattern(MUCH);
        writer.write(&sent).unwrap();
        assert!(!writer.is_closing());
        writer.close();
        writer.close();
        assert!(writer.is_closing());
        let error = writer.write(b"late").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let closed = green::timeout(Duration::from_millis(10), || writer.wait_closed());
        assert!(closed.is_err());
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received
        });
        writer.wait_closed().unwrap();
        writer.wait_closed().unwrap();
        assert_eq!(reader.read(10).unwrap(), b"");
        assert!(green::blocking(move || reading.join().unwrap()) == sent);
    });
}

#[test]
fn each_direction_ends_alone() {
    on_both("half", || {
        let (reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        peer.write_all(b"that is all").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.read_to_eof().unwrap(), b"that is all");
        assert!(reader.at_eof() && !writer.is_closing());
        writer.write(b"and this").unwrap();
        writer.write_eof().unwrap();
        let error = writer.write(b"late").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "and this");
        writer.close();
        writer.wait_closed().unwrap();
    });
}

#[test]
fn a_reset_is_an_error_at_both_ends_once_all_before_it_is_read() {
    on_both("reset", || {
        let (reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        peer.write_all(b"a line\nhalf").unwrap();
        assert_eq!(reader.readline().unwrap(), b"a line\n");
        reset(peer);
        let is_reset = |error: io::Error| {
            assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{error}");
        };
        is_reset(reader.readline().unwrap_err().into());
        assert_eq!(reader.read(10).unwrap(), b"half");
        is_reset(reader.read(10).unwrap_err());
        is_reset(writer.drain().unwrap_err());
        is_reset(writer.write(b"late").unwrap_err());
        is_reset(writer.wait_closed().unwrap_err());
        is_reset(writer.wait_closed().unwrap_err());
        assert!(writer.is_closing());
    });
}

#[test]
fn a_reset_ends_a_drain_under_way() {
    on_both("reset drain", || {
        let (_reader, writer, peer) = stream_and_peer(ConnectionOptions::new());
        writer.write(&pattern(MUCH)).unwrap();
        let writer = Arc::new(writer);
        let theirs = writer.clone();
        let draining = green::thread::spawn(move || theirs.drain());
        reset(peer);
        let error = draining.join().unwrap().unwrap_err();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(writer.wait_closed().is_err());
    });
}

#[test]
fn closing_and_aborting_end_a_read_under_way() {
    on_both("close", || {
        for abort in [false, true] {
            let (reader, writer, _peer) = stream_and_peer(ConnectionOptions::new());
            let theirs = reader.clone();
            let reading = green::thread::spawn(move || theirs.readexactly(10));
            match abort {
                true => writer.transport().abort(),
                false => writer.close(),
            }
            match reading.join().unwrap() {
                Err(ReadError::Incomplete(error)) => assert_eq!(error.partial, b""),
                other => panic!("{other:?}"),
            }
            writer.wait_closed().unwrap();
        }
    });
}

#[test]
fn a_dropped_writer_closes_its_connection() {
    on_both("dropped", || {
        let (reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        writer.write(b"last words").unwrap();
        drop(writer);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "last words");
        assert_eq!(reader.read(10).unwrap(), b"");
    });
}

#[test]
fn a_handler_that_fails_or_panics_closes_its_connection_alone() {
    on_both("handlers", || {
        let handler = |reader: StreamReader, writer: StreamWriter| {
            let word = reader.readline()?;
            writer.write(b"hello")?;
            match word.as_slice() {
                b"panic\n" => std::panic::resume_unwind(Box::new("as expected")),
                b"fail\n" => Err(io::Error::other("as expected")),
                _ => Ok(()),
            }
        };
        let (server, address) = serve(handler, ServerOptions::new());
        for word in ["panic\n", "fail\n", "end\n"] {
            let (reader, writer) = open_connection(address, ConnectionOptions::new()).unwrap();
            writer.write(word.as_bytes()).unwrap();
            assert_eq!(reader.read_to_eof().unwrap(), b"hello");
        }
        server.close();
        server.wait_closed();
    });
}

#[test]
fn connections_outlive_a_closed_server() {
    on_both("server", || {
        let (server, address) = serve(echo, ServerOptions::new());
        let (reader, writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        writer.write(b"before\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"before\n");
        server.close();
        writer.write(b"after\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"after\n");
        let refused = open_connection(address, ConnectionOptions::new()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        writer.close();
        server.wait_closed();
    });
}

#[test]
fn a_reader_that_does_not_read_holds_its_peer_back_and_loses_nothing() {
    on_both("hold back", || {
        let options = ConnectionOptions::new().limit(1000);
        let (reader, writer, mut peer) = stream_and_peer(options);
        assert_eq!(reader.limit(), 1000);
        let sending = std::thread::spawn(move || peer.write_all(&pattern(MUCH)).unwrap());
        while writer.transport().is_reading() {
            green::thread::sleep(Duration::from_millis(1));
        }
        assert!(!sending.is_finished());
        let first = reader.readexactly(500_000).unwrap();
        let mut received = first;
        let theirs = reader.clone();
        let killed = green::thread::spawn(move || theirs.readexactly(2 * MUCH));
        killed.kill().unwrap();
        assert!(killed.join().is_err());
        loop {
            let data = reader.read(777_777).unwrap();
            if data.is_empty() {
                break;
            }
            received.extend(data);
        }
        assert!(received == pattern(MUCH));
        green::blocking(move || sending.join().unwrap());
    });
}

#[test]
fn the_limit_of_a_server_holds_for_its_connections() {
    on_both("limit", || {
        let seen = Future::new();
        let theirs = seen.clone();
        let handler = move |reader: StreamReader, _| {
            let outcome = match reader.readuntil(b"\n") {
                Err(ReadError::LimitOverrun(error)) => Ok(error),
                other => Err(format!("{other:?}")),
            };
            let held = reader.readexactly(12).unwrap();
            theirs.set_result((outcome, held)).unwrap();
            Ok(())
        };
        let (_server, address) = serve(handler, ServerOptions::new().limit(10));
        let (_reader, writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        writer.write(b"far too long").unwrap();
        let (outcome, held) = seen.wait(None).unwrap();
        assert!(outcome.unwrap().consumed > 10);
        assert_eq!(held, b"far too long");
    });
}

#[test]
fn std_s_traits_copy_a_stream_with_back_pressure() {
    on_both("copy", || {
        let handler = |mut reader: StreamReader, mut writer: StreamWriter| {
            writer
                .transport()
                .set_write_buffer_limits(Some(1000), None)?;
            io::copy(&mut reader, &mut writer)?;
            writer.flush()
        };
        let (_server, address) = serve(handler, ServerOptions::new());
        let (reader, writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        let sent = pattern(MUCH);
        writer.write(&sent).unwrap();
        writer.write_eof().unwrap();
        let received = reader.read_to_eof().unwrap();
        assert!(received == sent);
    });
}

#[test]
fn one_reads_while_others_write() {
    on_both("both ways", || {
        let (_server, address) = serve(echo, ServerOptions::new());
        let (reader, writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        let writer = Arc::new(writer);
        let writers: Vec<_> = (0..4_u8)
            .map(|number| {
                let writer = writer.clone();
                green::thread::spawn(move || {
                    for _ in 0..200 {
                        writer
                            .write(&[[number; 999].as_slice(), b"\n"].concat())
                            .unwrap();
                        writer.drain().unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..800 {
            let record = reader.readexactly(1000).unwrap();
            assert!(record[..999].iter().all(|byte| *byte == record[0]));
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn draining_fails_only_if_something_was_not_sent() {
    on_both("drain at the end", || {
        let (reader, writer, mut peer) = stream_and_peer(ConnectionOptions::new());
        writer.write(b"all of it").unwrap();
        writer.close();
        writer.wait_closed().unwrap();
        assert_eq!(reader.read(1).unwrap(), b"");
        writer.drain().unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "all of it");

        let (_reader, writer, _peer) = stream_and_peer(ConnectionOptions::new());
        writer.write(&pattern(MUCH)).unwrap();
        writer.transport().abort();
        let error = writer.drain().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        // It was meant to end.
        writer.wait_closed().unwrap();
    });
}
