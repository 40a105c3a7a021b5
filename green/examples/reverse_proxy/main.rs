//! A reverse proxy: HTTP/1.1 and HTTP/2 in front, with TLS if it is given a certificate, and a server of HTTP/1.1 behind.
//!
//! ```sh
//! cargo run --release -p green-std --features http-client --example reverse_proxy -- \
//!     --listen 127.0.0.1:8080 http://127.0.0.1:8000
//! ```
//!
//! A body is passed on while it comes, in either direction, so a slow peer holds the other side back and nothing piles up.
//! Connections to the server behind are kept for the next request. `headers.rs` has what becomes of headers.
//!
//! Left out are websockets and other upgrades, which get 501, and trailers. A client that goes is noticed when there is
//! something to be sent to it: then its request is given up behind, too.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

mod headers;
#[path = "../program/mod.rs"]
mod program;

use green::convenience::Accept;
use green::http::{
    self, Body, IntoResponse, Method, Reply, Request, Response, Server, StatusCode, Transport, Uri,
    header, ureq,
};
use green::signal::Signals;
use green::signal::consts::{SIGINT, SIGTERM};
use green::ssl::{Purpose, SslContext};
use green::thread;
use ureq::{Agent, SendBody};

use program::{Error, Long, Parser, Program, Short, Value, ValueExt, about, counted, seconds};

const PROGRAM: Program = Program {
    name: "reverse_proxy",
    usage: "\
Usage: reverse_proxy [OPTIONS] UPSTREAM

Passes requests on to UPSTREAM, such as http://127.0.0.1:8000, and answers back.

  --listen ADDRESS   where to listen                           (127.0.0.1:8080)
  --tls CERT KEY     HTTPS, with this certificate and its key  (PEM files)
  --limit SECONDS    for UPSTREAM to let us in, to begin its answer, and for
                     each piece of a body, of either side      (30)
  --grace SECONDS    for requests under way when it stops      (10)

Who is not reached is 502, who is late 504. Ctrl-C or SIGTERM stops it: no new
connections, requests under way are answered.",
};

struct Options {
    upstream: Uri,
    listen: String,
    tls: Option<(PathBuf, PathBuf)>,
    limit: Duration,
    grace: Duration,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        upstream: Uri::default(),
        listen: "127.0.0.1:8080".to_owned(),
        tls: None,
        limit: Duration::from_secs(30),
        grace: Duration::from_secs(10),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => options.listen = parser.value()?.string()?,
            Long("tls") => options.tls = Some((parser.value()?.into(), parser.value()?.into())),
            Long("limit") => options.limit = seconds(parser.value()?)?,
            Long("grace") => options.grace = seconds(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(text) if options.upstream.host().is_none() => {
                options.upstream = upstream(&text.string()?)?;
            }
            other => return Err(other.unexpected()),
        }
    }
    if options.upstream.host().is_none() {
        return Err("UPSTREAM is missing".into());
    }
    Ok(Some(options))
}

fn upstream(text: &str) -> Result<Uri, Error> {
    let fits = |uri: &Uri| {
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        known && uri.path() == "/" && uri.query().is_none()
    };
    let uri = text.parse().ok().filter(fits);
    uri.ok_or_else(|| format!("'{text}' is no address such as http://127.0.0.1:8000").into())
}

fn run(options: &Options) -> io::Result<()> {
    let signals = Signals::new([SIGTERM, SIGINT])?;
    let listener = green::listen(&options.listen).map_err(about(&options.listen))?;
    let (address, upstream) = (listener.local_addr()?, &options.upstream);
    match &options.tls {
        None => {
            println!("passing http://{address}/ on to {upstream}");
            serve(listener, signals, options)
        }
        Some((cert, key)) => {
            let context = SslContext::create_default_context(Purpose::ClientAuth)?;
            context
                .load_cert_chain(cert, Some(key), None)
                .map_err(about(format!("{}, {}", cert.display(), key.display())))?;
            context.set_alpn_protocols(&http::ALPN)?;
            println!("passing https://{address}/ on to {upstream}");
            serve(green::wrap_ssl(listener, &context), signals, options)
        }
    }
}

