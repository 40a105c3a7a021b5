//! What is served: files, directories, ranges, validators, and what is not.

use super::*;

#[test]
fn serves_files_with_their_types() {
    let server = Server::start(&[]);
    let hello = server.get("/hello.txt").expect(200);
    assert_eq!(hello.text(), "hello, world\n");
    assert_eq!(hello.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        server.get("/page.html").header("content-type"),
        "text/html; charset=utf-8"
    );
    assert_eq!(server.get("/empty.bin").expect(200).body, b"");
    let big = server.get("/big.bin?query#fragment").expect(200);
    assert_eq!(big.header("content-type"), "application/octet-stream");
    assert!(big.body == fs::read(server.file("big.bin")).unwrap());
    assert_eq!(
        server.get("/link%20in").expect(200).text(),
        "hello, world\n"
    );
    assert_eq!(
        server
            .get("/docs/50%25%20%26%20more.txt")
            .expect(200)
            .text(),
        "percent"
    );
    assert_eq!(
        server.get("http://any.host/hello.txt").expect(200).text(),
        "hello, world\n"
    );
}

#[test]
fn directories_show_their_index_or_an_escaped_listing() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/with%20index/").expect(200).text(), "the index");
    let moved = server.get("/with%20index").expect(301);
    assert_eq!(moved.header("location"), "/with%20index/");
    // Two slashes at the start of a Location would name a host.
    assert_eq!(
        server.get("//docs").expect(301).header("location"),
        "/docs/"
    );
    let listing = server.get("/docs/").expect(200);
    assert_eq!(listing.header("content-type"), "text/html; charset=utf-8");
    let listing = listing.text();
    assert!(
        listing.contains("a &lt;b&gt; &amp; &#39;c&#39;.txt"),
        "{listing}"
    );
    assert!(
        listing.contains("href=\"a%20%3Cb%3E%20%26%20%27c%27.txt\""),
        "{listing}"
    );
    assert!(!listing.contains("link out"), "{listing}");
    server.get("/hello.txt/").expect(404);
    assert!(
        server
            .get("/")
            .expect(200)
            .text()
            .contains("href=\"with%20index/\"")
    );
}

#[test]
fn head_sends_the_header_alone() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client
        .send("HEAD /hello.txt HTTP/1.1\r\nHost: t\r\n\r\nHEAD /none HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.head().expect(200).header("content-length"), "13");
    client.head().expect(404);
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
}

#[test]
fn single_ranges() {
    let server = Server::start(&[]);
    for (range, content_range, body) in [
        ("bytes=0-4", "bytes 0-4/13", "hello"),
        ("bytes=7-", "bytes 7-12/13", "world\n"),
        ("bytes=-6", "bytes 7-12/13", "world\n"),
        ("bytes=7-99999999999999999999", "bytes 7-12/13", "world\n"),
        ("bytes=-99", "bytes 0-12/13", "hello, world\n"),
        ("BYTES=12-12", "bytes 12-12/13", "\n"),
        ("bytes=0-4,90-", "bytes 0-4/13", "hello"),
    ] {
        let answer = server
            .get_with("/hello.txt", &format!("Range: {range}\r\n"))
            .expect(206);
        assert_eq!(
            (answer.header("content-range"), &*answer.text()),
            (content_range, body)
        );
    }
    let big = fs::read(server.file("big.bin")).unwrap();
    let answer = server
        .get_with("/big.bin", "Range: bytes=1000001-2500000\r\n")
        .expect(206);
    assert!(answer.body == big[1_000_001..=2_500_000]);
}

#[test]
fn several_ranges_come_as_parts() {
    let server = Server::start(&[]);
    let answer = server
        .get_with("/hello.txt", "Range: bytes=0-4, -6\r\n")
        .expect(206);
    let kind = answer.header("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |range: &str, body: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {range}/13\r\n\r\n{body}"
        )
    };
    let parts =
        part("0-4", "hello") + &part("7-12", "world\n") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(answer.text(), parts);
}

#[test]
fn ranges_that_cannot_be_served() {
    let server = Server::start(&[]);
    for (target, range) in [
        ("/hello.txt", "bytes=13-"),
        ("/hello.txt", "bytes=-0"),
        ("/empty.bin", "bytes=0-"),
    ] {
        let answer = server
            .get_with(target, &format!("Range: {range}\r\n"))
            .expect(416);
        assert!(answer.header("content-range").starts_with("bytes */"));
    }
    let many = format!("bytes={}", ["0-0"; 40].join(","));
    // What is not understood, or asks for too much, is ignored.
    for range in [
        "bytes=4-2",
        "bytes=",
        "bytes=x-y",
        "lines=0-4",
        "bytes 0-4",
        "bytes=0-,0-",
        &many,
    ] {
        let answer = server
            .get_with("/hello.txt", &format!("Range: {range}\r\n"))
            .expect(200);
        assert_eq!(answer.text(), "hello, world\n");
    }
}

#[test]
fn validators_save_the_body() {
    let server = Server::start(&[]);
    let first = server.get("/hello.txt").expect(200);
    let (etag, date) = (first.header("etag"), first.header("last-modified"));
    for fresh in [
        format!("If-None-Match: {etag}\r\n"),
        format!("If-None-Match: \"other\", W/{etag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        let answer = server.get_with("/hello.txt", &fresh).expect(304);
        assert_eq!((answer.header("etag"), answer.body.len()), (etag, 0));
    }
    for stale in [
        "If-None-Match: \"other\"\r\n".to_owned(),
        format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {date}\r\n"),
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(),
        "If-Modified-Since: yesterday\r\n".to_owned(),
    ] {
        server.get_with("/hello.txt", &stale).expect(200);
    }
    for (validator, status) in [(etag, 206), (date, 200), ("\"other\"", 200)] {
        let headers = format!("Range: bytes=0-4\r\nIf-Range: {validator}\r\n");
        server.get_with("/hello.txt", &headers).expect(status);
    }
    fs::write(server.file("hello.txt"), "changed").unwrap();
    server
        .get_with("/hello.txt", &format!("If-None-Match: {etag}\r\n"))
        .expect(200);
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let server = Server::start(&[]);
    for target in [
        "/../secret",
        "/docs/../../secret",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/..%2fsecret",
        "/docs%2f..%2f..%2fsecret",
        "/./hello.txt",
        "/hello.txt%00.html",
        "/%zz",
        "/%",
        "/%4",
        "secret",
        "../secret",
        "*",
    ] {
        server.get(target).expect(400);
    }
    for target in [
        "/link%20out",
        "/absolute%20link%20out",
        "/docs/link%20out",
        "/up/secret",
        "/up/",
    ] {
        let answer = server.get(target).expect(403);
        assert!(!answer.text().contains("secret"));
    }
    server.get("/%2e%2e%5csecret").expect(404);
    server.get(&format!("/{}", "n".repeat(300))).expect(404);
    server.get("/hello.txt/below").expect(404);
    server.get("/nothing").expect(404);
}

#[test]
fn special_files_are_refused_without_waiting() {
    let server = Server::start(&[]);
    assert!(
        Command::new("mkfifo")
            .arg(server.file("pipe"))
            .status()
            .unwrap()
            .success()
    );
    server.get("/pipe").expect(403);
}
