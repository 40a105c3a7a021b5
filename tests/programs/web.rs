//! The example `web`: handed its listener, restarted under load, behind HAProxy and nginx; the guide's configurations.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_support::bounded;
use test_support::example_program::build;

use test_support::running::{Running, Signal, find, free_address, signal};

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
        // One without a name is taken as well.
        let mut unnamed = start("");
        assert_eq!(unnamed.line("serving on "), address);
        drop(unnamed);
        // One that is called otherwise is not taken, and that is said.
        let mut other = start("other");
        assert_eq!(
            other.line("ignored: "),
            "the listener 'other', which is not 'web'"
        );
        assert_ne!(other.line("serving on "), address);
    });
}

/// The block of the guide's page *From one process to many machines* with this line, as it stands there.
fn from_the_guide(line: &str) -> &'static str {
    let page = include_str!("../../green/guide/production.md");
    let blocks = page.split("```text\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let found = blocks.find(|block| block.lines().any(|other| other == line));
    found.unwrap_or_else(|| panic!("the guide has no '{line}'"))
}

#[test]
fn systemd_s_own_activation_hands_it_the_listener_of_its_name() {
    if find("systemd-socket-activate").is_none() {
        return;
    }
    bounded("systemd-socket-activate", LIMIT, || {
        let (other, address) = (free_address(), free_address());
        let start = |names: &str| {
            let mut command = Command::new("systemd-socket-activate");
            command.args(["--listen", &other, "--listen", &address]);
            command.arg(format!("--fdname={names}"));
            command.arg(build("web")).arg("127.0.0.1:0");
            let server = Running::start(&mut command);
            // It listens, and becomes the program when somebody comes. Before it listens, another may have this
            // port for a moment, and whoever comes then has gone to the wrong one.
            let name = format!("/proc/{}/comm", server.process.id());
            let begun = Instant::now();
            while std::fs::read_to_string(&name).unwrap() != "web\n" {
                assert!(begun.elapsed() < LIMIT, "nobody listens on {address}");
                let _ = TcpStream::connect(&address);
                std::thread::sleep(Duration::from_millis(10));
            }
            server
        };
        let mut server = start("other:web");
        assert_eq!(server.line("serving on "), address);
        let answer = get(&address, "/", "");
        let met = format!("127.0.0.1 met {}", server.process.id());
        assert!(answer.contains(&met), "{answer}");
        server.terminate();
        server.line("stopped after ");
        assert!(server.process.wait().unwrap().success());
        // Where none is called so, it listens for itself.
        let mut server = start("one:two");
        let own = server.line("serving on ");
        assert!(![&other, &address].contains(&&own), "{own}");
        assert!(get(&own, "/", "").contains("127.0.0.1 met "));
    });
}

#[test]
fn the_guide_s_units_are_what_systemd_reads() {
    if find("systemd-analyze").is_none() {
        return;
    }
    bounded("systemd-analyze", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let block = from_the_guide("# web.socket");
        let (socket, service) = block.split_once("# web.service\n").unwrap();
        assert!(service.contains("/usr/local/bin/web "));
        let program = build("web").to_str().unwrap().to_owned();
        let service = service.replace("/usr/local/bin/web", &program);
        let check = |service: &str| {
            let files = [("web.socket", socket), ("web.service", service)];
            let files = files.map(|(name, text)| configured(folder.path(), name, text.to_owned()));
            let mut verify = Command::new("systemd-analyze");
            let output = verify.args(["verify", "--man=no"]).args(files).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            said.lines()
                .filter(|line| line.contains("web."))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(check(&service), [""; 0]);
        // It would be told.
        let wrong = service.replace("LimitNOFILE", "LimitOfFiles");
        assert!(check(&wrong)[0].contains("LimitOfFiles"));
    });
}

/// As in a container: the kernel ends that process by no signal that it does not handle.
#[test]
fn as_process_1_it_serves_and_a_signal_stops_it() {
    let flags = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let works = Command::new("unshare").args(flags).arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare cannot make a namespace of processes here");
        return;
    }
    bounded("process 1", LIMIT, || {
        let mut command = Command::new("unshare");
        let command = command.args(flags).arg(build("web")).arg("127.0.0.1:0");
        let mut server = Running::start(command);
        let address = server.line("serving on ");
        assert!(get(&address, "/", "").contains("127.0.0.1 met 1\n"));
        let id = server.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let program = children.unwrap().trim().parse().unwrap();
        signal(program, Signal::TERM).unwrap();
        server.line("stopped after ");
        assert!(server.process.wait().unwrap().success());
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
    if find("wrk").is_none() {
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
        if let Some(haproxy) = find("haproxy") {
            for how in ["send-proxy", "send-proxy-v2"] {
                let front = free_address();
                let text = from_the_guide("listen web")
                    .replace(":80\n", &format!("{front}\n"))
                    .replace("127.0.0.1:8080", &address)
                    .replace("send-proxy-v2", how);
                let file = configured(folder.path(), "haproxy.cfg", text);
                let _haproxy =
                    Running::start(Command::new(&haproxy).args(["-db", "-q", "-f"]).arg(file));
                wait_for(&front);
                let answer = get(&front, "/", "");
                assert!(answer.contains("127.0.0.1 met"), "{how}: {answer}");
            }
        }
        if let Some(nginx) = find("nginx") {
            let front = free_address();
            let mut plain = Running::start(Command::new(build("web")).arg("127.0.0.1:0"));
            let behind = plain.line("serving on ");
            let location = from_the_guide("location / {").replace("127.0.0.1:8080", &behind);
            let text = format!(
                "daemon off; master_process off; pid {0}/pid; error_log stderr; events {{}}\n\
                 http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n\
                 fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
                 server {{ listen {front};\n{location} }} }}\n",
                folder.path().display()
            );
            let file = configured(folder.path(), "nginx.conf", text);
            let _nginx = Running::start(Command::new(nginx).arg("-c").arg(file));
            wait_for(&front);
            let answer = get(&front, "/", "");
            assert!(answer.contains("127.0.0.1 met"), "{answer}");
        }
    });
}
