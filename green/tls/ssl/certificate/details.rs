//! The fields of a certificate, as OpenSSL reads them.

use std::io;
use std::net::IpAddr;

use openssl::asn1::Asn1TimeRef;
use openssl::x509::{X509, X509NameEntryRef, X509NameRef};

use super::Certificate;
use crate::ssl::refusal::refused;

/// The fields of a certificate that Python's `getpeercert` gives.
///
/// ```
/// use green::ssl::Certificate;
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let pem = made.cert.pem();
/// for certificate in Certificate::stack_from_pem(pem.as_bytes())? {
///     let details = certificate.details()?;
///     assert_eq!(details.dns_names, ["localhost"]);
///     println!("for {:?}, until {}", details.subject, details.not_after);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateDetails {
    /// Whom it is for: pairs such as (`commonName`, `example.org`), in the order of the
    /// certificate.
    pub subject: Vec<(String, String)>,
    /// Who issued it.
    pub issuer: Vec<(String, String)>,
    /// The host names that it is valid for; the first label may be `*`.
    pub dns_names: Vec<String>,
    /// The addresses that it is valid for.
    pub addresses: Vec<IpAddr>,
    /// From when it is valid, such as `Nov 21 00:00:00 2026 GMT`.
    pub not_before: String,
    /// Until when it is valid.
    pub not_after: String,
    /// Its serial number, in hexadecimal.
    pub serial_number: String,
    /// The version of its format: 3 nearly always.
    pub version: i32,
}

impl Certificate {
    /// Its fields.
    ///
    /// # Errors
    ///
    /// `InvalidData` when a field cannot be read.
    #[doc(alias = "getpeercert")]
    pub fn details(&self) -> io::Result<CertificateDetails> {
        let certificate = X509::from_der(self.der()).map_err(refused)?;
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
