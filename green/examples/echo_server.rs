//! An echo server: one green thread a connection, written as one would write it with OS threads.
//!
//! ```sh
//! cargo run --release -p green-std --example echo_server -- 127.0.0.1:7007
//! ```

use std::env;
use std::io;
use std::process::ExitCode;

use green::thread;

const USAGE: &str = "\
Usage: echo_server [ADDRESS]

Sends back what it receives. Listens on 127.0.0.1:7007 if no address is given.";

fn main() -> ExitCode {
    let address = match &env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:7007".to_owned(),
        [help] if help == "--help" || help == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [address] => address.clone(),
        [_, surplus, ..] => {
            eprintln!("echo_server: '{surplus}' is one argument too many\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = green::listen(address)?;
    println!("echoing on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || io::copy(&mut &stream, &mut &stream));
    }
    Ok(())
}
