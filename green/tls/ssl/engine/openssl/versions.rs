//! OpenSSL's numbers of the protocol's versions.

use openssl::ssl::SslVersion;

use crate::ssl::facts::TlsVersion;

pub(super) fn to_openssl(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls10 => SslVersion::TLS1,
        TlsVersion::Tls11 => SslVersion::TLS1_1,
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }
}

pub(super) fn from_openssl(version: SslVersion) -> Option<TlsVersion> {
    [
        TlsVersion::Tls10,
        TlsVersion::Tls11,
        TlsVersion::Tls12,
        TlsVersion::Tls13,
    ]
    .into_iter()
    .find(|ours| to_openssl(*ours) == version)
}
