//! A certificate: its bytes, and its fields.

use std::fmt;
use std::io;
use std::sync::Arc;

mod details;

pub use details::CertificateDetails;

/// An X.509 certificate.
///
/// # Examples
///
/// ```
/// use green::ssl::Certificate;
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let pem = made.cert.pem();
/// let certificate = Certificate::stack_from_pem(pem.as_bytes())?.remove(0);
/// assert_eq!(certificate.details()?.dns_names, ["localhost"]);
/// assert_eq!(Certificate::from_der(certificate.der())?, certificate);
/// let error = Certificate::stack_from_pem(b"none").unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Certificate {
    der: Arc<[u8]>,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// `InvalidData` if it is no certificate.
    pub fn from_der(der: &[u8]) -> io::Result<Self> {
        native_tls::Certificate::from_der(der).map_err(malformed)?;
        Ok(Self::of_der(der))
    }

    /// Reads every certificate in PEM text.
    ///
    /// # Errors
    ///
    /// `InvalidData` when one cannot be read, or there is none.
    pub fn stack_from_pem(pem: &[u8]) -> io::Result<Vec<Self>> {
        let found = native_tls::Certificate::stack_from_pem(pem).map_err(malformed)?;
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there is no certificate in PEM form",
            ));
        }
        found
            .iter()
            .map(|one| Ok(Self::of_der(one.to_der().map_err(malformed)?)))
            .collect()
    }

    pub(crate) fn of_der(der: impl Into<Arc<[u8]>>) -> Self {
        Self { der: der.into() }
    }

    /// Its bytes in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("der_len", &self.der.len())
            .finish()
    }
}

fn malformed(error: native_tls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
