//! Our streams and those of Python's asyncio, in both roles, plain and over TLS.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use green::asyncio::{ConnectionOptions, ServerOptions, open_connection};

use super::*;
use test_support::bounded;

/// Serves one connection: answers each line with its length, then sends as many bytes as the last line says, and ends.
const SERVER: &str = r#"
import asyncio, ssl, sys

async def handle(reader, writer):
    while True:
        line = await reader.readline()
        if line == b"much\n":
            break
        writer.write(b"%d\n" % len(line))
        await writer.drain()
    for place in range(300):
        writer.write(bytes([place % 251]) * 10_000)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    done.set()

async def main():
    global done
    done = asyncio.Event()
    context = None
    if sys.argv[1:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.wait_for(done.wait(), 150)

asyncio.run(main())
"#;

/// Asks as the test of the server does, and checks the answers.
const CLIENT: &str = r#"
import asyncio, ssl, sys

async def main():
    context, name = None, None
    if sys.argv[2:]:
        context, name = ssl.create_default_context(cafile=sys.argv[2]), "localhost"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(sys.argv[1]), ssl=context, server_hostname=name)
    for length in (1, 10, 60000):
        writer.write(b"x" * (length - 1) + b"\n")
        await writer.drain()
        assert await reader.readline() == b"%d\n" % length
    writer.write(b"much\n")
    await writer.drain()
    data = await reader.readexactly(3_000_000)
    assert data == b"".join(bytes([place % 251]) * 10_000 for place in range(300))
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    print("well")

asyncio.run(asyncio.wait_for(main(), 150))
"#;

fn python(program: &str, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).args(arguments);
    match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            println!("skipped: python3 cannot be started: {error}");
            None
        }
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let output = child.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn our_client(secure: bool) {
    let (secrets, directory) = (secrets(), tempfile::tempdir().unwrap());
    let files = secrets.shown.write_to(directory.path());
    let arguments = files.each_ref().map(String::as_str);
    let Some(mut server) = python(SERVER, if secure { &arguments } else { &[] }) else {
        return;
    };
    let port: u16 = first_line(&mut server).parse().unwrap();
    let mut options = ConnectionOptions::new();
    if secure {
        options = options.ssl(&secrets.client, "localhost");
    }
    let (reader, writer) = open_connection(("127.0.0.1", port), options).unwrap();
    for length in [1, 10, 60_000] {
        writer
            .write(&[vec![b'x'; length - 1], vec![b'\n']].concat())
            .unwrap();
        assert_eq!(reader.readline().unwrap(), format!("{length}\n").as_bytes());
    }
    writer.write(b"much\n").unwrap();
    let data = reader.read_to_eof().unwrap();
    assert!(data == much());
    writer.close();
    writer.wait_closed().unwrap();
    assert!(server.wait().unwrap().success());
}

fn our_server(secure: bool) {
    let (secrets, directory) = (secrets(), tempfile::tempdir().unwrap());
    let [certificate, _] = secrets.shown.write_to(directory.path());
    let handler = |reader: StreamReader, writer: StreamWriter| {
        for line in &reader {
            let line = line?;
            if line == b"much\n" {
                break;
            }
            writer.write(format!("{}\n", line.len()).as_bytes())?;
            writer.drain()?;
        }
        for piece in much().chunks(7_777) {
            writer.write(piece)?;
            writer.drain()?;
        }
        writer.close();
        writer.wait_closed()
    };
    let options = match secure {
        true => ServerOptions::new().ssl(&secrets.server),
        false => ServerOptions::new(),
    };
    let (server, address) = serve(handler, options);
    let port = address.port().to_string();
    let mut arguments = vec![port.as_str()];
    if secure {
        arguments.push(&certificate);
    }
    let Some(mut client) = python(CLIENT, &arguments) else {
        return;
    };
    assert_eq!(first_line(&mut client), "well");
    assert!(client.wait().unwrap().success());
    server.close();
    server.wait_closed();
}

fn much() -> Vec<u8> {
    (0..300)
        .flat_map(|place| vec![(place % 251) as u8; 10_000])
        .collect()
}

#[test]
fn our_client_talks_to_python() {
    bounded("python", LIMIT, || our_client(false));
}

#[test]
fn our_client_talks_tls_to_python() {
    bounded("python", LIMIT, || our_client(true));
}

#[test]
fn our_server_talks_to_python() {
    bounded("python", LIMIT, || our_server(false));
}

#[test]
fn our_server_talks_tls_to_python() {
    bounded("python", LIMIT, || our_server(true));
}
