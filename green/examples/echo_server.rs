//! An echo server: one green thread a connection, written as one would write it with OS threads.
//!
//! ```sh
//! cargo run --release -p green-std --example echo_server -- 127.0.0.1:7007
//! ```
use std::{env, io};

use green::thread;

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7007".into());
    let listener = green::listen(address)?;
    println!("echoing on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || io::copy(&mut &stream, &mut &stream));
    }
    Ok(())
}
