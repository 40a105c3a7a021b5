//! The example program `backdoor`, looked into as a user would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use test_support::example_program::build;
use test_support::running::{Running, Signal, signal};

/// Longer than any of it takes on a busy machine, the building included.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn backdoor_shows_its_shop_on_both_consoles_and_the_page_and_ends_well() {
    test_support::bounded("backdoor", LIMIT, || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop");
        let mut command = Command::new(build("backdoor"));
        command
            .args([
                "--http",
                "--tcp",
                "127.0.0.1:0",
                "--customers",
                "5",
                "--idle",
                "3",
            ])
            .arg("--unix")
            .arg(&path);
        let mut program = Running::start(&mut command);
        assert_eq!(
            program.line("console: socat - UNIX-CONNECT:"),
            path.to_str().unwrap()
        );
        let console = program.line("console: nc ").replace(' ', ":");
        let url = program.line("page:");
        let page = url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();

        let ask = |mut stream: Box<dyn Conversation>, question: &str| {
            stream.write_all(question.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        // Everybody is in the shop in the end.
        loop {
            let stream = Box::new(UnixStream::connect(&path).unwrap());
            let answer = ask(stream, "threads\nquit\n");
            let count = |part: &str| answer.matches(part).count();
            let crowd = [" customer-", " clerk on ", " shelf-", " accountant "].map(count);
            if crowd == [5, 5, 3, 1] {
                break;
            }
        }
        let tcp = |address: &str| Box::new(TcpStream::connect(address).unwrap());
        assert!(ask(tcp(&console), "top\nquit\n").contains(" resumes a second, "));
        let metrics = format!("GET /metrics HTTP/1.1\r\nHost: {page}\r\n\r\n");
        assert!(ask(tcp(&page), &metrics).contains("green_hub_resumes_total{hub=\"0\"} "));
        // The till is a wait of the accountant's: sales go on.
        while !ask(tcp(&console), "threads accountant\nquit\n").contains("waits for") {}

        signal(program.process.id(), Signal::INT).unwrap();
        assert_ne!(program.line("sold "), "0 times");
        assert!(program.process.wait().unwrap().success());
        assert!(!path.exists());
    });
}

trait Conversation: Read + Write {}
impl<S: Read + Write> Conversation for S {}
