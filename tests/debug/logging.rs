//! A program's logger may itself use green threads: nothing is logged where it could not.

use std::sync::Mutex;
use std::time::Duration;

use test_support::address_space;
use test_support::child::{SPARE_MEMORY, alone};

/// Writes each line from a green thread, by way of the blocking pool, and waits for it.
struct GreenLogger;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for GreenLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        let writes = move || greenhub::blocking(move || LINES.lock().unwrap().push(line));
        let _ = greenhub::green_thread::spawn(writes).join();
    }

    fn flush(&self) {}
}

fn log_with_green_threads() {
    log::set_logger(&GreenLogger).unwrap();
    log::set_max_level(log::LevelFilter::max());
}

fn lines_with(word: &str) -> usize {
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|line| line.contains(word)).count()
}

/// Whether each of `wrong`, a variable with its value, left `told` once in the log and once in the report.
fn are_told(name: &str, wrong: &[(&str, &str)], told: &[&str]) {
    alone(name, wrong, || {
        log_with_green_threads();
        assert!(greenhub::report().remarks.is_empty());
        assert_eq!(greenhub::run(|| 7), 7);
        let mut lines = LINES.lock().unwrap().clone();
        lines.retain(|line| line.starts_with("GREEN_"));
        assert_eq!(lines, told);
        let report = greenhub::report();
        assert_eq!(report.remarks, told);
        let text = report.to_string();
        for line in told {
            assert!(text.lines().any(|shown| shown == *line), "{text}");
        }
    })
    .well();
}

#[test]
fn settings_that_are_no_numbers_are_told_at_the_first_start_and_in_the_report() {
    are_told(
        "logging::settings_that_are_no_numbers_are_told_at_the_first_start_and_in_the_report",
        &[
            ("GREEN_THREAD_LOCALS", "mine"),
            ("GREEN_STACK_SIZE", "1M"),
            ("GREEN_BLOCKING_THREADS", "99999999999999999999"),
        ],
        &[
            "GREEN_THREAD_LOCALS=\"mine\" is none of auto, own, shared: auto is used, the default",
            "GREEN_STACK_SIZE=\"1M\" is not a number in digits alone: 262144 is used, the default",
            "GREEN_BLOCKING_THREADS=\"99999999999999999999\" is too large: 64 is used, the default",
        ],
    );
}

#[test]
fn settings_that_are_out_of_range_are_told_too() {
    are_told(
        "logging::settings_that_are_out_of_range_are_told_too",
        &[
            ("GREEN_HUBS", "0"),
            ("GREEN_STACK_SIZE", "100"),
            ("GREEN_BLOCKING_THREADS", "0"),
        ],
        &[
            "GREEN_HUBS=\"0\" is too small: 1 is used, the least there can be",
            "GREEN_STACK_SIZE=\"100\" is too small: 32768 is used, the least there can be",
            "GREEN_BLOCKING_THREADS=\"0\" is too small: 1 is used, the least there can be",
        ],
    );
}

#[test]
fn the_pool_may_be_what_starts_everything() {
    let name = "logging::the_pool_may_be_what_starts_everything";
    alone(name, &[("GREEN_BLOCKING_THREADS", "some")], || {
        log_with_green_threads();
        // Under a limit it goes to the pool on an OS thread too.
        let called = greenhub::timeout(Duration::from_secs(40), || greenhub::blocking(|| 7));
        assert_eq!(called.unwrap(), 7);
        assert_eq!(lines_with("GREEN_BLOCKING_THREADS"), 1);
    })
    .well();
}

#[test]
fn a_server_of_asyncio_may_be_what_starts_everything() {
    let name = "logging::a_server_of_asyncio_may_be_what_starts_everything";
    alone(name, &[], || {
        log_with_green_threads();
        let options = green::asyncio::ServerOptions::new();
        let server = green::asyncio::start_server(|_, _| Ok(()), "127.0.0.1:0", options).unwrap();
        assert!(server.is_serving());
        assert_eq!(lines_with("thread-locals are"), 1);
    })
    .well();
}

#[test]
fn a_pool_that_cannot_grow_says_so_once_and_goes_on() {
    let name = "logging::a_pool_that_cannot_grow_says_so_once_and_goes_on";
    // OS threads, unlike green ones, need more than there will be.
    let environment = [("RUST_MIN_STACK", "268435456"), SPARE_MEMORY];
    alone(name, &environment, || {
        log_with_green_threads();
        greenhub::run(|| {
            // One thread, which is busy.
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let busy =
                greenhub::green_thread::spawn(move || greenhub::blocking(move || wait.recv()));
            while !busy.is_started() || greenhub::blocking(|| false) {
                greenhub::green_thread::yield_now();
            }
            // No room for another.
            address_space::leave(128 << 20);
            let gate = std::sync::Arc::new(std::sync::Mutex::new(()));
            let shut = gate.lock().unwrap();
            let calls: Vec<_> = (0..8)
                .map(|n| {
                    let gate = gate.clone();
                    greenhub::green_thread::spawn_local(move || {
                        greenhub::blocking(move || gate.lock().map(|_| n).unwrap())
                    })
                })
                .collect();
            // On this hub, so each has handed its call over by the time that it is parked.
            while !calls.iter().all(|call| call.is_started()) {
                greenhub::green_thread::yield_now();
            }
            drop(shut);
            go.send(()).unwrap();
            for (n, call) in calls.into_iter().enumerate() {
                assert_eq!(call.join().unwrap(), n);
            }
            let _ = busy.join().unwrap();
            assert_eq!(lines_with("could not grow"), 1);
        });
    })
    .well();
}

#[test]
fn a_servers_handler_may_return_an_error_of_its_connection_which_is_logged() {
    let name = "logging::a_servers_handler_may_return_an_error_of_its_connection_which_is_logged";
    alone(name, &[], || {
        use std::io::{self, Read, Write};

        use green::net::TcpStream;

        fn echo_five(mut stream: TcpStream) -> io::Result<()> {
            let mut word = [0; 5];
            stream.read_exact(&mut word)?;
            stream.write_all(&word)
        }

        log_with_green_threads();
        let listener = green::listen("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = green::convenience::Server::new(listener);
        let stop = server.stop_handle();
        let running = green::thread::spawn(move || server.run(|stream, _| echo_five(stream)));

        let ask = |word: &[u8]| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(word).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert_eq!(ask(b"oh"), "");
        assert_eq!(ask(b"hello"), "hello");
        stop.stop();
        assert_eq!(running.join().unwrap().unwrap().connections, 2);
        assert_eq!(
            lines_with("a connection failed: failed to fill whole buffer"),
            1
        );
    })
    .well();
}
