//! The example `web`: handed its listener, restarted under load, behind HAProxy and nginx.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_support::bounded;
use test_support::example_program::build;

use test_support::running::{Running, free_address, is_there};

const LIMIT: Duration = Duration::from_secs(300);

fn get(address: &str, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{header}GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Until it answers.
fn wait_for(address: &str) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < LIMIT, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_listener_of_systemds_is_taken_by_name() {
    bounded("socket activation", LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // As systemd: descriptors from 3 on, and the number of the process in the environment.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1 exec \"$2\" 127.0.0.1:0";
        let program = build("web");
        let start = |name: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script, "sh", name]).arg(&program);
            command.stdin(Stdio::from(std::os::fd::OwnedFd::from(
                listener.try_clone().unwrap(),
            )));
            Running::start(&mut command)
        };
        let mut server = start("web");
        assert_eq!(server.line("serving on "), address);
        let answer = get(&address, "/", "");
        assert!(
            answer.contains(&format!("127.0.0.1 met {}", server.process.id())),
            "{answer}"
        );
        // Its end leaves the listener to systemd: who connects meanwhile is served by the next.
        server.terminate();
        assert!(server.process.wait().unwrap().success());
        let mut early = TcpStream::connect(&address).unwrap();
        early.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let next = start("web");
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(
            answer.contains(&format!("met {}", next.process.id())),
            "{answer}"
        );
        drop(next);
        // One that is called otherwise is not taken.
        let mut other = start("other");
        assert_ne!(other.line("serving on "), address);
    });
}

#[test]
fn its_figures_and_its_health_are_at_an_address_of_their_own() {
    bounded("an address to be watched at", LIMIT, || {
        let watch = free_address();
        let mut command = Command::new(build("web"));
        command.args(["127.0.0.1:0", "--watch", &watch]);
        let mut server = Running::start(&mut command);
        let address = server.line("serving on ");
        wait_for(&watch);
        for _ in 0..3 {
            get(&address, "/", "");
        }
        let answer = get(&watch, "/metrics", "");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        let families = test_support::prometheus_text::parse(text);
        assert!(families.contains_key("green_hub_resumes_total"));
        let served = &families["green_server_connections_total"].samples[0];
        assert_eq!(served.labels, [("name".to_owned(), "web".to_owned())]);
        assert_eq!(served.value, 3.0);
        let answered = &families["green_http_responses_total"].samples;
        assert_eq!(answered[1].value, 3.0);
        assert!(get(&watch, "/health", "").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn restarts_under_load_lose_no_connection() {
    if !is_there("wrk") {
        return;
    }
    bounded("restarts under load", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let next = folder.path().join("next");
        let program = build("web");
        let watch = free_address();
        let start = |address: &str| {
            let mut command = Command::new(&program);
            command
                .arg(address)
                .arg("--next")
                .arg(&next)
                .args(["--watch", &watch]);
            Running::start(&mut command)
        };
        let mut running = start("127.0.0.1:0");
        let address = running.line("serving on ");
        // A connection a request, and connections that are kept alive.
        let loads = ["Connection: close", "Accept: */*"].map(|header| {
            let mut wrk = Command::new("wrk");
            wrk.args(["-t1", "-c20", "-d4s", "-H", header]);
            wrk.arg(format!("http://{address}/"));
            wrk.stdout(Stdio::piped()).spawn().unwrap()
        });
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(500));
            let mut successor = start("127.0.0.1:1");
            assert_eq!(successor.line("serving on "), address);
            // The one before ends by itself, having answered all that it had accepted.
            running.line("stopped after ");
            assert!(running.process.wait().unwrap().success());
            running = successor;
            wait_for(&watch);
            assert!(get(&watch, "/health", "").starts_with("HTTP/1.1 200"));
        }
        for load in loads {
            let output = load.wait_with_output().unwrap();
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(report.contains("requests in"), "{report}");
            let lost = report.contains("Socket errors") || report.contains("Non-2xx");
            assert!(!lost, "{report}");
        }
    });
}

fn configured(folder: &Path, name: &str, text: String) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn haproxy_and_nginx_in_front_tell_whose_request_it_is() {
    bounded("proxies in front", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Running::start(Command::new(build("web")).args(["127.0.0.1:0", "--proxied"]));
        let address = server.line("serving on ");
        // Without a proxy's word there is no answer.
        assert_eq!(get(&address, "/", ""), "");
        let by_hand = get(
            &address,
            "/",
            "PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n",
        );
        assert!(by_hand.contains("192.0.2.7 met"), "{by_hand}");
        if is_there("haproxy") {
            for how in ["send-proxy", "send-proxy-v2"] {
                let front = free_address();
                let text = format!(
                    "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
                     listen web\n  bind {front}\n  server one {address} {how}\n"
                );
                let file = configured(folder.path(), "haproxy.cfg", text);
                let _haproxy =
                    Running::start(Command::new("haproxy").args(["-db", "-q", "-f"]).arg(file));
                wait_for(&front);
                let answer = get(&front, "/", "");
                assert!(answer.contains("127.0.0.1 met"), "{how}: {answer}");
            }
        }
        if is_there("nginx") {
            let front = free_address();
            let text = format!(
                "daemon off; master_process off; pid {0}/pid; error_log stderr; events {{}}\n\
                 http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n\
                 fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
                 server {{ listen {front}; location / {{ proxy_pass http://{address}; proxy_http_version 1.1; }} }} }}\n",
                folder.path().display()
            );
            let file = configured(folder.path(), "nginx.conf", text);
            let mut plain = Running::start(Command::new(build("web")).arg("127.0.0.1:0"));
            let behind = plain.line("serving on ");
            let text = std::fs::read_to_string(&file)
                .unwrap()
                .replace(&address, &behind);
            std::fs::write(&file, text).unwrap();
            let _nginx = Running::start(Command::new("nginx").arg("-c").arg(file));
            wait_for(&front);
            let answer = get(&front, "/", "");
            assert!(answer.contains("127.0.0.1 met"), "{answer}");
        }
    });
}
