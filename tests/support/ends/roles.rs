//! The roles in which each row is played.

use green::ssl::{EngineKind, TlsVersion};

pub const V12: TlsVersion = TlsVersion::Tls12;
pub const V13: TlsVersion = TlsVersion::Tls13;

/// What our end stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    Tls(EngineKind),
    Plain,
}

/// Who we are in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    pub server: bool,
    pub version: TlsVersion,
    pub conduct: Conduct,
}

const fn role(server: bool, version: TlsVersion, conduct: Conduct) -> Role {
    Role {
        server,
        version,
        conduct,
    }
}

const OPENSSL: Conduct = Conduct::Tls(EngineKind::OpenSsl);
const NATIVE: Conduct = Conduct::Tls(EngineKind::NativeTls);

/// Client and server, TLS 1.2 and 1.3, on both engines. Native-tls serves no TLS 1.3.
pub const ROLES: [Role; 9] = [
    role(false, V12, OPENSSL),
    role(false, V13, OPENSSL),
    role(true, V12, OPENSSL),
    role(true, V13, OPENSSL),
    role(false, V12, NATIVE),
    role(false, V13, NATIVE),
    role(true, V12, NATIVE),
    role(false, V13, Conduct::Plain),
    role(true, V13, Conduct::Plain),
];

impl Role {
    pub fn name(self) -> String {
        let part = if self.server { "server" } else { "client" };
        let version = if self.version == V12 { "1.2" } else { "1.3" };
        match self.conduct {
            Conduct::Plain => format!("TCP {part}"),
            Conduct::Tls(EngineKind::NativeTls) => format!("{part} {version} native-tls"),
            Conduct::Tls(_) => format!("{part} {version}"),
        }
    }
}
