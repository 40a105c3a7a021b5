//! Settings for many connections.

use std::fmt;
use std::io;
use std::sync::Arc;

use greenhub::wait_queue::ShortLock;

use super::engine::{Choice, ChooseByName, EngineKind, Factory};
use super::facts::TlsVersion;
use super::pipe::SslPipe;
use super::session::SslSession;
use super::settings::{Purpose, Settings, VerifyMode};

pub use self::certificates::VerifyLocation;

mod certificates;
#[cfg(test)]
mod tests;

/// Chooses a server's context by the name that a client asks for (`None`: it names none).
///
/// `Ok(None)` keeps the present context; an error refuses the client with the alert `unrecognized_name`.
/// The TLS library calls it in the middle of a handshake, so it must not wait for anything.
pub type ServerNameCallback =
    Arc<dyn Fn(Option<&str>) -> io::Result<Option<SslContext>> + Send + Sync>;

/// Settings for many connections, as Python's `SSLContext`.
///
/// Clones share their settings. They may be changed while connections are being made: one that has begun keeps
/// what it began with, and the next takes the new settings, all of them or none. So a server reloads its
/// certificate by calling [`load_cert_chain`](Self::load_cert_chain) again; if the new one cannot be used,
/// the old one stays.
///
/// # Examples
///
/// ```
/// use green::ssl::{Purpose, SslContext, TlsVersion};
///
/// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
/// context.set_minimum_version(TlsVersion::Tls13)?;
/// context.set_alpn_protocols(&["h2", "http/1.1"])?;
/// let pipe = context.pipe(Some("example.org"))?;
/// assert!(!pipe.is_handshaken());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SslContext {
    engine: EngineKind,
    state: Arc<ShortLock<State>>,
}

struct State {
    settings: Settings,
    choose: Option<ChooseByName>,
    /// The engine's form of both, made when first needed after a change.
    factory: Option<Arc<dyn Factory>>,
}

