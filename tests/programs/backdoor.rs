//! The example program `backdoor`, looked into as a user would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use test_support::example_program::{build, names_the_mistake};

/// Longer than any of it takes on a busy machine, the building included.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn backdoor_shows_its_shop_on_both_consoles_and_the_page_and_ends_well() {
    test_support::bounded("backdoor", LIMIT, || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop");
        let program = Command::new(build("backdoor"))
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
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut program = Running(program);
        let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
        let mut line = |start: &str| {
            let line = lines.next().unwrap().unwrap();
            let rest = line.strip_prefix(start);
            rest.unwrap_or_else(|| panic!("{line:?}")).trim().to_owned()
        };
        assert_eq!(
            line("console: socat - UNIX-CONNECT:"),
            path.to_str().unwrap()
        );
        let console = line("console: nc ").replace(' ', ":");
        let url = line("page:");
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

        let interrupted = Command::new("kill")
            .args(["-INT", &program.0.id().to_string()])
            .status();
        assert!(interrupted.unwrap().success());
        let sold = line("sold ");
        assert_ne!(sold, "0 times");
        assert!(program.0.wait().unwrap().success());
        assert!(!path.exists());
    });
}

/// Ended with the test, also if that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

trait Conversation: Read + Write {}
impl<S: Read + Write> Conversation for S {}

#[test]
fn backdoor_explains_its_arguments() {
    let program = build("backdoor");
    let help = Command::new(&program).arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"Usage: backdoor"));
    for wrong in [&["--bogus"][..], &["--seconds", "soon"], &["--unix"]] {
        let output = Command::new(&program).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        names_the_mistake(&output.stderr, "backdoor", wrong);
    }
    let refused = Command::new(&program)
        .args(["--tcp", "0.0.0.0:0", "--unix"])
        .arg(std::env::temp_dir().join(format!("green-refused-{}", std::process::id())))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("is not a loopback address"), "{words}");
}
