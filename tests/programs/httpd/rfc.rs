//! What RFC 9110 and RFC 9112 ask of a server where it is easy to get wrong.

use super::*;

/// The status of `request`, and whether the connection is kept after it: then a request that follows is answered.
fn outcome(server: &Server, request: &str) -> (u16, bool) {
    let mut client = server.connect();
    client.send(request);
    let answer = client.answer();
    // Shown if the test fails: whose words they are tells who refused the request.
    println!("{request:?}: {} {:?}", answer.status, answer.text());
    let _ = client
        .reader
        .get_mut()
        .write_all(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
    let kept = !matches!(client.reader.fill_buf(), Ok([]) | Err(_));
    if kept {
        assert_eq!(client.answer().expect(200).text(), "hello, world\n");
    }
    (answer.status, kept)
}

fn check(cases: &[(&str, u16, bool)]) {
    let server = Server::start(&[]);
    for (request, status, kept) in cases {
        assert_eq!(outcome(&server, request), (*status, *kept), "{request:?}");
    }
}

#[test]
fn a_chunk_s_line_ends_in_cr_lf_and_nothing_else() {
    const HEAD: &str = "GET /hello.txt HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::start(&[]);
    for (chunks, status) in [
        ("3;a=\"b\";c\r\nabc\r\n0\r\n\r\n", 200),
        ("3 ; a\r\nabc\r\n0\r\n\r\n", 200),
        ("0003\r\nabc\r\n000\r\n\r\n", 200),
        // A proxy that takes the LF for no end sees one chunk, one that does sees two requests.
        (
            "2;\nxx\r\n0\r\n\r\nGET /secret HTTP/1.1\r\nHost: t\r\n\r\n",
            400,
        ),
        ("3;a\nabc\r\n0\r\n\r\n", 400),
        ("3\nabc\r\n0\r\n\r\n", 400),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
        ("3;\0\r\nabc\r\n0\r\n\r\n", 400),
        ("3\r\nabc\n0\r\n\r\n", 400),
        ("3 4\r\nabc\r\n0\r\n\r\n", 400),
        ("+3\r\nabc\r\n0\r\n\r\n", 400),
        ("0x3\r\nabc\r\n0\r\n\r\n", 400),
        (";a\r\nabc\r\n0\r\n\r\n", 400),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
        ("0\r\nA: b\r\nC: d\r\n\r\n", 200),
        // So with the lines after the last chunk.
        ("0\r\nA: b\n\nGET /secret HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        ("0\r\nA: b\nC: d\r\n\r\n", 400),
        ("0\r\nA: b\rc\r\n\r\n", 400),
        ("0\r\nA: b\0\r\n\r\n", 400),
        ("0\r\nA: b\r\n c\r\n\r\n", 400),
    ] {
        let (answered, kept) = outcome(&server, &format!("{HEAD}{chunks}"));
        assert_eq!((answered, kept), (status, status == 200), "{chunks:?}");
    }
}

#[test]
fn only_spaces_and_tabs_are_white_space_around_a_value() {
    const HEAD: &str = "GET /hello.txt HTTP/1.1\r\nHost: t\r\n";
    let server = Server::start(&[]);
    for space in ["\u{a0}", "\u{85}", "\u{2003}"] {
        for field in ["Transfer-Encoding: ~chunked", "Content-Length: 5~"] {
            let field = field.replace('~', space);
            let request = format!("{HEAD}{field}\r\n\r\n0\r\n\r\n");
            assert_eq!(outcome(&server, &request), (400, false), "{request:?}");
        }
    }
    let request = format!("{HEAD}Transfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n");
    assert_eq!(outcome(&server, &request), (200, true));
}

#[test]
fn a_body_whose_end_is_in_doubt_ends_the_connection() {
    check(&[
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            400,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            400,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            501,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
            400,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \r\nContent-Length: 5\r\n\r\nabcde",
            400,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n",
            501,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
            200,
            true,
        ),
    ]);
}

#[test]
fn a_host_is_named_once_and_is_one() {
    let server = Server::start(&[]);
    for host in [
        "t",
        "t:80",
        "t:",
        "T-1.example_2:8080",
        "127.0.0.1",
        "[::1]",
        "[::1]:80",
        "a%41b",
        "a!$&'()*+,;=b",
    ] {
        let request = format!("GET /hello.txt HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(outcome(&server, &request), (200, true), "{host:?}");
    }
    for host in [
        "", ":80", "a b", "a/b", "a@b", "http://a", "a:b", "a:80:80", "[::1", "[::1]x", "[a]",
        "::1", "a%4", "a\"b", "\u{e9}", "a, b",
    ] {
        for version in ["1.0", "1.1"] {
            let request = format!("GET /hello.txt HTTP/{version}\r\nHost: {host}\r\n\r\n");
            assert_eq!(outcome(&server, &request), (400, false), "{host:?}");
        }
    }
    check(&[
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, false),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, false),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, false),
    ]);
}