fn serve<L>(listener: L, signals: Signals, options: &Options) -> io::Result<()>
where
    L: Accept,
    L::Stream: Transport,
{
    let server = Server::new(listener)
        .concurrency(10_000)
        .head_timeout(Some(options.limit))
        .read_timeout(Some(options.limit))
        .write_timeout(Some(options.limit))
        .grace(options.grace);
    let stop = server.stop_handle();
    thread::spawn(move || {
        if signals.wait().is_ok() {
            stop.stop();
        }
    });
    let proxy = Proxy {
        agent: agent(options.limit),
        upstream: options.upstream.clone(),
        over_tls: options.tls.is_some(),
    };
    let served = server.run(move |request| pass_on(&proxy, request))?;
    println!(
        "stopped after {}",
        counted(served.connections, "connection")
    );
    Ok(())
}

struct Proxy {
    agent: Agent,
    upstream: Uri,
    over_tls: bool,
}

/// A client that adds nothing to a request, and takes an answer as it is.
fn agent(limit: Duration) -> Agent {
    let limit = Some(limit);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        // Not the one that the environment names.
        .proxy(None)
        .timeout_resolve(limit)
        .timeout_connect(limit)
        .timeout_send_request(limit)
        .timeout_recv_response(limit)
        .timeout_per_read(limit)
        .timeout_per_write(limit)
        .max_idle_connections(1000)
        .max_idle_connections_per_host(1000)
        // A connection has both.
        .input_buffer_size(32 * 1024)
        .output_buffer_size(32 * 1024);
    http::agent(config.build())
}

fn pass_on(proxy: &Proxy, request: Request<Body>) -> Response<Reply> {
    let (mut head, body) = request.into_parts();
    if head.method == Method::CONNECT || headers::leaves_http(&head.headers) {
        return told(StatusCode::NOT_IMPLEMENTED, "no upgrades, and no tunnels");
    }
    let asked = format!("{} {}", head.method, head.uri);
    let mut target = proxy.upstream.clone().into_parts();
    target.path_and_query = head.uri.path_and_query().cloned();
    let Ok(target) = Uri::from_parts(target) else {
        return told(StatusCode::BAD_REQUEST, "no path");
    };
    headers::onward(&mut head, proxy.over_tls);
    let length = body.length();
    let needs_length = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
    let is_bare = length == Some(0) && !needs_length;
    if let Some(length) = length.filter(|_| !is_bare) {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let mut onward = Request::new(());
    *onward.method_mut() = head.method;
    *onward.uri_mut() = target;
    *onward.headers_mut() = head.headers;
    let mut upload = Upload { body, failed: None };
    let mut answered = if is_bare {
        proxy.agent.run(onward.clone())
    } else {
        let body = SendBody::from_reader(&mut upload);
        proxy.agent.run(onward.clone().map(|()| body))
    };
    // A connection that was kept may have ended just when it was used. What changes nothing is asked once more.
    if is_bare && onward.method().is_safe() && answered.as_ref().is_err_and(has_ended) {
        answered = proxy.agent.run(onward);
    }
    match (answered, upload.failed) {
        // 408 where it was late, 400 where it ended early.
        (Err(_), Some(failed)) => Err::<StatusCode, _>(failed).into_response(),
        (Ok(answer), _) if answer.status() != StatusCode::SWITCHING_PROTOCOLS => {
            let (mut head, body) = answer.into_parts();
            headers::back(&mut head.headers, head.version);
            let mut response = Response::new(Reply::reader(body.into_reader()));
            *response.status_mut() = head.status;
            *response.headers_mut() = head.headers;
            response
        }
        (Ok(_), _) => told(StatusCode::BAD_GATEWAY, "an upgrade that nobody asked for"),
        (Err(error), None) => {
            eprintln!("{}: {asked}: {error}", PROGRAM.name);
            match error {
                ureq::Error::Timeout(_) => told(StatusCode::GATEWAY_TIMEOUT, "it took too long"),
                _ => told(StatusCode::BAD_GATEWAY, "no answer from behind"),
            }
        }
    }
}

/// The client's body, which remembers if it was the client who failed.
struct Upload {
    body: Body,
    failed: Option<io::Error>,
}

impl Read for Upload {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.body.read(buf).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

fn has_ended(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(error)
        if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
}

fn told(status: StatusCode, why: &str) -> Response<Reply> {
    let mut response = format!("{status}: {why}\n").into_response();
    *response.status_mut() = status;
    response
}
