//! The backdoor's page in a real browser: headless Chromium, driven over its debugging protocol.
//!
//! Skipped, with the reason printed, where there is none or it does not start.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use green::backdoor::Server;
use green::thread::{Builder, JoinHandle, park, sleep};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Longer than a browser takes to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);
/// For the start alone.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Ends the browser if the test could not.
const SECONDS: &str = "300";

fn find_browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|program| program.is_file())
}

struct Browser {
    process: Child,
    profile: tempfile::TempDir,
}

impl Browser {
    fn start(program: &Path) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // `timeout` passes on to all of the browser's processes what it is ended with.
        let process = Command::new("timeout")
            .args(["--kill-after=5", SECONDS])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                // Nothing but loopback is ever asked for.
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
                "--no-proxy-server",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Browser { process, profile }
    }

    /// The port and the path on which it is driven, once it has started; else what went wrong.
    fn door(&mut self) -> Result<(u16, String), String> {
        let file = self.profile.path().join("DevToolsActivePort");
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                return Ok((port.parse().unwrap(), path.trim_end().to_owned()));
            }
            if let Some(status) = self.process.try_wait().unwrap() {
                return Err(format!("the browser has ended: {status}"));
            }
            if begun.elapsed() > START_LIMIT {
                return Err("the browser does not start".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.process.wait();
    }
}

struct Tab {
    socket: WebSocket<TcpStream>,
    sent: u64,
    session: Value,
}

impl Tab {
    /// Opens a page in a tab of its own.
    fn open((port, path): (u16, String), url: &str) -> Tab {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let address = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(address, stream).unwrap();
        let mut tab = Tab {
            socket,
            sent: 0,
            session: Value::Null,
        };
        let target = tab.call("Target.createTarget", json!({ "url": url }))["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        tab.session = tab.call("Target.attachToTarget", attach)["sessionId"].clone();
        assert!(tab.session.is_string(), "no tab was opened");
        tab
    }

    /// The result; null if there is an error instead.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut request = json!({ "id": self.sent, "method": method, "params": parameters });
        if !self.session.is_null() {
            request["sessionId"] = self.session.clone();
        }
        let request = Message::text(request.to_string());
        self.socket.send(request).unwrap();
        loop {
            let message = self.socket.read().unwrap();
            let Ok(text) = message.to_text() else {
                continue;
            };
            let answer: Value = serde_json::from_str(text).unwrap_or_default();
            // Events come in between.
            if answer["id"] == self.sent {
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page; null if it fails, as it does while the page is loading.
    fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", parameters)["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    fn shows(&mut self, what: &str, condition: &str) {
        eprintln!("waiting for {what}");
        while self.value(condition) != true {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn named(name: &str) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(park).unwrap()
}

fn end(thread: JoinHandle<()>) {
    thread.kill().unwrap();
    let _ = thread.join();
}

/// Whether a line of the first hub's colour is in the chart.
const CHART_IS_DRAWN: &str = "(() => {
    const chart = document.getElementById('chart');
    const { data } = chart.getContext('2d').getImageData(0, 0, chart.width, chart.height);
    const near = (n, value) => Math.abs(data[n] - value) < 16;
    for (let n = 0; n < data.length; n += 4) {
        if (data[n + 3] > 100 && near(n, 0x2e) && near(n + 1, 0x9e) && near(n + 2, 0x5b)) return true;
    }
    return false;
})()";

#[test]
fn the_page_shows_green_threads_hubs_and_the_chart_as_they_change() {
    let Some(program) = find_browser() else {
        eprintln!("skipped: there is no chromium in PATH");
        return;
    };
    test_support::bounded("page in a browser", LIMIT, move || {
        let first = named("first of all");
        let markup = named("<img id=smuggled src=x>");
        // A line apart from those of the hubs that do nothing.
        let busy = Builder::new().hub(0).spawn(|| {
            loop {
                sleep(Duration::from_millis(1));
            }
        });
        let server = Server::new().count_cpu().http("127.0.0.1:0").unwrap();
        let mut browser = Browser::start(&program);
        let door = match browser.door() {
            Ok(door) => door,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let mut tab = Tab::open(door, &server.url().unwrap());

        tab.shows(
            "a report",
            "document.getElementById('status').textContent === 'live'",
        );
        let row = |name: &str| {
            format!(
                "[...document.querySelectorAll('#threads tr')].some((row) =>
                    row.cells[1].textContent === {name:?} && row.cells[4].textContent === 'park')"
            )
        };
        tab.shows("a green thread", &row("first of all"));
        tab.shows("a name as it is", &row("<img id=smuggled src=x>"));
        assert_eq!(
            tab.value("document.getElementById('smuggled') === null"),
            true
        );
        let hubs = green::hub_count().unwrap();
        let count = "document.querySelectorAll('#hubs tr').length - 1";
        assert_eq!(tab.value(count), hubs);
        assert_eq!(
            tab.value("document.querySelectorAll('#legend i').length"),
            hubs
        );
        tab.shows("the chart", CHART_IS_DRAWN);

        // As they come and go.
        let later = named("later");
        tab.shows("one that came", &row("later"));
        end(later);
        tab.shows("that it has gone", &format!("!{}", row("later")));

        let search = "const field = document.getElementById('match');
            field.value = 'FIRST OF'; field.dispatchEvent(new Event('input'))";
        tab.value(search);
        // With the head of the table.
        let found = "document.querySelectorAll('#threads tr').length === 2";
        tab.shows(
            "what was looked for",
            &format!("{found} && {}", row("first of all")),
        );

        drop(server);
        let gone =
            "document.getElementById('status').textContent === 'the program does not answer'";
        tab.shows("that the program has gone", gone);
        end(busy.unwrap());
        end(first);
        end(markup);
    });
}