impl SslContext {
    /// A context that trusts nobody yet: TLS 1.2 and 1.3; for clients, certificate and host name required.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn new(purpose: Purpose) -> io::Result<Self> {
        Self::with_engine(purpose, EngineKind::default())
    }

    /// [`new`](Self::new) on a given engine.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the engine does not exist.
    pub fn with_engine(purpose: Purpose, engine: EngineKind) -> io::Result<Self> {
        let client = purpose == Purpose::ServerAuth;
        let settings = Settings {
            purpose,
            identity: None,
            default_roots: false,
            roots: Vec::new(),
            check_hostname: client,
            verify_mode: if client {
                VerifyMode::Required
            } else {
                VerifyMode::None
            },
            minimum_version: Some(TlsVersion::Tls12),
            maximum_version: None,
            ciphers: None,
            alpn: Vec::new(),
        };
        engine.check(&settings)?;
        Ok(Self {
            engine,
            state: Arc::new(ShortLock::new(State {
                settings,
                choose: None,
                factory: None,
            })),
        })
    }

    /// A context for ordinary use: as [`new`](Self::new), but a client trusts the certificates that the system trusts.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn create_default_context(purpose: Purpose) -> io::Result<Self> {
        let context = Self::new(purpose)?;
        if purpose == Purpose::ServerAuth {
            context.load_default_certs()?;
        }
        Ok(context)
    }

    /// The engine under it.
    pub fn engine(&self) -> EngineKind {
        self.engine
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.state.lock().settings.purpose
    }

    /// Whether a client checks that the certificate is for the host that it connects to.
    pub fn check_hostname(&self) -> bool {
        self.state.lock().settings.check_hostname
    }

    /// Sets [`check_hostname`](Self::check_hostname). Turning it on turns [`VerifyMode::None`] into `Required`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a server's context.
    pub fn set_check_hostname(&self, check: bool) -> io::Result<()> {
        self.change(|settings| {
            if check && settings.purpose == Purpose::ClientAuth {
                return Err(misuse("a server has no host name to check"));
            }
            if check && settings.verify_mode == VerifyMode::None {
                settings.verify_mode = VerifyMode::Required;
            }
            settings.check_hostname = check;
            Ok(())
        })
    }

    /// Whether the peer must show a certificate.
    pub fn verify_mode(&self) -> VerifyMode {
        self.state.lock().settings.verify_mode
    }

    /// Sets [`verify_mode`](Self::verify_mode).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for [`VerifyMode::None`] while host names are checked; `Unsupported` on a native-tls server.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// use green::ssl::{Purpose, SslContext, VerifyMode};
    ///
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let error = context.set_verify_mode(VerifyMode::None).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// // Whoever wants to talk to anybody must say so twice.
    /// context.set_check_hostname(false)?;
    /// context.set_verify_mode(VerifyMode::None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_verify_mode(&self, mode: VerifyMode) -> io::Result<()> {
        self.change(|settings| {
            if mode == VerifyMode::None && settings.check_hostname {
                return Err(misuse("host names cannot be checked without certificates: set_check_hostname(false) first"));
            }
            settings.verify_mode = mode;
            Ok(())
        })
    }

    /// Sets the oldest protocol version to accept. TLS 1.2 unless set.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is above the maximum; `Unsupported` for TLS 1.3 on a native-tls server.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// use green::ssl::{Purpose, SslContext, TlsVersion};
    ///
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// context.set_maximum_version(TlsVersion::Tls12)?;
    /// let error = context.set_minimum_version(TlsVersion::Tls13).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_minimum_version(&self, version: TlsVersion) -> io::Result<()> {
        self.change(|settings| {
            settings.minimum_version = Some(version);
            check_versions(settings)
        })
    }

    /// Sets the newest protocol version to accept. The newest there is unless set.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is below the minimum.
    pub fn set_maximum_version(&self, version: TlsVersion) -> io::Result<()> {
        self.change(|settings| {
            settings.maximum_version = Some(version);
            check_versions(settings)
        })
    }

    /// Sets the ciphers of TLS 1.2 and older, in OpenSSL's language. Those of TLS 1.3 are all good and cannot be
    /// changed.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine. A list that names no cipher makes [`pipe`](Self::pipe) fail with `InvalidData`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::ssl::{EngineKind, Purpose, SslContext};
    ///
    /// let context = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
    /// context.set_ciphers("ECDHE+AESGCM")?;
    /// context.set_ciphers("no such cipher")?;
    /// let error = context.pipe(Some("example.org")).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ciphers(&self, ciphers: &str) -> io::Result<()> {
        self.change(|settings| {
            settings.ciphers = Some(ciphers.to_owned());
            Ok(())
        })
    }

    /// Sets the application protocols to offer (clients) or to choose from (servers), the preferred one first.
    ///
    /// If both ends name some and have none in common, the server ends the handshake with the alert
    /// `no_application_protocol` (RFC 7301), so that nobody speaks a protocol that the other does not expect. If one
    /// end names none, the connection is made without one.
    ///
    /// # Differences from Python
    ///
    /// Python's server then goes on without a protocol. So does one on the native-tls engine, which cannot refuse: ask
    /// for what was [agreed on](super::GreenSslSocket::negotiated_alpn).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty name or one of more than 255 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    /// use green::thread;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::new(Purpose::ServerAuth)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// server.set_alpn_protocols(&["h2", "http/1.1"])?;
    /// client.set_alpn_protocols(&["http/1.1"])?;
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || server.accept(far)?.do_handshake());
    /// let tls = client.connect(near, "localhost")?;
    /// assert_eq!(tls.negotiated_alpn()?.as_deref(), Some(&b"http/1.1"[..]));
    /// # served.join().unwrap()
    /// # }
    /// ```
    pub fn set_alpn_protocols(&self, protocols: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let protocols: Vec<Vec<u8>> = protocols
            .iter()
            .map(|name| name.as_ref().to_vec())
            .collect();
        if protocols
            .iter()
            .any(|name| name.is_empty() || name.len() > 255)
        {
            return Err(misuse("the name of a protocol has 1 to 255 bytes"));
        }
        self.change(|settings| {
            settings.alpn = protocols;
            Ok(())
        })
    }

    /// Sets what chooses a server's context by the name that a client asks for.
    ///
    /// The chosen context gives its certificates, its trust and its application protocols. Protocol versions
    /// are those of the context that the connection began with. An error refuses the name: the client gets the alert
    /// `unrecognized_name`, and the handshake fails with [`NameRefused`](super::Reason::NameRefused).
    ///
    /// The callback is called in the middle of a handshake, inside the TLS library, so it must not wait: it may
    /// compute, and look up what is in memory, such as contexts that were loaded before. A call of this crate's that
    /// has to wait (a sleep, a file, a socket, a lock that another holds) panics there. A panic fails the handshake as
    /// an error does, with its message, and the client gets the alert `internal_error`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a client's context; `Unsupported` by the native-tls engine.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{EngineKind, Purpose, SslContext, VerifyLocation};
    /// use green::thread;
    ///
    /// # fn main() -> io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["one.example".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let one = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
    /// # one.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// // `one` has the certificate of one.example.
    /// let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
    /// server.set_server_name_callback(move |name| match name {
    ///     Some("one.example") => Ok(Some(one.clone())),
    ///     _ => Err(io::ErrorKind::NotFound.into()),
    /// })?;
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || -> io::Result<_> {
    ///     let tls = server.accept(far)?;
    ///     tls.do_handshake()?;
    ///     Ok(tls)
    /// });
    /// let tls = client.connect(near, "one.example")?;
    /// let shown = tls.peer_certificate()?.unwrap().details()?;
    /// assert_eq!(shown.dns_names, ["one.example"]);
    /// assert_eq!(served.join().unwrap()?.server_name()?.as_deref(), Some("one.example"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "sni_callback")]
    pub fn set_server_name_callback(
        &self,
        callback: impl Fn(Option<&str>) -> io::Result<Option<SslContext>> + Send + Sync + 'static,
    ) -> io::Result<()> {
        let choose: ChooseByName = Arc::new(move |name| {
            let chosen = callback(name)?;
            Ok(chosen.map(|context| -> Choice { Box::new(move || context.factory()) }))
        });
        let before = {
            let mut state = self.state.lock();
            if state.settings.purpose == Purpose::ServerAuth {
                return Err(misuse("only a server is asked for a name"));
            }
            self.engine.check_choosing()?;
            (state.choose.replace(choose), state.factory.take())
        };
        // The user's, so not under the lock.
        drop(before);
        Ok(())
    }

    /// A new connection without a transport: a server's or a client's, as the context's purpose says; a client's is to
    /// `server_hostname`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when a server is given a host name, when host names are checked and none is given, or when it is
    /// no valid host name; `InvalidData` when the engine cannot use the settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// use green::ssl::{Purpose, SslContext};
    ///
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let pipe = context.pipe(Some("example.org"))?;
    /// assert!(!pipe.server_side() && !pipe.is_handshaken());
    /// // Whose certificate would that have to be?
    /// let error = context.pipe(None).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pipe(&self, server_hostname: Option<&str>) -> io::Result<SslPipe> {
        self.new_pipe(server_hostname, None)
    }

    /// As [`pipe`](Self::pipe), for a caller that can be one side only.
    pub(crate) fn pipe_for(
        &self,
        purpose: Purpose,
        server_hostname: Option<&str>,
    ) -> io::Result<SslPipe> {
        match (purpose, self.purpose()) {
            (Purpose::ClientAuth, Purpose::ServerAuth) => {
                Err(misuse("this context is for clients"))
            }
            (Purpose::ServerAuth, Purpose::ClientAuth) => {
                Err(misuse("this context is for servers"))
            }
            _ => self.pipe(server_hostname),
        }
    }

    /// A new client's connection that asks to resume `session`. If the server does not agree, or the settings
    /// have changed since, a whole handshake follows; [`SslPipe::session_reused`] tells.
    ///
    /// # Errors
    ///
    /// As [`pipe`](Self::pipe); `Unsupported` by the native-tls engine.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{EngineKind, GreenSslSocket, Purpose, SslContext, VerifyLocation};
    /// use green::thread;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// # let greet = |far: UnixStream| {
    /// #     let server = server.clone();
    /// #     thread::spawn(move || -> std::io::Result<()> {
    /// #         let mut tls = server.accept(far)?;
    /// #         tls.write_all(b"welcome")?;
    /// #         tls.shutdown_write()?;
    /// #         tls.read_to_end(&mut Vec::new()).map(drop)
    /// #     })
    /// # };
    /// let (near, far) = UnixStream::pair()?;
    /// # let first_served = greet(far);
    /// let mut first = client.connect(near, "localhost")?;
    /// first.read_to_end(&mut Vec::new())?;
    /// let session = first.session()?.expect("the server gives tickets");
    ///
    /// let (near, far) = UnixStream::pair()?;
    /// # let second_served = greet(far);
    /// let pipe = client.pipe_resuming(Some("localhost"), &session)?;
    /// let mut second = GreenSslSocket::from_pipe(near, pipe);
    /// second.read_to_end(&mut Vec::new())?;
    /// assert!(second.session_reused()?);
    /// # drop((first, second));
    /// # first_served.join().unwrap()?;
    /// # second_served.join().unwrap()
    /// # }
    /// ```
    pub fn pipe_resuming(
        &self,
        server_hostname: Option<&str>,
        session: &SslSession,
    ) -> io::Result<SslPipe> {
        if self.purpose() == Purpose::ClientAuth {
            return Err(misuse("this context is for servers"));
        }
        self.new_pipe(server_hostname, Some(session))
    }

    fn new_pipe(
        &self,
        server_hostname: Option<&str>,
        session: Option<&SslSession>,
    ) -> io::Result<SslPipe> {
        let (server_side, server_name) = {
            let settings = &self.state.lock().settings;
            let server_side = settings.purpose == Purpose::ClientAuth;
            if server_side && server_hostname.is_some() {
                return Err(misuse("only a client names the server"));
            }
            if settings.check_hostname && server_hostname.is_none() {
                return Err(misuse("checking the host name needs server_hostname"));
            }
            (server_side, server_hostname.map(host_name).transpose()?)
        };
        SslPipe::new(&*self.factory()?, server_side, server_name, session)
    }

    /// The engine's form of the present settings.
    pub(crate) fn factory(&self) -> io::Result<Arc<dyn Factory>> {
        let mut state = self.state.lock();
        if let Some(factory) = &state.factory {
            return Ok(Arc::clone(factory));
        }
        let factory = self
            .engine
            .factory(&state.settings, state.choose.as_ref())?;
        state.factory = Some(Arc::clone(&factory));
        Ok(factory)
    }

    /// Changes the settings, all of them or none.
    fn change(&self, change: impl FnOnce(&mut Settings) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut settings = state.settings.clone();
        change(&mut settings)?;
        self.engine.check(&settings)?;
        state.settings = settings;
        state.factory = None;
        Ok(())
    }
}

impl fmt::Debug for SslContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.state.lock().settings;
        f.debug_struct("SslContext")
            .field("engine", &self.engine)
            .field("purpose", &settings.purpose)
            .field("verify_mode", &settings.verify_mode)
            .field("check_hostname", &settings.check_hostname)
            .field("minimum_version", &settings.minimum_version)
            .field("maximum_version", &settings.maximum_version)
            .finish_non_exhaustive()
    }
}

fn check_versions(settings: &Settings) -> io::Result<()> {
    match (settings.minimum_version, settings.maximum_version) {
        (Some(minimum), Some(maximum)) if minimum > maximum => {
            Err(misuse("the minimum version is above the maximum version"))
        }
        _ => Ok(()),
    }
}

/// The host name as it is sent and compared: without the dot that ends a full name.
fn host_name(name: &str) -> io::Result<&str> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    // OpenSSL takes a leading dot for "any host below".
    if bare.is_empty() || bare.starts_with('.') {
        return Err(misuse(
            "a host name is not empty and does not start with a dot",
        ));
    }
    if !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(misuse(
            "a host name is ASCII; other names are written in their xn-- form",
        ));
    }
    Ok(bare)
}

fn misuse(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
