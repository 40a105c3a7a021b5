//! Headless Chromium, driven over its debugging protocol.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::running::{Signal, signal};
use tungstenite::{Message, WebSocket};

/// Longer than a browser takes to start on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(240);
/// For the start alone.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Ends the browser if the test could not.
const SECONDS: &str = "300";

/// Where it is.
pub fn find_browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|program| program.is_file())
}

pub struct Browser {
    process: Child,
    profile: tempfile::TempDir,
}

impl Browser {
    pub fn start(program: &Path) -> Browser {
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
    pub fn door(&mut self) -> Result<(u16, String), String> {
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
        let _ = signal(self.process.id(), Signal::TERM);
        let _ = self.process.wait();
    }
}

pub struct Tab {
    socket: WebSocket<TcpStream>,
    sent: u64,
    session: Value,
}

impl Tab {
    /// Opens a page in a tab of its own.
    pub fn open((port, path): (u16, String), url: &str) -> Tab {
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
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", parameters)["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub fn shows(&mut self, what: &str, condition: &str) {
        eprintln!("waiting for {what}");
        while self.value(condition) != true {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
