//! The certificate that a context shows, and those that it trusts, from files or from memory.

use std::fs;
use std::io;
use std::path::Path;

use super::SslContext;
use crate::tls::ssl::certificate::Certificate;
use crate::tls::ssl::refusal::malformed;
use crate::tls::ssl::settings::{Identity, Settings};

/// Where trusted certificates are found.
///
/// ```
/// use std::io::ErrorKind;
/// use std::path::Path;
///
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let pem = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
/// let context = SslContext::new(Purpose::ServerAuth)?;
/// context.load_verify_locations(VerifyLocation::Bytes(pem.as_bytes()))?;
/// let nowhere = VerifyLocation::Folder(Path::new("not/there"));
/// let error = context.load_verify_locations(nowhere).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum VerifyLocation<'a> {
    /// A file of one or more certificates in PEM form.
    File(&'a Path),
    /// A folder; every file in it that holds certificates in PEM form is read.
    Folder(&'a Path),
    /// Certificates in PEM form, or one in DER.
    Bytes(&'a [u8]),
}

impl SslContext {
    /// Shows the certificates in `certfile`, our own first, to peers; the key is in `keyfile`, or in the same file.
    /// Both are PEM. The key may be encrypted under `password`. The files are read on the calling OS thread, as std
    /// does.
    ///
    /// # Errors
    ///
    /// The file system's, such as `NotFound`; `InvalidData` when a file cannot be understood, the password is
    /// wrong, or the key is not the certificate's. The message names the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use green::ssl::{Purpose, SslContext};
    ///
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let folder = tempfile::tempdir()?;
    /// # std::env::set_current_dir(&folder)?;
    /// # std::fs::write("crt.pem", made.cert.pem())?;
    /// # std::fs::write("key.pem", made.signing_key.serialize_pem())?;
    /// # std::fs::write("both.pem", made.cert.pem() + &made.signing_key.serialize_pem())?;
    /// let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// context.load_cert_chain("both.pem", None, None)?;
    /// context.load_cert_chain("crt.pem", Some(Path::new("key.pem")), None)?;
    ///
    /// // A new one that cannot be used leaves the old one in its place.
    /// let error = context.load_cert_chain("crt.pem", None, None).unwrap_err();
    /// assert_eq!(error.to_string(), "crt.pem: there is no private key in PEM form");
    /// assert!(context.pipe(None).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn load_cert_chain(
        &self,
        certfile: impl AsRef<Path>,
        keyfile: Option<&Path>,
        password: Option<&str>,
    ) -> io::Result<()> {
        let certfile = certfile.as_ref();
        let keyfile = keyfile.unwrap_or(certfile);
        let chain = fs::read(certfile).map_err(about(certfile))?;
        // Then what is wrong with the two is the key.
        Certificate::stack_from_pem(&chain).map_err(about(certfile))?;
        let key = fs::read(keyfile).map_err(about(keyfile))?;
        self.load_cert_chain_bytes(&chain, &key, password)
            .map_err(about(keyfile))
    }

    /// [`load_cert_chain`](Self::load_cert_chain) from memory.
    ///
    /// # Errors
    ///
    /// `InvalidData` as there.
    pub fn load_cert_chain_bytes(
        &self,
        chain: &[u8],
        key: &[u8],
        password: Option<&str>,
    ) -> io::Result<()> {
        self.load_identity(Identity::Pem {
            chain: chain.to_vec(),
            key: key.to_vec(),
            password: password.map(str::to_owned),
        })
    }

    /// Shows the certificate in a PKCS#12 archive (`.p12`, `.pfx`) to peers.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it cannot be understood or the password is wrong.
    pub fn load_pkcs12(&self, der: &[u8], password: &str) -> io::Result<()> {
        self.load_identity(Identity::Pkcs12 {
            der: der.to_vec(),
            password: password.to_owned(),
        })
    }

    /// Takes the identity only if the whole of the settings can be used with it.
    fn load_identity(&self, identity: Identity) -> io::Result<()> {
        let mut state = self.state.lock();
        let settings = Settings {
            identity: Some(identity),
            ..state.settings.clone()
        };
        let factory = self.engine.factory(&settings, state.choose.as_ref())?;
        state.settings = settings;
        state.factory = Some(factory);
        Ok(())
    }

    /// Trusts the certificates found at `location`, besides those trusted already.
    ///
    /// # Errors
    ///
    /// The file system's, such as `NotFound`; `InvalidData` when there is no certificate. The message names the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::path::Path;
    ///
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    ///
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("authority.pem");
    /// # std::fs::write(&file, made.cert.pem())?;
    /// // Nobody is trusted but these.
    /// let context = SslContext::new(Purpose::ServerAuth)?;
    /// context.load_verify_locations(VerifyLocation::File(&file))?;
    /// context.load_verify_locations(VerifyLocation::Folder(folder.path()))?;
    ///
    /// let nowhere = VerifyLocation::File(Path::new("not/there.pem"));
    /// let error = context.load_verify_locations(nowhere).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn load_verify_locations(&self, location: VerifyLocation<'_>) -> io::Result<()> {
        let found = match location {
            VerifyLocation::File(path) => fs::read(path)
                .and_then(|pem| Certificate::stack_from_pem(&pem))
                .map_err(about(path))?,
            VerifyLocation::Folder(path) => certificates_in(path)?,
            VerifyLocation::Bytes(bytes) if bytes.first() == Some(&0x30) => {
                vec![Certificate::from_der(bytes)?]
            }
            VerifyLocation::Bytes(bytes) => Certificate::stack_from_pem(bytes)?,
        };
        self.change(|settings| {
            for certificate in found {
                if !settings.roots.contains(&certificate) {
                    settings.roots.push(certificate);
                }
            }
            Ok(())
        })
    }

    /// Trusts the certificates that the system trusts.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn load_default_certs(&self) -> io::Result<()> {
        self.change(|settings| {
            settings.default_roots = true;
            Ok(())
        })
    }
}

fn certificates_in(folder: &Path) -> io::Result<Vec<Certificate>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(about(folder))? {
        let path = entry.map_err(about(folder))?.path();
        // Folders, sockets and lists of revoked certificates may lie beside them.
        if path.is_file() {
            let pem = fs::read(&path).map_err(about(&path))?;
            found.extend(Certificate::stack_from_pem(&pem).unwrap_or_default());
        }
    }
    if found.is_empty() {
        return Err(about(folder)(malformed(
            "there is no certificate in this folder",
        )));
    }
    Ok(found)
}

/// Puts the file before the reason: several may have been meant.
fn about(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
