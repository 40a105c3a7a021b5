//! Requests that leave HTTP: what they upgrade to is passed through.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use greenhub::future::{block_on, timeout};
use greenhub::one_line;
use http::{Extensions, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::Empty;
use hyper::client::conn::http1;

use super::failed::Failed;
use super::headers;
use crate::http::body::{Body, Limits};
use crate::http::framing::Exchange;
use crate::http::reply::Reply;
use crate::http::stream::Io;
use crate::http::transport::{Cut, Transport};
use crate::http::upgrade::{Upgraded, open, upgrade};
use crate::io::copy;
use crate::net::TcpStream;
#[cfg(feature = "tls")]
use crate::ssl::{Purpose, SslContext};
use crate::thread::{panicking, scope, spawn};

/// What a request upgrades to. One with a body, or of another version, may be answered as if it did not (RFC 9110, 7.8);
/// so may an offer of HTTP/2 in the clear.
pub(super) fn protocol(request: &Request<Body>) -> Option<HeaderValue> {
    let fits = request.version() == Version::HTTP_11 && request.body().length() == Some(0);
    let offered = request.headers().get(header::UPGRADE).filter(|_| fits);
    let offered = offered.filter(|offer| !offer.as_bytes().eq_ignore_ascii_case(b"h2c"));
    offered.cloned()
}

/// How requests are passed on.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) limit: Duration,
    pub(super) over_tls: bool,
}

impl Way {
    /// Asks on a connection of its own, which is the client's once the server behind has agreed.
    pub(super) fn upgraded(
        self,
        request: Request<Body>,
        target: &Uri,
        protocol: HeaderValue,
    ) -> Result<Response<Reply>, Failed> {
        let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_secret = target.scheme_str() == Some("https");
        let port = target
            .port_u16()
            .unwrap_or(if is_secret { 443 } else { 80 });
        let connected = crate::timeout(self.limit, || TcpStream::connect((host, port)));
        let stream = connected.map_err(|_| Failed::Late)??;
        stream.set_nodelay(true)?;
        if !is_secret {
            return self.ask(stream, request, target, protocol);
        }
        #[cfg(feature = "tls")]
        {
            let context = SslContext::create_default_context(Purpose::ServerAuth)?;
            let connected = crate::timeout(self.limit, || context.connect(stream, host));
            let stream = connected.map_err(|_| Failed::Late)??;
            self.ask(stream, request, target, protocol)
        }
        #[cfg(not(feature = "tls"))]
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    fn ask<T: Transport>(
        self,
        stream: T,
        request: Request<Body>,
        target: &Uri,
        protocol: HeaderValue,
    ) -> Result<Response<Reply>, Failed> {
        let (head, body) = request.into_parts();
        let mut onward = head.clone();
        headers::onward(&mut onward, self.over_tls);
        onward.extensions = Extensions::new();
        if let Some(Ok(host)) = target.authority().map(|host| host.as_str().parse()) {
            onward.headers.insert(header::HOST, host);
        }
        leave(&mut onward.headers, protocol.clone());
        onward.uri = target.path().parse().unwrap_or_default();
        if let Some(path) = target.path_and_query() {
            onward.uri = path.clone().into();
        }
        let cut = Cut::of(&stream).map_err(|error| Failed::Behind(error.into()))?;
        let io = Io::new(stream, None, Some(self.limit), Exchange::default(), cut);
        let (mut sender, connection) = self.wait(http1::handshake(io))?;
        // It ends with the answer, or with what waits for that.
        spawn(move || drop(block_on(connection.with_upgrades())));
        let onward = Request::from_parts(onward, Empty::<Bytes>::new());
        let mut answer = self.wait(sender.send_request(onward))?;
        let agreed = answer.headers_mut().remove(header::UPGRADE);
        let opened = hyper::upgrade::on(&mut answer);
        let (mut answered, rest) = answer.into_parts();
        headers::back(&mut answered.headers, answered.version);
        let mut response = Response::new(Reply::empty());
        if answered.status == StatusCode::SWITCHING_PROTOCOLS {
            leave(&mut answered.headers, agreed.unwrap_or(protocol));
            let mut request = Request::from_parts(head, body);
            upgrade(&mut request, |client| {
                let passed = block_on(opened)
                    .map_err(io::Error::other)
                    .and_then(open::<T>)
                    .and_then(|behind| pass_through(client, behind));
                if let Err(error) = passed {
                    let error = one_line(error);
                    log::debug!("an upgraded connection was not passed through: {error}");
                }
            });
        } else {
            let limits = Limits {
                wait: Some(self.limit),
                size: u64::MAX,
            };
            *response.body_mut() = Reply::reader(Body::new(rest, limits));
        }
        *response.status_mut() = answered.status;
        *response.headers_mut() = answered.headers;
        Ok(response)
    }

    fn wait<T>(self, future: impl Future<Output = hyper::Result<T>>) -> Result<T, Failed> {
        match block_on(timeout(self.limit, future)) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failed::Behind(error.into())),
            Err(_) => Err(Failed::Late),
        }
    }
}

fn leave(headers: &mut http::HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Until both directions have ended. An end is passed on as one; a failure ends both.
fn pass_through(client: Upgraded, behind: Upgraded) -> io::Result<()> {
    let (to_client, to_behind) = (client.try_clone()?, behind.try_clone()?);
    let both = [client.try_clone()?, behind.try_clone()?];
    scope(|scope| {
        let _cut = CutWhenEnded(&both);
        scope.spawn(move || one_way(behind, to_client));
        one_way(client, to_behind);
    });
    Ok(())
}

fn one_way(mut from: Upgraded, mut to: Upgraded) {
    let passed = copy(&mut from, &mut to).and_then(|_| to.end_writing());
    if passed.is_err() {
        cut(&from);
        cut(&to);
    }
}

/// It may have ended by itself.
fn cut(stream: &Upgraded) {
    let _ = stream.shutdown();
}

/// For one that is killed: the other direction's green thread would wait on.
struct CutWhenEnded<'a>(&'a [Upgraded]);

impl Drop for CutWhenEnded<'_> {
    fn drop(&mut self) {
        if panicking() {
            self.0.iter().for_each(cut);
        }
    }
}
