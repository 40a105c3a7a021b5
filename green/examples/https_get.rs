//! Fetches a page over HTTPS and says whom it came from.
//!
//! ```sh
//! cargo run --release -p green-std --example https_get -- https://example.org/
//! cargo run --release -p green-std --example https_get -- --cafile cert.pem https://localhost:8443/
//! ```
//!
//! The server's certificate must be one that the system trusts, or that `--cafile` vouches for.
//! The body goes to standard output, everything else to standard error.
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::str;
use std::time::Duration;

mod program;

use green::net::TcpStream;
use green::ssl::{
    GreenSslSocket, Purpose, Reason, SslContext, SslError, VerifyLocation, VerifyMode,
};

use program::{Error, Long, Parser, Program, Short, Value, ValueExt, seconds};

const PROGRAM: Program = Program {
    name: "https_get",
    usage: "\
Usage: https_get [OPTIONS] https://HOST[:PORT][/PATH]

  --cafile FILE     trust the certificates in this PEM file, in place of the system's
  --insecure        trust anybody: the page may then come from anybody
  --limit SECONDS   for everything together   (30)
  --help            this page",
};

/// The longest head of an answer that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

struct Options {
    cafile: Option<String>,
    insecure: bool,
    limit: Duration,
    url: Url,
}

struct Url {
    host: String,
    port: u16,
    path: String,
}

fn main() -> ExitCode {
    PROGRAM.run(Options::parse, |options| {
        let context = context(&options).map_err(|error| error.to_string())?;
        let Options { limit, url, .. } = options;
        let authority = url.authority();
        // One limit over everything: look-up, connect, handshake, question and answer.
        let got = green::run(move || green::timeout(limit, || get(&context, &url)));
        match got.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(status) if status < 400 => Ok(ExitCode::SUCCESS),
            // As curl --fail has it.
            Ok(_) => Ok(ExitCode::from(22)),
            Err(error) => Err(format!("{authority}: {}", reason(&error))),
        }
    })
}

/// What went wrong; of TLS in words of our own first, since those of its library are for who knows it.
fn reason(error: &io::Error) -> String {
    let Some(tls) = SslError::of(error) else {
        return error.to_string();
    };
    let words = match tls.reason() {
        Reason::CertificateExpired => "the certificate has expired",
        Reason::CertificateNotYetValid => "the certificate is not valid yet",
        Reason::HostnameMismatch => "the certificate is for another host",
        Reason::UnknownIssuer => "nobody who is trusted has issued the certificate",
        Reason::NotTls => "the server does not speak TLS",
        _ => return tls.to_string(),
    };
    format!("{words} ({tls})")
}

fn get(context: &SslContext, url: &Url) -> io::Result<u16> {
    let Url { host, port, path } = url;
    let tcp = TcpStream::connect((host.as_str(), *port))?;
    let mut tls = context.connect(tcp, host)?;
    describe(&tls)?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    write!(
        tls,
        "GET {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: https_get\r\nAccept: */*\r\n\r\n",
        url.authority()
    )?;
    let mut answer = Vec::new();
    let head = loop {
        if let Some(head) = Head::parse(&answer)? {
            break head;
        }
        let mut piece = [0; 4096];
        match tls.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&piece[..len]),
        }
    };
    eprintln!("* {}", head.line);
    let body = &answer[head.bytes..];
    let mut out = green::io::stdout().lock();
    match head.content_length {
        Some(len) => {
            let early = body.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            out.write_all(&body[..early])?;
            let mut rest = tls.take(len - early as u64);
            green::io::copy(&mut rest, &mut out)?;
            if rest.limit() > 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        // Without a length the end is where the server says so by close_notify. A connection that
        // was cut looks different: it is an error, so half a page is never taken for a whole one.
        None => {
            out.write_all(body)?;
            green::io::copy(&mut tls, &mut out)?;
        }
    }
    out.flush()?;
    Ok(head.status)
}

