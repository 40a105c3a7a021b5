//! An error type of one's own, parsing, and datagrams over both families of local sockets.

use std::convert::TryFrom;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::UdpSocket;
use std::ops::AddAssign;
use std::os::unix::net::UnixDatagram;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reading(i16);

#[derive(Debug)]
enum Fault {
    NoNumber(std::num::ParseIntError),
    TooMuch,
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoNumber(error) => std::write!(f, "no number: {error}"),
            Fault::TooMuch => f.write_str("too much"),
        }
    }
}

impl Error for Fault {}

impl std::convert::From<std::num::ParseIntError> for Fault {
    fn from(error: std::num::ParseIntError) -> Self {
        Fault::NoNumber(error)
    }
}

impl FromStr for Reading {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let number: i64 = text.trim().parse()?;
        i16::try_from(number).map(Reading).map_err(|_| Fault::TooMuch)
    }
}

impl AddAssign for Reading {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let (left, right) = UnixDatagram::pair()?;
    let mut sum = Reading(0);
    for text in ["12", " 30 ", "x", "40000"] {
        here.send_to(text.as_bytes(), there.local_addr()?)?;
        let mut buffer = [0; 64];
        let (length, _) = there.recv_from(&mut buffer)?;
        left.send(&buffer[..length])?;
        let length = right.recv(&mut buffer)?;
        match std::string::String::from_utf8_lossy(&buffer[..length]).parse::<Reading>() {
            Ok(reading) => sum += reading,
            Err(fault) => std::println!("{text:?}: {fault}"),
        }
    }
    let (mut one, mut two) = (DefaultHasher::new(), DefaultHasher::new());
    sum.hash(&mut one);
    Reading(42).hash(&mut two);
    std::assert_eq!(one.finish(), two.finish());
    std::println!("{sum:?}");
    Ok(())
}
