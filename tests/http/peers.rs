//! Programs that others wrote: nginx in front, Python's clients, h2spec, a browser with a websocket, and curl with more than
//! fits into memory. Each is skipped, with the reason printed, where it is missing.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use green::http::{self, Body, IntoResponse, Reply, Request, Response};
use green::sync::mpsc::channel;
use green::thread;
use tungstenite::Message;

use crate::clients::{client, curl};
use crate::{Served, bounded, nobody_is_left, usual};
use test_support::child::alone;
use test_support::running::{Process, Signal, find, signal};

/// nginx in front of `served`, on a Unix socket in `directory`.
fn nginx(served: &Served, directory: &Path) -> Option<Process> {
    let program = find("nginx")?;
    let place = directory.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {place}/{name};\n"))
        .concat();
    let configuration = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/errors;
        events {{ }}
        http {{
            access_log off; client_max_body_size 0; {temporary}
            upstream green {{ server {}; keepalive 4; }}
            server {{
                listen unix:{place}/socket;
                location / {{
                    proxy_pass http://green; proxy_http_version 1.1;
                    proxy_set_header Connection ''; proxy_request_buffering off;
                }}
            }}
        }}",
        served.address
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let nginx = Command::new(program)
        .arg("-e")
        .arg(directory.join("errors"))
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .spawn();
    let mut nginx = Process(nginx.unwrap());
    while !directory.join("socket").exists() {
        assert!(nginx.try_wait().unwrap().is_none(), "nginx has ended");
        thread::sleep(Duration::from_millis(5));
    }
    Some(nginx)
}

