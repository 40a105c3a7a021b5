//! What the head of a response says of the body: whether it can be sent so, and whether the body keeps to it.
//!
//! hyper trusts both. Of what does not fit it asserts some in debug builds alone, ends the connection without a word for
//! some, and sends the rest, so that the peer waits for what never comes or takes what does for the next response.

use std::io;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;

use super::named::Named;

/// What depends on the request of what may answer it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    is_head: bool,
    connects: bool,
    /// Whether it may leave HTTP by 101.
    switches: bool,
}

impl Allowed {
    /// Before anybody has taken something from it.
    pub(super) fn by<B>(request: &Request<B>) -> Allowed {
        let connects = request.method() == Method::CONNECT;
        let upgrades = || request.extensions().get::<OnUpgrade>().is_some();
        Allowed {
            is_head: request.method() == Method::HEAD,
            connects,
            switches: request.version() < Version::HTTP_2 && !connects && upgrades(),
        }
    }

    /// How long the body is to be, where that is said or known. `known` is how long it is.
    ///
    /// # Errors
    ///
    /// What is wrong with a response that cannot be sent.
    pub(super) fn check<B>(
        self,
        response: &Response<B>,
        known: Option<u64>,
    ) -> Result<Option<u64>, String> {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.switches {
            return Err("101, which nobody asked for".to_owned());
        }
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(format!("{}, which is no answer", status.as_u16()));
        }
        let length = length(response.headers())?;
        let opens = self.connects && status.is_success();
        let leaves = opens || status == StatusCode::SWITCHING_PROTOCOLS;
        let is_coded = || response.headers().contains_key(header::TRANSFER_ENCODING);
        if opens && length.is_some() || leaves && is_coded() {
            return Err("a length in an answer that leaves HTTP".to_owned());
        }
        // hyper would send none of it, and what comes behind the head is no HTTP any more.
        if leaves && known != Some(0) {
            return Err("a body in an answer that leaves HTTP".to_owned());
        }
        let Some(length) = length else {
            return Ok(known);
        };
        // It may be that of a body which is not sent.
        let is_left_out = known == Some(0) && (self.is_head || status == StatusCode::NOT_MODIFIED);
        match known {
            Some(known) if known != length && !is_left_out => Err(format!(
                "Content-Length {length} with a body of {known} bytes"
            )),
            _ => Ok(Some(length)),
        }
    }
}

/// The one Content-Length, if there is one. Few fields are looked through faster than looked up.
fn length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let (mut length, mut is_coded) = (None, false);
    for (name, value) in headers {
        if *name == header::CONTENT_LENGTH {
            let more = length.replace(number(value)?);
            if more.is_some() {
                return Err("more than one Content-Length".to_owned());
            }
        }
        is_coded |= *name == header::TRANSFER_ENCODING;
    }
    match length {
        Some(_) if is_coded => Err("both Content-Length and Transfer-Encoding".to_owned()),
        length => Ok(length),
    }
}

fn number(value: &HeaderValue) -> Result<u64, String> {
    let text = value.to_str().ok();
    // No sign.
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("Content-Length {value:?}"))
}

/// What is left of a body that comes bit by bit, and whose it is.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) named: Named,
    pub(super) left: Option<u64>,
}

impl Announced {
    /// So many bytes come next.
    pub(super) fn pass(&mut self, count: usize) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            let longer = || io::Error::other("the body is longer than its Content-Length");
            *left = left.checked_sub(count as u64).ok_or_else(longer)?;
        }
        Ok(())
    }

    /// That was all.
    pub(super) fn end(&self) -> io::Result<()> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(left) => Err(io::Error::other(format!(
                "the body is {left} bytes shorter than its Content-Length"
            ))),
        }
    }
}
