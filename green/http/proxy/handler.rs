//! A request on its way to the server behind, and the answer on its way back.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use http::uri::Uri;
use http::{Method, Request, Response, StatusCode, header};
use ureq::{Agent, SendBody};

use super::failed::{Failed, told};
use super::headers;
use super::tunnel::{self, Way};
use crate::http::body::Body;
use crate::http::client;
use crate::http::reply::Reply;

/// A connection to the server behind has one for each direction.
const BUFFER: usize = 32 * 1024;
/// Connections that are kept for the next request.
const IDLE: usize = 1000;
/// How long the server behind may take, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Passes requests on to a server of HTTP/1.1, and its answers back.
///
/// A body is passed on while it comes, in either direction, so a slow peer holds the other side back and nothing piles
/// up. Connections to the server behind are kept for the next request. A websocket, or whatever else a request of
/// HTTP/1.1 upgrades to, is passed through once the server behind has agreed; then there is no limit but that for a peer
/// that takes nothing. Trailers are left out.
///
/// Headers for a neighbour alone are dropped, and `X-Forwarded-For`, `-Host` and `-Proto`, `Forwarded` and `Via` say where
/// a request comes from. A server that is not reached is 502, one that is late 504, and `CONNECT` 501; the first two are
/// logged.
///
/// With [`Server::end_abandoned`](crate::http::Server::end_abandoned) a client that goes takes its request along.
///
/// ```
/// use green::http::{self, Body, Request, ReverseProxy, Server};
///
/// # let behind = green::listen("127.0.0.1:0")?;
/// # let upstream = format!("http://{}", behind.local_addr()?);
/// # green::thread::spawn(|| http::serve(behind, |_: Request<Body>| "from behind"));
/// let proxy = ReverseProxy::new(&upstream)?;
/// let server = Server::new(green::listen("127.0.0.1:0")?).end_abandoned(true);
/// let front = format!("http://{}/", server.listener().local_addr()?);
/// green::thread::spawn(|| server.run(move |request: Request<Body>| proxy.pass_on(request)));
/// assert_eq!(http::get(&front)?.body_mut().read_to_string()?, "from behind");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReverseProxy {
    upstream: Uri,
    way: Way,
    agent: Agent,
}

impl ReverseProxy {
    /// For the server at `upstream`, such as `http://127.0.0.1:8000`. `https` needs the feature `tls`, and a certificate
    /// that the system trusts.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no such address, or has a path.
    pub fn new(upstream: &str) -> io::Result<ReverseProxy> {
        let fits = |uri: &Uri| {
            let known = matches!(uri.scheme_str(), Some("http" | "https"));
            known && uri.path() == "/" && uri.query().is_none()
        };
        let uri = upstream.parse().ok().filter(fits);
        let uri = uri.ok_or_else(|| {
            let text = format!("'{upstream}' is no address such as http://127.0.0.1:8000");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        Ok(ReverseProxy {
            upstream: uri,
            way: Way {
                limit: PATIENCE,
                over_tls: false,
            },
            agent: agent(PATIENCE),
        })
    }

    /// How long the server behind may take to let us in, to begin its answer, and for each piece of a body; 30 s unless
    /// set here.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> ReverseProxy {
        self.way.limit = limit;
        self.agent = agent(limit);
        self
    }

    /// Whether clients come by TLS, which the server behind is told.
    #[must_use]
    pub fn over_tls(mut self, yes: bool) -> ReverseProxy {
        self.way.over_tls = yes;
        self
    }

    /// The answer of the server behind, or the status that says why there is none. Waits until it begins.
    pub fn pass_on(&self, request: Request<Body>) -> Response<Reply> {
        if request.method() == Method::CONNECT {
            return told(StatusCode::NOT_IMPLEMENTED, "no tunnels");
        }
        let mut target = self.upstream.clone().into_parts();
        target.path_and_query = request.uri().path_and_query().cloned();
        let Ok(target) = Uri::from_parts(target) else {
            return told(StatusCode::BAD_REQUEST, "no path");
        };
        let asked = format!("{} {target}", request.method());
        let answered = match tunnel::protocol(&request) {
            Some(protocol) => self.way.upgraded(request, &target, protocol),
            None => self.ask(request, target),
        };
        answered.unwrap_or_else(|failed| failed.into_response(&asked))
    }

    fn ask(&self, request: Request<Body>, target: Uri) -> Result<Response<Reply>, Failed> {
        let (mut head, body) = request.into_parts();
        headers::onward(&mut head, self.way.over_tls);
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
            self.agent.run(onward.clone())
        } else {
            let body = SendBody::from_reader(&mut upload);
            self.agent.run(onward.clone().map(|()| body))
        };
        // A connection that was kept may have ended just when it was used. What changes nothing is asked once more.
        if is_bare && onward.method().is_safe() && answered.as_ref().is_err_and(has_ended) {
            answered = self.agent.run(onward);
        }
        let answer = match (answered, upload.failed) {
            (Ok(answer), _) => answer,
            (Err(_), Some(failed)) => return Err(Failed::Client(failed)),
            (Err(ureq::Error::Timeout(_)), None) => return Err(Failed::Late),
            (Err(error), None) => return Err(Failed::Behind(error.into())),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failed::Behind("an upgrade that nobody asked for".into()));
        }
        let (mut head, body) = answer.into_parts();
        headers::back(&mut head.headers, head.version);
        let mut response = Response::new(Reply::reader(body.into_reader()));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }
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
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER);
    client::agent(config.build())
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

impl fmt::Debug for ReverseProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseProxy")
            .field("upstream", &self.upstream)
            .field("limit", &self.way.limit)
            .finish_non_exhaustive()
    }
}