#[test]
fn close_outdoes_keep_alive() {
    check(&[
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nConnection: CLOSE, keep-alive\r\n\r\n",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n",
            200,
            true,
        ),
    ]);
}

#[test]
fn an_expectation_in_http_1_0_is_ignored() {
    check(&[
        (
            "GET /hello.txt HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            200,
            false,
        ),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\nContent-Length: 65537\r\n\r\n",
            413,
            false,
        ),
    ]);
}

#[test]
fn request_lines_are_taken_apart_strictly_and_minor_versions_lightly() {
    check(&[
        ("GET /hello.txt HTTP/1.2\r\nHost: t\r\n\r\n", 200, true),
        ("\r\nGET /hello.txt HTTP/1.9\r\nHost: t\r\n\r\n", 200, true),
        // They are 1.1 in all respects.
        ("GET /hello.txt HTTP/1.2\r\n\r\n", 400, false),
        ("GET /hello .txt HTTP/1.1\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello .txt HTTP/1.2\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello .txt HTTP/2.0\r\nHost: t\r\n\r\n", 400, false),
        ("GET  /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello.txt HTTP/1.1 \r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello.txt HTTP/1.10\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello.txt http/1.1\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello.txt HTTP/1.20\r\nHost: t\r\n\r\n", 400, false),
        ("GET /hello.txt HTTP/2.0\r\nHost: t\r\n\r\n", 505, false),
        ("GET /hello.txt HTTP/0.9\r\nHost: t\r\n\r\n", 505, false),
        // Not how HTTP/2 begins.
        ("PRI * HTTP/2.0\r\nHost: t\r\n\r\n", 505, false),
    ]);
}

#[test]
fn absolute_targets_have_any_case_and_a_host() {
    let server = Server::start(&[]);
    for (target, status) in [
        ("HTTP://any.host/hello.txt", 200),
        ("hTTps://any.host:80/hello.txt?a://b", 200),
        ("http://[::1]/hello.txt", 200),
        ("http://any.host", 200),
        ("http://any.host?a/b", 200),
        ("http:///hello.txt", 400),
        ("http://:80/hello.txt", 400),
        ("http://", 400),
        ("http://user@any.host/hello.txt", 400),
        ("http://a b/hello.txt", 400),
        ("ftp://any.host/hello.txt", 400),
        ("http:/hello.txt", 400),
    ] {
        assert_eq!(server.get(target).status, status, "{target:?}");
    }
}

#[test]
fn a_redirect_keeps_the_query() {
    let server = Server::start(&[]);
    for (target, location) in [
        ("/docs?a=b&c=%20/?d", "/docs/?a=b&c=%20/?d"),
        ("/with%20index?", "/with%20index/?"),
        ("http://any.host/docs?x", "/docs/?x"),
        ("/docs?x#y", "/docs/?x"),
        ("/docs?\u{e9}", "/docs/?%C3%A9"),
    ] {
        let answer = server.get(target).expect(301);
        assert_eq!(answer.header("location"), location);
    }
}

