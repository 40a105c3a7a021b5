//! An echo server: one green thread a connection, written as one would write it with OS threads.
//!
//! ```sh
//! cargo run --release -p green-std --example echo_server -- 127.0.0.1:7007
//! ```

use std::io;
use std::process::ExitCode;

mod program;

use green::thread;

use program::{Program, about};

const PROGRAM: Program = Program {
    name: "echo_server",
    usage: "\
Usage: echo_server [ADDRESS]

Sends back what it receives. Listens on 127.0.0.1:7007 if no address is given.",
};

fn main() -> ExitCode {
    PROGRAM.run_words(|words| {
        let address = match words {
            [] => "127.0.0.1:7007",
            [address] => address,
            _ => return None,
        };
        Some(serve(address).map_err(about(address)))
    })
}

fn serve(address: &str) -> io::Result<()> {
    let listener = green::listen(address)?;
    println!("echoing on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || io::copy(&mut &stream, &mut &stream))),
            // Out of descriptors, say. The accept has paused by itself, and the next may succeed.
            Err(error) => eprintln!("echo_server: cannot accept: {error}"),
        }
    }
    Ok(())
}
