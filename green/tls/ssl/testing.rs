//! What the tests of this module share: an authority made in memory, and two pipes facing each other.

use std::io;
use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::{EngineKind, Progress, Purpose, SslContext, SslPipe, TlsVersion, VerifyLocation};

/// A certificate authority that only those know who load it.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

pub(crate) static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::new("green test authority"));
static LOCALHOST: LazyLock<Leaf> = LazyLock::new(|| AUTHORITY.leaf("localhost"));

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_with(name, |_| ())
    }

    pub(crate) fn leaf_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn expired(&self) -> Leaf {
        self.leaf_with("localhost", |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }
}

/// Who plays which part, over which version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setup {
    pub(crate) client: EngineKind,
    pub(crate) server: EngineKind,
    pub(crate) version: TlsVersion,
}

/// Every pairing of engines that can speak a version with each other.
pub(crate) const SETUPS: [Setup; 6] = {
    use EngineKind::{NativeTls, OpenSsl};
    use TlsVersion::{Tls12, Tls13};
    [
        Setup {
            client: OpenSsl,
            server: OpenSsl,
            version: Tls13,
        },
        Setup {
            client: OpenSsl,
            server: OpenSsl,
            version: Tls12,
        },
        Setup {
            client: NativeTls,
            server: OpenSsl,
            version: Tls13,
        },
        Setup {
            client: NativeTls,
            server: OpenSsl,
            version: Tls12,
        },
        Setup {
            client: OpenSsl,
            server: NativeTls,
            version: Tls12,
        },
        Setup {
            client: NativeTls,
            server: NativeTls,
            version: Tls12,
        },
    ]
};

pub(crate) fn client_context(engine: EngineKind) -> SslContext {
    let context = SslContext::with_engine(Purpose::ServerAuth, engine).unwrap();
    context
        .load_verify_locations(VerifyLocation::Bytes(AUTHORITY.pem.as_bytes()))
        .unwrap();
    context
}

pub(crate) fn server_context(engine: EngineKind) -> SslContext {
    server_context_with(engine, &LOCALHOST)
}

pub(crate) fn server_context_with(engine: EngineKind, leaf: &Leaf) -> SslContext {
    let context = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
    context
        .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
        .unwrap();
    context
}

/// A client and a server, with nothing between them but [`carry`].
pub(crate) struct Pair {
    pub(crate) client: SslPipe,
    pub(crate) server: SslPipe,
}

impl Pair {
    pub(crate) fn new(client: &SslContext, server: &SslContext) -> Self {
        Self {
            client: client.pipe(Some("localhost")).unwrap(),
            server: server.pipe(None).unwrap(),
        }
    }

    pub(crate) fn of(setup: Setup) -> Self {
        // Made once: native-tls reads the system's roots for every connector, wanted or not.
        static CONTEXTS: LazyLock<Vec<(Setup, SslContext, SslContext)>> = LazyLock::new(|| {
            let contexts = |setup: Setup| {
                let client = client_context(setup.client);
                client.set_maximum_version(setup.version).unwrap();
                (setup, client, server_context(setup.server))
            };
            SETUPS.map(contexts).into()
        });
        let (_, client, server) = CONTEXTS.iter().find(|(found, ..)| *found == setup).unwrap();
        Self::new(client, server)
    }

    /// A pair that has shaken hands, and has nothing left on the way.
    pub(crate) fn wrapped(setup: Setup) -> Self {
        let mut pair = Self::of(setup);
        pair.handshake().unwrap();
        pair.settle();
        pair
    }

    /// Lets the two shake hands. On a failure, the alert has been carried to the other end.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        loop {
            let client = self.client.handshake();
            carry(&mut self.client, &mut self.server);
            let server = self.server.handshake();
            carry(&mut self.server, &mut self.client);
            if let (Progress::Done(()), Progress::Done(())) = (client?, server?) {
                return Ok(());
            }
        }
    }

    /// Makes both ends use up what is on the way, session tickets above all.
    pub(crate) fn settle(&mut self) {
        carry(&mut self.client, &mut self.server);
        carry(&mut self.server, &mut self.client);
        assert_eq!(self.client.read(&mut [0; 16]).unwrap(), Progress::WantRead);
        assert_eq!(self.server.read(&mut [0; 16]).unwrap(), Progress::WantRead);
    }
}

/// Takes everything that waits in `pipe`'s outgoing.
pub(crate) fn drain(pipe: &mut SslPipe) -> Vec<u8> {
    let mut taken = Vec::new();
    while pipe.drain_to(&mut taken).unwrap() > 0 {}
    taken
}

/// Carries what waits in `from` to `to`, which must have room for it.
pub(crate) fn carry(from: &mut SslPipe, to: &mut SslPipe) -> usize {
    let bytes = drain(from);
    assert_eq!(to.feed(&bytes), bytes.len());
    bytes.len()
}

/// Writes all of `plaintext`, which must fit.
pub(crate) fn write(pipe: &mut SslPipe, plaintext: &[u8]) {
    assert_eq!(
        pipe.write(plaintext).unwrap(),
        Progress::Done(plaintext.len())
    );
}

/// Reads until the pipe wants to wait or has ended.
pub(crate) fn read_all(pipe: &mut SslPipe) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match pipe.read(&mut part).unwrap() {
            Progress::Done(0) | Progress::WantRead => return all,
            Progress::Done(count) => all.extend_from_slice(&part[..count]),
            Progress::WantWrite => panic!("nobody drains this pipe"),
        }
    }
}