#[test]
fn preconditions_are_checked_in_their_order() {
    let server = Server::start(&[]);
    let first = server.get("/hello.txt").expect(200);
    let (etag, date) = (first.header("etag"), first.header("last-modified"));
    let early = "Thu, 01 Jan 1970 00:00:00 GMT";
    for (headers, status) in [
        (format!("If-Match: {etag}\r\n"), 200),
        (format!("If-Match: \"other\", {etag}\r\n"), 200),
        (format!("If-Match: \"other\"\r\nIf-Match: {etag}\r\n"), 200),
        ("If-Match: *\r\n".to_owned(), 200),
        ("If-Match: \"other\"\r\n".to_owned(), 412),
        // A weak tag does not do.
        (format!("If-Match: W/{etag}\r\n"), 412),
        (format!("If-Unmodified-Since: {date}\r\n"), 200),
        (format!("If-Unmodified-Since: {early}\r\n"), 412),
        ("If-Unmodified-Since: yesterday\r\n".to_owned(), 200),
        // The tag decides.
        (
            format!("If-Match: {etag}\r\nIf-Unmodified-Since: {early}\r\n"),
            200,
        ),
        (
            format!("If-Match: \"other\"\r\nIf-None-Match: {etag}\r\n"),
            412,
        ),
        (
            format!("If-Match: {etag}\r\nIf-None-Match: {etag}\r\n"),
            304,
        ),
        (
            "If-Match: \"other\"\r\nRange: bytes=0-1\r\n".to_owned(),
            412,
        ),
        (format!("If-Match: {etag}\r\nRange: bytes=0-1\r\n"), 206),
        // A tag with bytes that are no ASCII is one.
        ("If-Match: \"\u{e9}\"\r\n".to_owned(), 412),
        (format!("If-Match: \"\u{e9}\", {etag}\r\n"), 200),
        (format!("If-None-Match: \"\u{e9}\", {etag}\r\n"), 304),
        (
            format!("If-None-Match: \"\u{e9}\"\r\nIf-Modified-Since: {date}\r\n"),
            200,
        ),
        // Two dates are none (13.1.3, 13.1.4).
        (
            format!("If-Modified-Since: {date}\r\nIf-Modified-Since: {date}\r\n"),
            200,
        ),
        (
            format!("If-Unmodified-Since: {early}\r\nIf-Unmodified-Since: {early}\r\n"),
            200,
        ),
    ] {
        for method in ["GET", "HEAD"] {
            let mut client = server.connect();
            client.send(format!(
                "{method} /hello.txt HTTP/1.1\r\nHost: t\r\n{headers}\r\n"
            ));
            // HEAD knows no ranges.
            let expected = if method == "HEAD" && status == 206 {
                200
            } else {
                status
            };
            assert_eq!(client.head().status, expected, "{method} {headers}");
        }
    }
    // A listing has no tag; what is not there has no conditions.
    server.get_with("/docs/", "If-Match: *\r\n").expect(200);
    server.get_with("/docs/", "If-Match: \"x\"\r\n").expect(412);
    server
        .get_with("/docs/", &format!("If-Unmodified-Since: {early}\r\n"))
        .expect(200);
    server.get_with("/none", "If-Match: \"x\"\r\n").expect(404);
}

/// A part of another state of the file must not be taken for one of this (RFC 9110, 13.1.5).
#[test]
fn only_a_client_that_names_this_state_resumes() {
    let server = Server::start(&[]);
    let first = server.get("/hello.txt").expect(200);
    let (etag, date) = (first.header("etag"), first.header("last-modified"));
    for (headers, status) in [
        (format!("If-Range: {etag}\r\n"), 206),
        (format!("If-Range: W/{etag}\r\n"), 200),
        ("If-Range: \"\u{e9}\"\r\n".to_owned(), 200),
        (format!("If-Range: {etag}\r\nIf-Range: \"x\"\r\n"), 200),
        (format!("If-Range: {date}\r\n"), 200),
    ] {
        let headers = format!("Range: bytes=0-4\r\n{headers}");
        server.get_with("/hello.txt", &headers).expect(status);
    }
    // Two states within one second.
    let file = std::fs::File::options()
        .write(true)
        .open(server.file("hello.txt"));
    let file = file.unwrap();
    let second = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_modified(second).unwrap();
    let first = server.get("/hello.txt").expect(200);
    file.set_modified(second + Duration::from_millis(500))
        .unwrap();
    for name in ["etag", "last-modified"] {
        let headers = format!("Range: bytes=0-4\r\nIf-Range: {}\r\n", first.header(name));
        server.get_with("/hello.txt", &headers).expect(200);
    }
}

#[test]
fn every_line_of_tags_counts() {
    let server = Server::start(&[]);
    let first = server.get("/hello.txt").expect(200);
    let etag = first.header("etag");
    for headers in [
        format!("If-None-Match: {etag}\r\nIf-None-Match: \"other\"\r\n"),
        format!("If-None-Match: \"other\"\r\nIf-None-Match: W/{etag}\r\n"),
        format!("If-None-Match: \"a\", {etag}\r\nIf-None-Match: \"b\"\r\n"),
    ] {
        server.get_with("/hello.txt", &headers).expect(304);
    }
    server
        .get_with(
            "/hello.txt",
            "If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n",
        )
        .expect(200);
}

#[test]
fn head_ignores_ranges() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for range in ["bytes=0-4", "bytes=0-1,3-4", "bytes=99-"] {
        client.send(format!(
            "HEAD /hello.txt HTTP/1.1\r\nHost: t\r\nRange: {range}\r\n\r\n"
        ));
        let answer = client.head().expect(200);
        assert_eq!(answer.header("content-length"), "13");
        assert_eq!(answer.header("content-range"), "");
    }
}

#[test]
fn a_client_that_sends_megabytes_before_it_reads_sees_the_refusal() {
    const LENGTH: usize = 8_000_000;
    let server = Server::start(&[]);
    for framing in [
        format!("Content-Length: {LENGTH}"),
        "Transfer-Encoding: chunked".to_owned(),
    ] {
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n"));
        if framing.starts_with('T') {
            client.send(format!("{LENGTH:x}\r\n"));
        }
        client.send(vec![b'x'; LENGTH]);
        client.answer().expect(413);
        assert!(client.is_at_end());
    }
}