#[test]
fn nginx_stands_in_front() {
    bounded("nginx", || {
        let served = Served::new(usual);
        let directory = tempfile::tempdir().unwrap();
        let Some(nginx) = nginx(&served, directory.path()) else {
            return;
        };
        let socket = directory.path().join("socket");
        let ask = |path: &str, more: &[&str]| {
            let url = format!("http://x{path}");
            let through = ["--unix-socket", socket.to_str().unwrap(), &url];
            curl(&[&through, more].concat())
        };
        let body = directory.path().join("body");
        let sent: Vec<u8> = (0..10_000_000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&body, &sent).unwrap();
        let upload = format!("@{}", body.display());
        for _ in 0..3 {
            let Some(page) = ask("/page", &[]) else {
                return;
            };
            assert_eq!(page, b"GET /page");
            assert_eq!(
                ask("/length", &["--data-binary", &upload]).unwrap(),
                b"10000000"
            );
            assert_eq!(
                ask("/early", &["--data-binary", &upload]).unwrap(),
                b"POST /early"
            );
        }
        assert_eq!(ask("/big", &[]).unwrap().len(), 12 << 20);
        // What breaks off behind the proxy breaks off before it.
        let cut = client(
            "curl",
            &[
                "-sS",
                "--unix-socket",
                socket.to_str().unwrap(),
                "http://x/cut",
            ],
        );
        assert!(!cut.unwrap().status.success());
        drop(nginx);
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

const PYTHON: &str = r#"
import asyncio, sys
import aiohttp, httpx
base = sys.argv[1]
data = bytes(range(256)) * 8192

with httpx.Client(timeout=30) as client:
    for _ in range(20):
        assert client.get(base + '/page').text == 'GET /page'
    assert client.post(base + '/echo', content=data).content == data
    pieces = (data[n:n + 50000] for n in range(0, len(data), 50000))
    assert client.post(base + '/length', content=pieces).text == str(len(data))
    assert client.get(base + '/panic').status_code == 500
    assert len(client.get(base + '/big').content) == 12 << 20
try:
    import h2
except ImportError:
    print('skipped: no h2 for httpx')
else:
    async def second():
        async with httpx.AsyncClient(http1=False, http2=True, timeout=30) as client:
            answers = await asyncio.gather(*(client.get(base + f'/{n}') for n in range(50)))
            assert [a.text for a in answers] == [f'GET /{n}' for n in range(50)]
            assert answers[0].http_version == 'HTTP/2'
            assert (await client.post(base + '/echo', content=data)).content == data
    asyncio.run(second())

async def third():
    async with aiohttp.ClientSession() as session:
        async def one(n):
            async with session.get(base + f'/{n}') as answer:
                assert await answer.text() == f'GET /{n}'
        await asyncio.gather(*(one(n) for n in range(200)))
        async def pieces():
            for n in range(0, len(data), 50000):
                yield data[n:n + 50000]
        async with session.post(base + '/echo', data=pieces()) as answer:
            assert await answer.read() == data
        async with session.ws_connect(base + '/talk') as socket:
            for n in range(100):
                await socket.send_str(f'word {n}')
                assert (await socket.receive_str()) == f'word {n}'
asyncio.run(third())
"#;

/// Says back what it hears, at `/talk`.
fn talks(request: Request<Body>) -> std::io::Result<Response<Reply>> {
    match request.uri().path() {
        "/talk" => Ok(http::websocket(request, |mut socket| {
            while let Ok(message @ (Message::Text(_) | Message::Binary(_))) = socket.read() {
                if socket.send(message).is_err() {
                    break;
                }
            }
        })),
        _ => usual(request),
    }
}

#[test]
fn httpx_and_aiohttp_are_served() {
    // Each of its requests has 30 s: an interpreter takes its time on a busy machine.
    test_support::bounded("Python's clients", Duration::from_secs(180), || {
        let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
            let has = Command::new(python)
                .args(["-c", "import aiohttp, httpx"])
                .output();
            has.is_ok_and(|has| has.status.success())
        });
        let Some(python) = python else {
            println!("skipped: no Python here with aiohttp and httpx");
            return;
        };
        let served = Served::new(talks);
        let base = format!("http://{}", served.address);
        let output = client(python, &["-c", PYTHON, &base]).unwrap();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

/// Its page of what is no HTTP/2 at all is answered as HTTP/1.1: that one case is not ours.
#[test]
fn h2spec_finds_nothing() {
    bounded("h2spec", || {
        if find("h2spec").is_none() {
            return;
        }
        let served = Served::new(usual);
        let port = served.address.port().to_string();
        let arguments = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-P",
            "/sleep",
            "--timeout",
            "5",
            "-S",
        ];
        let output = client("h2spec", &arguments).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let (_, failures) = said.split_once("Failures:").unwrap_or(("", ""));
        let failed: Vec<_> = failures.lines().filter(|line| line.contains('×')).collect();
        assert!(said.contains(" tests, "), "{said}");
        let ours = failed
            .iter()
            .any(|line| !line.contains("invalid connection preface"));
        assert!(!ours, "{failed:#?}");
        nobody_is_left();
        served.stop();
    });
}

const PAGE: &str = "<!DOCTYPE html><script>
const socket = new WebSocket(`ws://${location.host}/talk`);
socket.onopen = () => socket.send('over a websocket');
socket.onmessage = (event) => {
    fetch('/heard', {method: 'POST', body: event.data});
};
</script>";

#[test]
fn a_page_in_a_browser_talks_over_a_websocket() {
    bounded("a browser", || {
        if find("chromium").is_none() {
            return;
        }
        let (tell, heard) = channel();
        let served = Served::new(move |request: Request<Body>| match request.uri().path() {
            "/" => {
                let mut page = PAGE.into_response();
                let html = http::HeaderValue::from_static("text/html; charset=utf-8");
                page.headers_mut().insert(http::header::CONTENT_TYPE, html);
                page
            }
            "/heard" => {
                let mut said = String::new();
                let read = request.into_body().read_to_string(&mut said).map(drop);
                tell.send(said).unwrap();
                read.map(|()| "").into_response()
            }
            _ => talks(request).into_response(),
        });
        let profile = tempfile::tempdir().unwrap();
        let started = Command::new("timeout")
            .args([
                "--kill-after=5",
                "115",
                "chromium",
                "--headless",
                "--no-sandbox",
            ])
            .args([
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-proxy-server",
            ])
            .args(["--disable-background-networking", "--no-first-run"])
            .args(["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("http://{}/", served.address))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut browser = Process(started.unwrap());
        let begun = Instant::now();
        let said = loop {
            match heard.recv_timeout(Duration::from_millis(200)) {
                Ok(said) => break Some(said),
                Err(_) if browser.0.try_wait().unwrap().is_some() => break None,
                Err(_) if begun.elapsed() > Duration::from_secs(100) => break None,
                Err(_) => {}
            }
        };
        match said {
            Some(said) => assert_eq!(said, "over a websocket"),
            None => println!("skipped: the browser does not start"),
        }
        // `timeout` passes on to the browser's processes what ends it.
        let _ = signal(browser.0.id(), Signal::TERM);
        let _ = browser.0.wait();
    });
}

fn memory_in_kilobytes(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 100 MB from curl, to a handler that takes its time.
#[test]
fn an_upload_that_is_taken_slowly_is_never_in_memory() {
    const ALL: u64 = 100_000_000;
    const NAME: &str = "peers::an_upload_that_is_taken_slowly_is_never_in_memory";
    alone(NAME, &[("GREEN_HUBS", "1")], || {
        let served = Served::new(|request: Request<Body>| {
            let mut body = request.into_body();
            let mut piece = vec![0; 1 << 18];
            let mut count = 0;
            loop {
                match body.read(&mut piece) {
                    Ok(0) => break count.to_string(),
                    Ok(read) => count += read,
                    Err(error) => break error.to_string(),
                }
                // Slower than it comes.
                if count % 7 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(ALL).unwrap();
        let url = format!("http://{}/", served.address);
        let path = file.path().to_str().unwrap();
        for how in [
            &["--http1.1"][..],
            &["--http1.1", "-H", "Transfer-Encoding: chunked"],
            &["--http2-prior-knowledge"],
        ] {
            let before = memory_in_kilobytes("VmRSS");
            let Some(said) = curl(&[how, &["-T", path, &url]].concat()) else {
                return;
            };
            assert_eq!(said, ALL.to_string().as_bytes(), "{how:?}");
            let most = memory_in_kilobytes("VmHWM");
            assert!(
                most < before + 16_000,
                "{how:?}: {before} kB, then {most} kB"
            );
        }
        served.stop();
    })
    .well();
}
