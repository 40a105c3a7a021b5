//! Streams over TLS.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use green::asyncio::{
    ConnectionOptions, ServerOptions, TlsOptions, open_connection, open_unix_connection,
    start_unix_server,
};
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
        let pem = secrets.certificate.as_bytes();
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
