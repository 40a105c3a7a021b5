//! What is asked: malformed and oversized requests, methods, connections that are kept.

use super::*;

#[test]
fn malformed_requests() {
    let server = Server::start(&[]);
    for (request, status) in [
        ("GET\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: t\r\nbad header\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
        ),
        ("GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 65537\r\n\r\n",
            413,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            413,
        ),
    ] {
        let mut client = server.connect();
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{request:?}");
        client.reader.get_ref().shutdown(Shutdown::Write).unwrap();
        assert!(client.is_at_end(), "{request:?}");
    }
}

#[test]
fn heads_that_are_too_long() {
    let server = Server::start(&[]);
    let long = "x".repeat(70_000);
    server.get(&format!("/{long}")).expect(414);
    let header = format!("A: {}\r\n", "x".repeat(10_000));
    server
        .get_with("/hello.txt", &header.repeat(50))
        .expect(431);
    server
        .get_with("/hello.txt", &"A: b\r\n".repeat(200))
        .expect(431);
    // Much more than the limit, all of it sent before the answer is read: the answer arrives.
    let mut client = server.connect();
    client.send(format!(
        "GET /{} HTTP/1.1\r\nHost: t\r\n\r\n",
        "x".repeat(300_000)
    ));
    client.answer().expect(414);
}

#[test]
fn other_methods_are_refused_and_the_connection_lives() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        client.send(format!(
            "{method} /hello.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody"
        ));
        let answer = client.answer().expect(405);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n2;extension\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET /empty.bin HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
    assert_eq!(client.answer().expect(200).text(), "");
}

#[test]
fn connections_are_kept_as_the_version_and_the_client_say() {
    let server = Server::start(&[]);
    for (head, kept) in [
        ("GET /hello.txt HTTP/1.1\r\nHost: t\r\n", true),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nConnection: foo, Close\r\n",
            false,
        ),
        ("GET /hello.txt HTTP/1.0\r\n", false),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n",
            true,
        ),
    ] {
        let mut client = server.connect();
        client.send(format!("{head}\r\n"));
        client.answer().expect(200);
        if kept {
            client.send(format!("{head}\r\n"));
            client.answer().expect(200);
        } else {
            assert!(client.is_at_end());
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut requests = String::new();
    for round in 0..200 {
        let target = ["/hello.txt", "/page.html", "/nothing"][round % 3];
        requests += &format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    client.send(&requests);
    for round in 0..200 {
        let answer = client.answer();
        let expected = [
            (200, "hello, world\n"),
            (200, "<p>page</p>"),
            (404, "404 Not Found\n"),
        ];
        assert_eq!((answer.status, &*answer.text()), expected[round % 3]);
    }
    // A request cut into single bytes is the same request.
    for byte in b"\r\nGET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
}
