//! Fetches web pages with ureq, all at once, each on a green thread.
//!
//! ```sh
//! cargo run --release -p green-std --features http-client --example ureq_connector -- http://127.0.0.1:8080/ http://127.0.0.1:8080/a
//! ```
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::http::ureq::Agent;
use green::thread;

use program::{Program, counted};

const PROGRAM: Program = Program {
    name: "ureq_connector",
    usage: "\
Usage: ureq_connector URL...

Fetches each page, all at once, and says how long it is.

  --help   this page",
};

fn main() -> ExitCode {
    PROGRAM.run_words(|urls| match urls {
        [] => None,
        urls => Some(fetch(urls)),
    })
}

fn fetch(urls: &[&str]) -> Result<(), String> {
    let config = Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .build();
    let agent = &green::http::agent(config);
    let failed = thread::scope(|scope| {
        let fetching: Vec<_> = urls
            .iter()
            .map(|url| scope.spawn(move || is_fetched(agent, url)))
            .collect();
        let fetched = fetching.into_iter().map(|page| page.join());
        fetched.filter(|page| !matches!(page, Ok(true))).count()
    });
    match failed {
        0 => Ok(()),
        failed => Err(format!(
            "{failed} of {} did not come",
            counted(urls.len(), "page")
        )),
    }
}

fn is_fetched(agent: &Agent, url: &str) -> bool {
    let page = agent
        .get(url)
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_vec());
    match &page {
        Ok(page) => println!("{url}: {}", counted(page.len(), "byte")),
        Err(error) => eprintln!("{url}: {error}"),
    }
    page.is_ok()
}
