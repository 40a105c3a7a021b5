//! The path a request names, made safe to look up.

use std::ffi::OsStr;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode, utf8_percent_encode,
};

use crate::status::Status;

/// What stays as it is in one segment of a path in a link.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path below the root: decoded names, none of them empty, `.` or `..`, none with `/` or NUL.
#[derive(Debug)]
pub struct Target {
    names: Vec<Vec<u8>>,
    /// The path ended in a slash, so it asks for a directory.
    pub is_directory: bool,
    /// With its question mark.
    query: String,
}

impl Target {
    /// Takes a request target: `/path?query`, or the absolute form that a proxy's client sends.
    pub fn parse(target: &str) -> Result<Target, Status> {
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let path = match authority(path) {
            Some((host, _)) if !is_host(host) => return Err(Status::BAD_REQUEST),
            Some((_, "")) => "/",
            Some((_, path)) => path,
            None => path,
        };
        if !path.starts_with('/') {
            return Err(Status::BAD_REQUEST);
        }
        let mut names = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let name = decode(segment).ok_or(Status::BAD_REQUEST)?;
            if name == b"." || name == b".." || name.iter().any(|&b| b == b'/' || b == 0) {
                return Err(Status::BAD_REQUEST);
            }
            names.push(name);
        }
        Ok(Target {
            is_directory: names.is_empty() || path.ends_with('/'),
            names,
            query: utf8_percent_encode(query, CONTROLS).to_string(),
        })
    }

    /// The path relative to the root; `.` for the root itself.
    pub fn path(&self) -> PathBuf {
        let mut path = PathBuf::from(".");
        path.extend(self.names.iter().map(|name| OsStr::from_bytes(name)));
        path
    }

    /// The path as a link, encoded anew, with a slash at its end, and the query.
    pub fn directory_link(&self) -> String {
        let mut link = String::from("/");
        for name in &self.names {
            link.push_str(&encode(name));
            link.push('/');
        }
        link + &self.query
    }

    /// The path for people.
    pub fn title(&self) -> String {
        let names = self
            .names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned() + "/");
        "/".to_owned() + &names.collect::<String>()
    }

    pub fn is_root(&self) -> bool {
        self.names.is_empty()
    }
}

/// Cuts the absolute form behind its scheme, whose case does not matter: into the authority and the path.
fn authority(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let known = ["http", "https"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name));
    known.then(|| rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

/// Whether this is a host with perhaps a port, as a `Host` line has it (RFC 3986, 3.2): a name that is not empty, or an
/// address.
pub fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let is_valid = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => decode(host).is_some() && host.bytes().all(|b| is_name_byte(b) || b == b'%'),
    };
    is_valid && !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// One name as a segment of a link.
pub fn encode(name: &[u8]) -> String {
    percent_encode(name, SEGMENT).to_string()
}

/// Decodes strictly: a `%` without two hexadecimal digits is an error.
fn decode(segment: &str) -> Option<Vec<u8>> {
    let bytes = segment.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, &b)| {
        let digit = |offset: usize| bytes.get(at + offset).is_some_and(u8::is_ascii_hexdigit);
        b == b'%' && !(digit(1) && digit(2))
    });
    (!broken).then(|| percent_decode(bytes).collect())
}