fn context(options: &Options) -> io::Result<SslContext> {
    let context = match &options.cafile {
        None => SslContext::create_default_context(Purpose::ServerAuth)?,
        Some(file) => {
            let context = SslContext::new(Purpose::ServerAuth)?;
            context.load_verify_locations(VerifyLocation::File(Path::new(file)))?;
            context
        }
    };
    if options.insecure {
        context.set_check_hostname(false)?;
        context.set_verify_mode(VerifyMode::None)?;
    }
    Ok(context)
}

fn describe(tls: &GreenSslSocket) -> io::Result<()> {
    if let (Some(version), Some(cipher)) = (tls.version()?, tls.cipher()?) {
        eprintln!("* {version}, {}", cipher.name);
    }
    if let Some(certificate) = tls.peer_certificate()? {
        let details = certificate.details()?;
        let names = |names: &[(String, String)]| {
            let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            names.join(", ")
        };
        eprintln!("* certificate of {}", names(&details.subject));
        eprintln!("* issued by {}", names(&details.issuer));
    }
    Ok(())
}

/// What the answer's head says that matters here.
struct Head {
    bytes: usize,
    status: u16,
    line: String,
    content_length: Option<u64>,
}

impl Head {
    /// `None`: there is more to come.
    fn parse(answer: &[u8]) -> io::Result<Option<Head>> {
        let bad = |what: String| io::Error::new(ErrorKind::InvalidData, what);
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let bytes = match response.parse(answer) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) if answer.len() <= HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(bad("the answer has no end".to_owned())),
            Err(error) => return Err(bad(format!("the answer is not HTTP: {error}"))),
        };
        let status = response.code.unwrap_or(0);
        let line = format!("{status} {}", response.reason.unwrap_or(""));
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .map(|header| {
                let digits = str::from_utf8(header.value).unwrap_or("");
                let length = digits.trim().parse();
                length.map_err(|_| bad("the answer's length is not a number".to_owned()))
            })
            .transpose()?;
        Ok(Some(Head {
            bytes,
            status,
            line,
            content_length: length,
        }))
    }
}

impl Options {
    fn parse(mut parser: Parser) -> Result<Option<Options>, Error> {
        let (mut cafile, mut insecure, mut url) = (None, false, None);
        let mut limit = Duration::from_secs(30);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("cafile") => cafile = Some(parser.value()?.string()?),
                Long("insecure") => insecure = true,
                Long("limit") => limit = seconds(parser.value()?)?,
                Long("help") | Short('h') => return Ok(None),
                Value(address) if url.is_none() => url = Some(Url::parse(&address.string()?)?),
                Value(_) => return Err("one URL at a time".into()),
                other => return Err(other.unexpected()),
            }
        }
        if insecure && cafile.is_some() {
            return Err("--cafile says whom to trust, --insecure to trust anybody".into());
        }
        let url = url.ok_or("a URL is missing")?;
        Ok(Some(Options {
            cafile,
            insecure,
            limit,
            url,
        }))
    }
}

impl Url {
    fn parse(url: &str) -> Result<Url, String> {
        let rest = url
            .strip_prefix("https://")
            .ok_or_else(|| format!("{url} does not begin with https://"))?;
        let rest = rest.split('#').next().unwrap_or("");
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'/' => (&rest[..at], rest[at..].to_owned()),
            Some(at) => (&rest[..at], format!("/{}", &rest[at..])),
            None => (rest, "/".to_owned()),
        };
        let bad = || format!("{authority:?} is not HOST or HOST:PORT");
        let (host, port) = match authority.strip_prefix('[') {
            // An IPv6 address.
            Some(inner) => inner.split_once(']').ok_or_else(bad)?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| bad())?,
            None if port.is_empty() => 443,
            None => return Err(bad()),
        };
        let clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !clean(host) || host.contains('@') || !clean(&path) {
            return Err(bad());
        }
        Ok(Url {
            host: host.to_owned(),
            port,
            path,
        })
    }

    /// Host and port as a `Host` header has them.
    fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            443 => host,
            port => format!("{host}:{port}"),
        }
    }
}
