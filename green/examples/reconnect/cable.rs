//! A network of two machines and a cable between them, inside the kernel: two network namespaces
//! and a pair of virtual devices. Nothing outside of it is touched, and it goes with its processes.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// This machine, or this user's rights on it, allow no network of our own.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// The command that runs `program` in a new network, in which there is nothing yet.
///
/// The process that it starts is `program` itself, under the number that `spawn` gives.
pub fn in_a_network_of_its_own(program: &Path) -> Result<Command, Refused> {
    let mut reason = String::new();
    for options in [&["--net"][..], &["--map-root-user", "--net"]] {
        match run(Command::new("unshare").args(options).arg("true")) {
            Ok(()) => {
                let mut command = Command::new("unshare");
                command.args(options).arg(program);
                return Ok(command);
            }
            Err(refused) => reason = refused.0,
        }
    }
    Err(Refused(reason))
}

/// A cable between this process's network and another's.
pub struct Cable {
    far: String,
}

impl Cable {
    /// Lays one to the network of process `id`. Addresses are like `10.77.0.1/24`.
    pub fn lay(id: u32, near_address: &str, far_address: &str) -> Result<Cable, Refused> {
        let cable = Cable {
            far: format!("--net=/proc/{id}/ns/net"),
        };
        ip(&format!("link add near type veth peer name far netns {id}"))?;
        ip(&format!("address add {near_address} dev near"))?;
        ip("link set near up")?;
        // Asks ten times a second, not once, who has an address, so that what is measured is the client.
        ip("ntable change name arp_cache dev near retrans 100")?;
        cable.at_far_end(&format!("address add {far_address} dev far"))?;
        cable.plug()?;
        Ok(cable)
    }

    /// From now on nothing arrives, at either end.
    pub fn pull(&self) -> Result<(), Refused> {
        self.at_far_end("link set far down")
    }

    pub fn plug(&self) -> Result<(), Refused> {
        self.at_far_end("link set far up")
    }

    fn at_far_end(&self, arguments: &str) -> Result<(), Refused> {
        let mut command = Command::new("nsenter");
        run(command.args([&self.far, "ip"]).args(arguments.split(' ')))
    }
}

fn ip(arguments: &str) -> Result<(), Refused> {
    run(Command::new("ip").args(arguments.split(' ')))
}

fn run(command: &mut Command) -> Result<(), Refused> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Refused(said.trim().to_owned()))
        }
        Err(error) => {
            let program = command.get_program().display();
            Err(Refused(format!("{program}: {error}")))
        }
    }
}
