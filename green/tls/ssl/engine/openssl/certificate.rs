//! What OpenSSL reads in a certificate.

use std::io;
use std::net::IpAddr;

use openssl::asn1::Asn1TimeRef;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameEntryRef, X509NameRef, X509Ref};

use super::refused;
use crate::ssl::certificate::{Certificate, CertificateDetails};

/// RFC 5929: the hash of the certificate's own signature, SHA-256 in place of MD5 and SHA-1.
pub(super) fn binding_digest(certificate: &X509Ref) -> Option<MessageDigest> {
    let signature = certificate
        .signature_algorithm()
        .object()
        .nid()
        .signature_algorithms()?;
    match signature.digest {
        Nid::MD5 | Nid::SHA1 => Some(MessageDigest::sha256()),
        digest => MessageDigest::from_nid(digest),
    }
}

/// The fields of a certificate.
pub(crate) fn details(certificate: &Certificate) -> io::Result<CertificateDetails> {
    let certificate = X509::from_der(certificate.der()).map_err(refused)?;
    let mut details = CertificateDetails {
        subject: name_parts(certificate.subject_name()),
        issuer: name_parts(certificate.issuer_name()),
        not_before: time(certificate.not_before()),
        not_after: time(certificate.not_after()),
        serial_number: certificate
            .serial_number()
            .to_bn()?
            .to_hex_str()?
            .to_string(),
        version: certificate.version() + 1,
        dns_names: Vec::new(),
        addresses: Vec::new(),
    };
    for name in certificate.subject_alt_names().into_iter().flatten() {
        if let Some(host) = name.dnsname() {
            details.dns_names.push(host.to_owned());
        }
        if let Some(address) = name.ipaddress() {
            let address = <[u8; 4]>::try_from(address).map(IpAddr::from);
            let address = address.or_else(|_| {
                <[u8; 16]>::try_from(name.ipaddress().unwrap_or_default()).map(IpAddr::from)
            });
            details.addresses.extend(address);
        }
    }
    Ok(details)
}

fn name_parts(name: &X509NameRef) -> Vec<(String, String)> {
    let part = |entry: &X509NameEntryRef| {
        let field = entry
            .object()
            .nid()
            .long_name()
            .unwrap_or("unknown")
            .to_owned();
        (
            field,
            String::from_utf8_lossy(entry.data().as_slice()).into_owned(),
        )
    };
    name.entries().map(part).collect()
}

fn time(time: &Asn1TimeRef) -> String {
    time.to_string()
}
