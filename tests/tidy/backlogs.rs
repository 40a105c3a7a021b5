//! How many clients may wait for an example program: what people copy takes a burst of thousands.

use std::collections::BTreeSet;
use std::fs;

use super::{files, only, short};

/// Listeners that expect one client at a time, to show what std's do.
const SINGLE: &[&str] = &["green/examples/tour/"];

#[test]
fn example_servers_let_thousands_wait_to_be_accepted() {
    let mut few = BTreeSet::new();
    let mut enough = 0;
    for file in files("green/examples", &[".rs"]) {
        let name = short(&file);
        if SINGLE.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(str::split_whitespace)
            .collect();
        // These have std's 128 and asyncio's 100.
        for short_one in [
            "TcpListener::bind(",
            "UnixListener::bind(",
            "start_unix_server(",
            ".listen(",
        ] {
            if code.contains(short_one) {
                few.insert(format!("{name}: {short_one}"));
            }
        }
        let servers =
            code.matches("create_server(").count() + code.matches("start_server(").count();
        let long = code.matches("ServerOptions::new().backlog(4096)").count();
        if servers != long {
            few.insert(format!(
                "{name}: {servers} servers of asyncio, {long} with a backlog of 4096"
            ));
        }
        enough += code.matches("green::listen(").count() + long;
    }
    assert!(enough > 10, "the examples listen elsewhere now: {enough}");
    only(&few, &[], "an example that serves lets 4096 clients wait");
}
