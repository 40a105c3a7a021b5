//! Addresses: what a page links to on its own site.

/// The origin and the path of an address.
pub fn split(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = resolve("/", path.split('#').next()?);
    (!host.is_empty()).then(|| (format!("http://{host}"), path))
}

/// The paths that a page links to, within its site.
pub fn of<'a>(
    page: &'a str,
    origin: &'a str,
    path: &'a str,
) -> impl Iterator<Item = String> + use<'a> {
    page.split("href=")
        .skip(1)
        .filter_map(|rest| match rest.as_bytes().first()? {
            quote @ (b'"' | b'\'') => rest[1..].split(char::from(*quote)).next(),
            _ => rest.split([' ', '>']).next(),
        })
        .filter_map(move |link| {
            let link = link.replace("&amp;", "&");
            let link = link.split('#').next().unwrap_or_default();
            let link = link.strip_prefix(origin).unwrap_or(link);
            // A scheme, or another host.
            let is_ours = !link.contains(':') && !link.starts_with("//");
            (is_ours && !link.is_empty()).then(|| resolve(path, link))
        })
}

/// Where `link` leads from the page at `base`: RFC 3986, section 5.2, for paths.
fn resolve(base: &str, link: &str) -> String {
    let (path, query) = match link.find('?') {
        Some(at) => link.split_at(at),
        None => (link, ""),
    };
    let base = base.split('?').next().unwrap_or_default();
    let directory = match base.rfind('/') {
        Some(at) => &base[..=at],
        None => "/",
    };
    let joined = match path {
        "" if query.is_empty() => directory.to_owned(),
        "" => base.to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{directory}{relative}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/').skip(1) {
        match part {
            "." => (),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if joined.ends_with("/..") || joined.ends_with("/.") {
        parts.push("");
    }
    format!("/{}{query}", parts.join("/"))
}
