//! curl and h2load: HTTP/1.1 and HTTP/2, in the clear and over TLS.

use std::process::{Command, Output};

use green::http::{self, Server};
use green::ssl::{Purpose, SslContext};
use green::thread;

use crate::{Served, bounded, nobody_is_left, usual};
use test_support::certs::SELF_SIGNED;

/// Runs a client; `None` if there is none here.
pub fn client(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: {name}: {error}");
            None
        }
    }
}

pub fn curl(arguments: &[&str]) -> Option<Vec<u8>> {
    let output = client("curl", &[&["-sS", "--max-time", "200"], arguments].concat())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {errors}");
    Some(output.stdout)
}

/// What every version of HTTP is to do, on `base`.
fn the_usual(base: &str, version: &[&str]) -> Option<()> {
    let ask = |path: &str, more: &[&str]| {
        let url = format!("{base}{path}");
        curl(&[version, more, &["-k", &url]].concat())
    };
    assert_eq!(ask("/page", &[])?, b"GET /page");
    let head = ask("/page", &["-I"])?;
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.contains("content-length: 10"), "{head}");
    let status = ask("/panic", &["-o", "/dev/null", "-w", "%{http_code}"])?;
    assert_eq!(status, b"500");
    assert_eq!(ask("/big", &[])?.len(), 12 << 20);

    let file = tempfile::NamedTempFile::new().unwrap();
    let sent: Vec<u8> = (0..10_000_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&file, &sent).unwrap();
    let upload = format!("@{}", file.path().display());
    assert_eq!(ask("/length", &["--data-binary", &upload])?, b"10000000");
    assert!(ask("/echo", &["--data-binary", &upload])? == sent);
    let chunked = [
        "--data-binary",
        &upload,
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
    ];
    if version.contains(&"--http1.1") {
        assert_eq!(ask("/length", &chunked)?, b"10000000");
    }
    // An answer before the body was read. Over HTTP/2 this curl takes the RST_STREAM(NO_ERROR) behind it for a failure.
    if version.contains(&"--http1.1") {
        let early = ["--data-binary", &upload, "-H", "Expect:"];
        assert_eq!(ask("/early", &early)?, b"POST /early");
    }
    // A client that goes in the middle.
    let url = format!("{base}/big");
    client(
        "curl",
        &[
            version,
            &["-sk", "--limit-rate", "100k", "--max-time", "0.3", &url],
        ]
        .concat(),
    )?;
    nobody_is_left();
    Some(())
}

#[test]
fn curl_is_served_in_the_clear() {
    bounded("curl", || {
        let served = Served::new(usual);
        let base = format!("http://{}", served.address);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            the_usual(&base, &[version]);
        }
        served.stop();
    });
}

#[test]
fn curl_is_served_over_tls() {
    bounded("curl over TLS", || {
        let context = SslContext::create_default_context(Purpose::ClientAuth).unwrap();
        let (chain, key) = (SELF_SIGNED.chain.as_bytes(), SELF_SIGNED.key.as_bytes());
        context.load_cert_chain_bytes(chain, key, None).unwrap();
        context.set_alpn_protocols(&http::ALPN).unwrap();
        let listener = green::listen("127.0.0.1:0").unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let server = Server::new(green::wrap_ssl(listener, &context));
        let stop = server.stop_handle();
        let running = thread::spawn(|| server.run(usual));
        for version in ["--http1.1", "--http2"] {
            the_usual(&base, &[version]);
        }
        stop.stop();
        running.join().unwrap().unwrap();
    });
}

#[test]
fn every_request_of_h2load_is_answered() {
    bounded("h2load", || {
        let served = Served::new(usual);
        let base = format!("http://{}", served.address);
        let page = format!("{base}/page");
        for more in [&["--h1"][..], &["-m", "10"]] {
            let load = [&["-n", "2000", "-c", "20"], more, &[&*page]].concat();
            let Some(output) = client("h2load", &load) else {
                break;
            };
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("2000 succeeded, 0 failed"), "{said}");
        }
        // A hundred streams of one connection sleep side by side: one after the other they would take 30 s.
        let url = format!("{base}/sleep");
        let begun = std::time::Instant::now();
        let sleepers = ["-n", "100", "-c", "1", "-m", "100", &url];
        if let Some(output) = client("h2load", &sleepers) {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("100 succeeded, 0 failed"), "{said}");
            assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        }
        nobody_is_left();
        served.stop();
    });
}
