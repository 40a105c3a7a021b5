//! The path a request names, made safe to look up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use green::http::{StatusCode, Uri};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode, utf8_percent_encode,
};

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
    /// Takes the path of a request, and its query.
    pub fn parse(uri: &Uri) -> Result<Target, StatusCode> {
        let path = uri.path();
        let ours = matches!(uri.scheme_str(), None | Some("http" | "https"));
        if !ours || !path.starts_with('/') {
            return Err(StatusCode::BAD_REQUEST);
        }
        let mut names = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let name = decode(segment).ok_or(StatusCode::BAD_REQUEST)?;
            if name == b"." || name == b".." || name.iter().any(|&b| b == b'/' || b == 0) {
                return Err(StatusCode::BAD_REQUEST);
            }
            names.push(name);
        }
        Ok(Target {
            is_directory: names.is_empty() || path.ends_with('/'),
            names,
            query: uri.query().map_or_else(String::new, |query| {
                format!("?{}", utf8_percent_encode(query, CONTROLS))
            }),
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
