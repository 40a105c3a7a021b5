//! What is known of a connection beside its bytes.

use std::fmt;

use greenhub::greenio::{GreenSocket, SockAddr};

use crate::ssl::{Certificate, Cipher, GreenSslSocket, SslContext, TlsVersion};

/// What is known of a connection beside its bytes: asyncio's `get_extra_info`, with a method for each of its names.
///
/// The addresses are stored at the start, so they are known after the end too.
///
/// # Examples
///
/// ```
/// use green::asyncio::{
///     ConnectionOptions, ServerOptions, StreamReader, open_connection, start_server,
/// };
/// use green::ssl::{EngineKind, Purpose, SslContext, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let theirs = SslContext::new(Purpose::ClientAuth)?;
/// theirs.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
/// let options = ServerOptions::new().ssl(&theirs);
/// let hold = |reader: StreamReader, _writer| reader.read_to_eof().map(drop);
/// let server = start_server(hold, "127.0.0.1:0", options)?;
///
/// // The other engine tells neither cipher nor version.
/// let ours = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
/// ours.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
/// let options = ConnectionOptions::new().ssl(&ours, "localhost");
/// let (_reader, writer) = open_connection(server.local_addr()?, options)?;
/// let extra = writer.get_extra_info();
/// assert_eq!(extra.peername().and_then(|peer| peer.as_socket()), server.local_addr().ok());
/// assert!(extra.sockname().is_some_and(|ours| ours.is_ipv4()));
/// assert!(extra.socket().nodelay()?);
/// assert!(extra.sslcontext().is_some() && extra.ssl_object().is_some());
/// assert!(extra.cipher().is_some() && extra.version().is_some());
/// assert!(extra.peercert().is_some());
/// assert_eq!(extra.compression(), None);
/// # Ok(())
/// # }
/// ```
pub struct ExtraInfo {
    peername: Option<SockAddr>,
    sockname: Option<SockAddr>,
    socket: GreenSocket,
    tls: Option<(GreenSslSocket, SslContext)>,
}

impl ExtraInfo {
    pub(super) fn of_socket(socket: &GreenSocket) -> ExtraInfo {
        ExtraInfo {
            peername: socket.peer_addr().ok(),
            sockname: socket.local_addr().ok(),
            socket: handle(socket),
            tls: None,
        }
    }

    pub(super) fn of_tls(tls: &GreenSslSocket, context: &SslContext) -> ExtraInfo {
        ExtraInfo {
            tls: Some((tls_handle(tls), context.clone())),
            ..ExtraInfo::of_socket(tls.get_ref())
        }
    }

    /// The peer's address. None of a datagram endpoint without a remote address. `as_socket()` of it is the `SocketAddr`.
    pub fn peername(&self) -> Option<&SockAddr> {
        self.peername.as_ref()
    }

    /// Our own address.
    pub fn sockname(&self) -> Option<&SockAddr> {
        self.sockname.as_ref()
    }

    /// The socket, for its options. Do not read from it or write to it: the bytes are the transport's.
    pub fn socket(&self) -> &GreenSocket {
        &self.socket
    }

    /// The TLS connection, asyncio's `ssl_object`; as [`socket`](Self::socket), not for reading and writing.
    pub fn ssl_object(&self) -> Option<&GreenSslSocket> {
        self.tls.as_ref().map(|(tls, _)| tls)
    }

    /// The settings that the TLS connection was made with.
    pub fn sslcontext(&self) -> Option<&SslContext> {
        self.tls.as_ref().map(|(_, context)| context)
    }

    /// The cipher. None without TLS, and none with the native-tls engine, which cannot tell.
    pub fn cipher(&self) -> Option<Cipher> {
        self.ssl_object()?.cipher().ok().flatten()
    }

    /// The version of TLS. None without TLS, and none with the native-tls engine, which cannot tell.
    pub fn version(&self) -> Option<TlsVersion> {
        self.ssl_object()?.version().ok().flatten()
    }

    /// The peer's certificate, if it showed one.
    pub fn peercert(&self) -> Option<Certificate> {
        self.ssl_object()?.peer_certificate().ok().flatten()
    }

    /// The compression of the TLS connection: always none, since compressed TLS gives secrets away (CRIME) and TLS 1.3
    /// does not have it any more.
    pub fn compression(&self) -> Option<&'static str> {
        None
    }
}

fn handle(socket: &GreenSocket) -> GreenSocket {
    socket.try_clone().expect("a handle to a socket is free")
}

fn tls_handle(tls: &GreenSslSocket) -> GreenSslSocket {
    tls.try_clone().expect("a handle to a connection is free")
}

impl Clone for ExtraInfo {
    fn clone(&self) -> ExtraInfo {
        ExtraInfo {
            peername: self.peername.clone(),
            sockname: self.sockname.clone(),
            socket: handle(&self.socket),
            tls: self
                .tls
                .as_ref()
                .map(|(tls, context)| (tls_handle(tls), context.clone())),
        }
    }
}

impl fmt::Debug for ExtraInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtraInfo")
            .field("peername", &self.peername)
            .field("sockname", &self.sockname)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
