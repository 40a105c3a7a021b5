//! Fetches web pages with ureq, all at once, each on a green thread.
//!
//! ```sh
//! cargo run --release -p green-std --features http-client --example ureq_connector -- http://127.0.0.1:8080/ http://127.0.0.1:8080/a
//! ```
#![allow(missing_docs, reason = "a program has no users of its items")]

use std::process::ExitCode;
use std::time::Duration;

use green::http::ureq::Agent;
use green::thread;

const USAGE: &str = "\
Usage: ureq_connector ADDRESS...

Fetches each page, all at once, and says how long it is.";

fn main() -> ExitCode {
    if std::env::args()
        .skip(1)
        .any(|argument| argument == "--help" || argument == "-h")
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let config = Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .build();
    let agent = green::http::agent(config);
    let fetching: Vec<_> = std::env::args()
        .skip(1)
        .map(|address| {
            let agent = agent.clone();
            thread::spawn(move || {
                let page = agent
                    .get(&address)
                    .call()
                    .and_then(|mut answer| answer.body_mut().read_to_vec());
                match &page {
                    Ok(page) => println!("{address}: {} bytes", page.len()),
                    Err(error) => eprintln!("{address}: {error}"),
                }
                page.is_ok()
            })
        })
        .collect();
    if fetching.is_empty() {
        eprintln!("ureq_connector: no address is given\n\n{USAGE}");
        return ExitCode::from(2);
    }
    let fetched = fetching
        .into_iter()
        .map(|page| page.join().unwrap_or(false));
    if fetched.fold(true, |all, one| all & one) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
