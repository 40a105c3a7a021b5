//! Streams over TLS.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use green::asyncio::{
    ConnectionOptions, ServerOptions, TlsOptions, open_connection, open_unix_connection,
    start_unix_server,
};
use green::reconnect::Reconnect;
use green::ssl::SslError;

use super::*;

#[test]
fn both_ends_speak_tls_and_know_what_they_agreed_on() {
    on_both("agreed", || {
        let secrets = secrets();
        let handler = |reader: StreamReader, writer: StreamWriter| {
            assert!(writer.get_extra_info().peercert().is_none());
            assert!(writer.get_extra_info().sslcontext().is_some());
            echo(reader, writer)
        };
        let (server, address) = serve(handler, ServerOptions::new().ssl(&secrets.server));
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        writer.write(b"a secret\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"a secret\n");
        let extra = writer.get_extra_info();
        assert_eq!(extra.peername().unwrap().as_socket(), Some(address));
        let pem = secrets.shown.chain.as_bytes();
        let shown = green::ssl::Certificate::stack_from_pem(pem).unwrap();
        assert_eq!(extra.peercert().unwrap().der(), shown[0].der());
        assert!(extra.cipher().is_some() && extra.version().is_some());
        assert!(extra.sslcontext().is_some() && extra.ssl_object().is_some());
        assert_eq!(extra.compression(), None);
        assert!(!writer.can_write_eof());
        let error = writer.write_eof().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        writer.close();
        writer.wait_closed().unwrap();
        server.close();
        server.wait_closed();
    });
}

#[test]
fn much_goes_both_ways_at_once() {
    on_both("both ways", || {
        let secrets = secrets();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let options = ServerOptions::new().ssl(&secrets.server);
        let _server = start_unix_server(echo, &path, options).unwrap();
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_unix_connection(&path, options).unwrap();
        let sent = Arc::new(pattern(MUCH / 2));
        let theirs = sent.clone();
        let writing = green::thread::spawn(move || {
            for piece in theirs.chunks(10_000) {
                writer.write(piece).unwrap();
                writer.drain().unwrap();
            }
            writer
        });
        assert!(reader.readexactly(sent.len()).unwrap() == *sent);
        let writer = writing.join().unwrap();
        writer.close();
        writer.wait_closed().unwrap();
    });
}

#[test]
fn a_message_that_ends_with_nul_needs_no_half_close() {
    on_both("nul", || {
        let secrets = secrets();
        let handler = |reader: StreamReader, writer: StreamWriter| {
            let message = reader.readuntil(b"\0")?;
            writer.write(&message)
        };
        let (_server, address) = serve(handler, ServerOptions::new().ssl(&secrets.server));
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        writer
            .writelines(&["This is ", "the message.", "\0"])
            .unwrap();
        writer.drain().unwrap();
        assert_eq!(reader.read_to_eof().unwrap(), b"This is the message.\0");
        writer.close();
        writer.wait_closed().unwrap();
    });
}

#[test]
fn a_truncated_conversation_is_an_error_and_keeps_what_came() {
    on_both("truncated", || {
        let secrets = secrets();
        let (cut, is_cut) = std::sync::mpsc::channel();
        let handler = move |reader: StreamReader, writer: StreamWriter| {
            writer.write(b"half a")?;
            writer.drain()?;
            // The client has it all when it answers.
            reader.readexactly(1)?;
            writer.get_extra_info().socket().shutdown(Shutdown::Write)?;
            cut.send(()).unwrap();
            reader.read(1).map(drop)
        };
        let (_server, address) = serve(handler, ServerOptions::new().ssl(&secrets.server));
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        assert_eq!(reader.readexactly(4).unwrap(), b"half");
        writer.write(b"!").unwrap();
        green::blocking(move || is_cut.recv().unwrap());
        let error = io::Error::from(reader.readexactly(100).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(reader.read(100).unwrap(), b" a");
        let error = reader.read(100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(writer.wait_closed().is_err());
    });
}

#[test]
fn a_certificate_that_is_not_trusted_fails_the_connection_and_not_the_server() {
    on_both("trust", || {
        let (secrets, others) = (secrets(), secrets());
        let (_server, address) = serve(echo, ServerOptions::new().ssl(&secrets.server));
        for (context, name) in [
            (&others.client, "localhost"),
            (&secrets.client, "example.org"),
        ] {
            let options = ConnectionOptions::new().ssl(context, name);
            let error = open_connection(address, options).unwrap_err();
            assert!(SslError::of(&error).is_some(), "{error}");
        }
        // One who says nothing, and one who speaks no TLS.
        let _silent = TcpStream::connect(address).unwrap();
        let mut plain = TcpStream::connect(address).unwrap();
        plain.set_read_timeout(Some(LIMIT)).unwrap();
        plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let _ = plain.read_to_end(&mut Vec::new());
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        writer.write(b"still here\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"still here\n");
    });
}

#[test]
fn a_connection_turns_to_tls_on_the_way() {
    on_both("start_tls", || {
        let secrets = secrets();
        let context = secrets.server.clone();
        let handler = move |reader: StreamReader, mut writer: StreamWriter| {
            assert_eq!(reader.readline()?, b"STARTTLS\n");
            writer.write(b"GO\n")?;
            writer.start_tls(&TlsOptions::server(&context))?;
            echo(reader, writer)
        };
        let (server, address) = serve(handler, ServerOptions::new());
        let (reader, mut writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        writer.write(b"STARTTLS\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"GO\n");
        assert!(writer.can_write_eof());
        let options = TlsOptions::client(&secrets.client, "localhost");
        writer.start_tls(&options).unwrap();
        assert!(!writer.can_write_eof());
        assert!(writer.get_extra_info().cipher().is_some());
        let sent = Arc::new(pattern(1_000_000));
        let (theirs, ours) = (sent.clone(), reader.clone());
        let reading = green::thread::spawn(move || ours.readexactly(theirs.len()).unwrap());
        writer.write(&sent).unwrap();
        assert!(reading.join().unwrap() == *sent);
        writer.close();
        writer.wait_closed().unwrap();
        assert_eq!(reader.read(1).unwrap(), b"");
        server.close();
        server.wait_closed();
    });
}

#[test]
fn a_handshake_that_has_begun_before_start_tls_is_not_lost() {
    on_both("early", || {
        let secrets = secrets();
        let context = secrets.server.clone();
        let handler = move |reader: StreamReader, mut writer: StreamWriter| {
            assert_eq!(reader.readline()?, b"STARTTLS\n");
            writer.write(b"GO\n")?;
            // Until the client's first word is in the reader.
            while format!("{reader:?}").contains("buffered: 0") {
                green::thread::sleep(Duration::from_millis(1));
            }
            writer.start_tls(&TlsOptions::server(&context))?;
            echo(reader, writer)
        };
        let (_server, address) = serve(handler, ServerOptions::new());
        let (reader, mut writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        writer.write(b"STARTTLS\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"GO\n");
        let options = TlsOptions::client(&secrets.client, "localhost");
        writer.start_tls(&options).unwrap();
        writer.write(b"hello\n").unwrap();
        assert_eq!(reader.readline().unwrap(), b"hello\n");
    });
}

#[test]
fn a_handshake_that_fails_on_the_way_ends_the_stream() {
    on_both("start_tls fails", || {
        let (secrets, others) = (secrets(), secrets());
        let context = secrets.server.clone();
        let handler = move |reader: StreamReader, mut writer: StreamWriter| {
            writer.write(b"GO\n")?;
            writer.start_tls(&TlsOptions::server(&context))?;
            echo(reader, writer)
        };
        let (_server, address) = serve(handler, ServerOptions::new());
        let (reader, mut writer) = open_connection(address, ConnectionOptions::new()).unwrap();
        assert_eq!(reader.readline().unwrap(), b"GO\n");
        let options = TlsOptions::client(&others.client, "localhost");
        let error = writer.start_tls(&options).unwrap_err();
        assert!(SslError::of(&error).is_some(), "{error}");
        let error = reader.read(1).unwrap_err();
        assert!(SslError::of(&error).is_some(), "{error}");
        assert!(writer.wait_closed().is_err());
    });
}

/// A server that answers one line and ends in order.
fn oneshot(secrets: &Secrets) -> (Server, SocketAddr) {
    let handler = |reader: StreamReader, writer: StreamWriter| {
        reader.readline().map_err(io::Error::from)?;
        writer.write(b"answer\n")
    };
    serve(handler, ServerOptions::new().ssl(&secrets.server))
}

#[test]
fn who_writes_after_the_peer_s_end_hears_that_the_connection_is_lost() {
    on_both("lost", || {
        let secrets = secrets();
        let (_server, address) = oneshot(&secrets);
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        writer.write(b"question\n").unwrap();
        assert_eq!(reader.read_to_eof().unwrap(), b"answer\n");
        // The end is noted, and a moment later it is ours too.
        while !writer.is_closing() {
            green::thread::yield_now();
        }
        for _ in 0..2 {
            let error = writer.write(b"another\n").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(!green::ClosedLocally::caused(&error));
        }
        // One who closed before knows why.
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (_reader, writer) = open_connection(address, options).unwrap();
        writer.close();
        let error = writer.write(b"question\n").unwrap_err();
        assert!(green::ClosedLocally::caused(&error));
    });
}

#[test]
fn a_connection_that_its_peer_ends_in_order_is_opened_again() {
    on_both("again", || {
        let secrets = Arc::new(secrets());
        let (_server, address) = oneshot(&secrets);
        let mut server = Reconnect::new(move || {
            let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
            open_connection(address, options)
        })
        .pauses(Duration::from_millis(1)..=Duration::from_millis(10))
        .attempts(10);
        for _ in 0..5 {
            let answer = server.run(|(reader, writer)| {
                // Beside `Write`, which waits until it is sent.
                StreamWriter::write(writer, b"question\n")?;
                let answer = reader.readline().map_err(io::Error::from)?;
                if answer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                // Sooner or later the peer's end has come, before the next question or behind it.
                while !writer.is_closing() {
                    green::thread::yield_now();
                }
                Ok(answer)
            });
            assert_eq!(answer.unwrap(), b"answer\n");
        }
    });
}

#[test]
fn the_end_stays_the_end_whatever_becomes_of_the_rest() {
    on_both("stays", || {
        let secrets = secrets();
        // It ends its direction and takes nothing of ours.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let context = secrets.server.clone();
        let serving = green::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let tls = context.accept(stream).unwrap();
            tls.get_ref().set_recv_buffer_size(KERNEL_BYTES).unwrap();
            tls.do_handshake().unwrap();
            (&tls).read_exact(&mut [0; 1]).unwrap();
            tls.shutdown_write().unwrap();
            tls
        });
        let options = ConnectionOptions::new()
            .ssl(&secrets.client, "localhost")
            .ssl_shutdown_timeout(Duration::from_millis(50));
        let (reader, writer) = open_connection(address, options).unwrap();
        writer.write(&pattern(2 * MUCH)).unwrap();
        assert_eq!(reader.read(100).unwrap(), b"");
        let lost = writer.wait_closed().unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::TimedOut);
        assert_eq!(reader.exception().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(reader.read(100).unwrap(), b"");
        assert_eq!(reader.read_to_eof().unwrap(), b"");
        assert_eq!(reader.readline().unwrap(), b"");
        assert!(reader.at_eof());
        drop(serving.join().unwrap());
    });
}

#[test]
fn a_handler_that_panics_passes_off_no_half_answer_for_a_whole_one() {
    on_both("half", || {
        let secrets = secrets();
        let handler = |reader: StreamReader, writer: StreamWriter| {
            writer.write(b"half")?;
            // The client has that when it answers.
            reader.readexactly(1)?;
            let _kept = writer;
            std::panic::resume_unwind(Box::new("between two writes"));
        };
        let (_server, address) = serve(handler, ServerOptions::new().ssl(&secrets.server));
        let options = ConnectionOptions::new().ssl(&secrets.client, "localhost");
        let (reader, writer) = open_connection(address, options).unwrap();
        assert_eq!(reader.readexactly(4).unwrap(), b"half");
        writer.write(b"!").unwrap();
        let error = reader.read_to_eof().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}
