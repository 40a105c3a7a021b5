//! An authority made in memory, and contexts for both ends: ours, and the peer's, which is OpenSSL alone.

use std::path::Path;
use std::sync::LazyLock;

use green::ssl::{EngineKind, Purpose, SslContext, TlsVersion, VerifyLocation};
use openssl::pkey::PKey;
use openssl::ssl::{self, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate chain and its key, in PEM.
pub struct Leaf {
    pub chain: String,
    pub key: String,
}

impl Leaf {
    /// A new one for localhost.
    pub fn self_signed() -> Leaf {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Leaf {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// Written to files in this folder, for programs: the chain's path and the key's.
    pub fn write_to(&self, folder: &Path) -> [String; 2] {
        [("cert.pem", &self.chain), ("key.pem", &self.key)].map(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        })
    }
}

/// Somebody who issues certificates.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    pub fn leaf(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("peer close tests"));
pub static LOCALHOST: LazyLock<Leaf> = LazyLock::new(|| AUTHORITY.leaf("localhost"));

/// A certificate for localhost that nobody else has signed: whoever trusts its chain trusts it, and the system does not.
pub static SELF_SIGNED: LazyLock<Leaf> = LazyLock::new(Leaf::self_signed);

/// A client's context of ours, which trusts [`AUTHORITY`] and speaks one version.
pub fn client_context(engine: EngineKind, version: TlsVersion) -> SslContext {
    let context = SslContext::with_engine(Purpose::ServerAuth, engine).unwrap();
    let roots = VerifyLocation::Bytes(AUTHORITY.pem.as_bytes());
    context.load_verify_locations(roots).unwrap();
    context.set_maximum_version(version).unwrap();
    context.set_minimum_version(version).unwrap();
    context
}

/// A server's context of ours, which is `localhost` and speaks one version.
pub fn server_context(engine: EngineKind, version: TlsVersion) -> SslContext {
    let context = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
    let (chain, key) = (LOCALHOST.chain.as_bytes(), LOCALHOST.key.as_bytes());
    context.load_cert_chain_bytes(chain, key, None).unwrap();
    context.set_maximum_version(version).unwrap();
    context.set_minimum_version(version).unwrap();
    context
}

/// What the peer insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Nothing: a peer that takes what comes.
    Easy,
    /// A certificate that we do not have: a client's where the peer is a server, and another authority's where it is a client.
    Strict,
}

/// The peer's context.
pub fn peer_context(server: bool, version: TlsVersion, peers: Peers) -> ssl::SslContext {
    let mut builder = SslContextBuilder::new(match server {
        true => SslMethod::tls_server(),
        false => SslMethod::tls_client(),
    })
    .unwrap();
    let version = match version {
        TlsVersion::Tls13 => SslVersion::TLS1_3,
        _ => SslVersion::TLS1_2,
    };
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_security_level(1);
    if server {
        let chain = X509::from_pem(LOCALHOST.chain.as_bytes()).unwrap();
        let key = PKey::private_key_from_pem(LOCALHOST.key.as_bytes()).unwrap();
        builder.set_certificate(&chain).unwrap();
        builder.set_private_key(&key).unwrap();
    }
    match peers {
        Peers::Easy => builder.set_verify(SslVerifyMode::NONE),
        Peers::Strict => {
            let stranger = X509::from_pem(Authority::new("a stranger").pem.as_bytes()).unwrap();
            let mut store = X509StoreBuilder::new().unwrap();
            store.add_cert(stranger).unwrap();
            builder.set_verify_cert_store(store.build()).unwrap();
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
    }
    builder.build()
}
