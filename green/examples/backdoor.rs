//! A small busy shop with its backdoor open: customers over TCP, a till behind a lock, an accountant who computes.
//!
//! ```sh
//! cargo run --release -p green-std --example backdoor -- --http
//! ```
//!
//! says where the console and the page are, and goes on until Ctrl-C (or for `--seconds N`). Look in
//! from another terminal: `socat - UNIX-CONNECT:PATH` or `nc -U PATH`, then `help`.
//!
//! | option | what |
//! |---|---|
//! | `--unix PATH` | the console on this socket; else in the directory for temporary files |
//! | `--tcp ADDRESS` | the console also there; a loopback address |
//! | `--http [ADDRESS]` | the page; 127.0.0.1 and a free port if no address is given |
//! | `--customers N` | customers at once, 50 if not given |
//! | `--idle N` | green threads that only wait, 100 if not given |
//! | `--seconds N` | ends by itself |
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod program;

use green::backdoor::Server;
use green::net::{TcpListener, TcpStream};
use green::sync::{Condvar, Mutex};
use green::{channel, signal, thread};

use program::{Error, Long, Parser, Program, Short, ValueExt, about};

const PROGRAM: Program = Program {
    name: "backdoor",
    usage: "\
Usage: backdoor [--unix PATH] [--tcp ADDRESS] [--http [ADDRESS]]
                [--customers N] [--idle N] [--seconds N]

A small busy shop, to be looked into while it runs: it says where.

  --unix PATH       the console on this socket   (in the directory for temporary files)
  --tcp ADDRESS     the console also there; a loopback address
  --http [ADDRESS]  the page for a browser       (127.0.0.1 and a free port)
  --customers N     customers at once            (50)
  --idle N          green threads that only wait (100)
  --seconds N       ends by itself               (goes on until Ctrl-C)",
};

struct Options {
    unix: PathBuf,
    tcp: Option<String>,
    http: Option<String>,
    customers: usize,
    idle: usize,
    seconds: Option<u64>,
}

impl Options {
    fn parse(mut parser: Parser) -> Result<Option<Options>, Error> {
        let name = format!("green-shop-{}.sock", std::process::id());
        let mut options = Options {
            unix: std::env::temp_dir().join(name),
            tcp: None,
            http: None,
            customers: 50,
            idle: 100,
            seconds: None,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("unix") => options.unix = parser.value()?.into(),
                Long("tcp") => options.tcp = Some(parser.value()?.string()?),
                Long("http") => {
                    let mut next = parser.try_raw_args();
                    let next = next.as_mut().and_then(|next| {
                        next.next_if(|next| !next.as_encoded_bytes().starts_with(b"-"))
                    });
                    let address = next.map(|next| next.string()).transpose()?;
                    options.http = Some(address.unwrap_or_else(|| "127.0.0.1:0".to_owned()));
                }
                Long("customers") => options.customers = parser.value()?.parse()?,
                Long("idle") => options.idle = parser.value()?.parse()?,
                Long("seconds") => options.seconds = Some(parser.value()?.parse()?),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

fn main() -> ExitCode {
    PROGRAM.run(Options::parse, run)
}

fn run(options: Options) -> io::Result<()> {
    let mut backdoor = Server::new()
        .unix(&options.unix)
        .map_err(about(options.unix.display()))?;
    println!("console: socat - UNIX-CONNECT:{}", options.unix.display());
    if let Some(address) = &options.tcp {
        backdoor = backdoor.tcp(address.as_str()).map_err(about(address))?;
        if let Some(address) = backdoor.address() {
            println!("console: nc {} {}", address.ip(), address.port());
        }
    }
    if let Some(address) = &options.http {
        backdoor = backdoor.count_cpu();
        backdoor = backdoor.http(address.as_str()).map_err(about(address))?;
        println!("page:    {}", backdoor.url().unwrap_or_default());
    }

    let shop = Arc::new(Shop::default());
    let listener = green::listen("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let open = shop.clone();
    named("shop-door", move || serve(&listener, &open))?;
    for number in 0..options.customers {
        named(&format!("customer-{number}"), move || buy(address, number))?;
    }
    let books = shop.clone();
    named("accountant", move || books.keep_books())?;
    for number in 0..options.idle {
        named(&format!("shelf-{number}"), || {
            thread::sleep(Duration::from_secs(86_400))
        })?;
    }

    match options.seconds {
        Some(seconds) => thread::sleep(Duration::from_secs(seconds)),
        None => signal::ctrl_c()?,
    }
    println!(
        "sold {} times",
        shop.till.lock().map_or(0, |till| till.sales)
    );
    drop(backdoor);
    Ok(())
}

fn named<F: FnOnce() + Send + 'static>(name: &str, f: F) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(f).map(drop)
}

#[derive(Default)]
struct Shop {
    till: Mutex<Till>,
    sold: Condvar,
}

#[derive(Default)]
struct Till {
    sales: u64,
    cents: u64,
}

fn serve(listener: &TcpListener, shop: &Arc<Shop>) {
    for stream in listener.incoming() {
        let shop = shop.clone();
        let served = stream.and_then(|stream| named("clerk", move || drop(shop.serve(&stream))));
        if let Err(error) = served {
            eprintln!("a customer was not served: {error}");
        }
    }
}

impl Shop {
    /// A line asks for a price, a line answers.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        for line in BufReader::new(stream).lines() {
            let cents = line?.bytes().map(u64::from).sum::<u64>();
            {
                let mut till = self
                    .till
                    .lock()
                    .unwrap_or_else(|broken| broken.into_inner());
                till.sales += 1;
                till.cents += cents;
            }
            self.sold.notify_one();
            (&mut &*stream).write_all(format!("{cents}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Computes for a few milliseconds after some sales, then rests.
    fn keep_books(&self) {
        let mut seen = 0;
        loop {
            {
                let till = self
                    .till
                    .lock()
                    .unwrap_or_else(|broken| broken.into_inner());
                let Ok(till) = self.sold.wait_while(till, |till| till.sales < seen + 100) else {
                    return;
                };
                seen = till.sales;
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(3) {
                std::hint::black_box(seen.pow(2));
            }
            thread::sleep(Duration::from_millis(30));
        }
    }
}

/// Asks for prices, in spells of hurry and of leisure.
fn buy(address: SocketAddr, number: usize) {
    let shopping = || -> io::Result<()> {
        let stream = TcpStream::connect(address)?;
        let mut answers = BufReader::new(&stream).lines();
        for round in number.. {
            (&mut &stream).write_all(format!("{round} apples\n").as_bytes())?;
            if answers.next().transpose()?.is_none() {
                break;
            }
            let leisure = if round / 200 % 2 == 0 { 5 } else { 40 };
            let _ = channel::after(Duration::from_millis(leisure)).recv();
        }
        Ok(())
    };
    if let Err(error) = shopping() {
        eprintln!("customer {number} left: {error}");
    }
}
