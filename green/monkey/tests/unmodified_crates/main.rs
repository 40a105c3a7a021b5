//! Crates and C libraries as they are, two hundred operations at once on one hub.
//!
//! Each answer comes 50 ms late. Once all are connected, all ask: if one held the hub while it waits for its answer, no other
//! could ask meanwhile. The answers are those that OS threads get. A server or a library that is not there is named and its test
//! skipped.
#![expect(unsafe_code, reason = "the program is patched")]

mod cases;
mod late;

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, Once};
use std::time::{Duration, Instant};

use green_monkey::{Patch, monkey_patch};
use test_support::net::On;

use cases::{Case, databases, http, libraries};
use late::{LATE, Late};

const AT_ONCE: usize = 200;

static LATE_SERVERS: LazyLock<Late> = LazyLock::new(Late::start);

/// Runs `body` with the program patched, bounded in time.
fn patched<T>(name: &str, body: impl FnOnce() -> T) -> T {
    static ONCE: Once = Once::new();
    test_support::bounded(name, Duration::from_secs(240), || {
        ONCE.call_once(|| {
            let config = green::Config::new().hubs(1).stack_size(512 * 1024);
            config.apply().unwrap();
            // SAFETY: these tests are about it.
            unsafe { monkey_patch(Patch::all()) }.unwrap();
        });
        body()
    })
}

/// The answers of two hundred, and how many waited for theirs at the same time at most.
fn at_once(on: On, case: &Case) -> (Vec<String>, usize) {
    let connected = Arc::new(Barrier::new(AT_ONCE));
    let (waiting, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let ask = |n| {
        let (case, connected) = (case.clone(), connected.clone());
        let (waiting, most) = (waiting.clone(), most.clone());
        on.spawn(move || {
            let ask = case.open(n);
            connected.wait();
            most.fetch_max(waiting.fetch_add(1, SeqCst) + 1, SeqCst);
            let answer = ask();
            waiting.fetch_sub(1, SeqCst);
            answer
        })
    };
    let all: Vec<_> = (0..AT_ONCE).map(ask).collect();
    let answers = all.into_iter().map(|one| one.join()).collect();
    (answers, most.load(SeqCst))
}

/// Two hundred green threads of one hub ask at once, and get what OS threads get.
fn wait_at_once(case: impl FnOnce() -> Option<Case>) {
    let Some(case) = case() else {
        return;
    };
    patched(case.name, || {
        let (expected, _) = at_once(On::OsThreads, &case);
        let begun = Instant::now();
        let (answers, most) = at_once(On::GreenThreads, &case);
        println!(
            "{}: {most} at once, all in {:?}",
            case.name,
            begun.elapsed()
        );
        assert_eq!(answers, expected);
        assert!(answers[AT_ONCE - 1].ends_with("199"), "{answers:?}");
        assert!(most >= AT_ONCE / 2, "{most} of {AT_ONCE} waited at once");
    });
}

#[test]
fn requests_of_ureq_wait_at_once() {
    wait_at_once(|| Some(http::ureq(&LATE_SERVERS)));
}

#[test]
fn requests_of_minreq_wait_at_once() {
    wait_at_once(|| Some(http::minreq(&LATE_SERVERS)));
}

#[test]
fn requests_of_attohttpc_wait_at_once() {
    wait_at_once(|| Some(http::attohttpc(&LATE_SERVERS)));
}

#[test]
fn requests_over_native_tls_wait_at_once() {
    wait_at_once(|| Some(http::native_tls(&LATE_SERVERS)));
}

#[test]
fn commands_of_redis_wait_at_once() {
    wait_at_once(databases::redis);
}

#[test]
fn values_of_memcache_wait_at_once_by_a_pool_that_is_shared() {
    wait_at_once(databases::memcache);
}

#[test]
fn queries_of_mysql_wait_at_once() {
    wait_at_once(databases::mysql);
}

#[test]
fn queries_of_postgres_wait_at_once_each_in_a_runtime_of_tokios() {
    wait_at_once(databases::postgres);
}

#[test]
fn transfers_of_libcurl_wait_at_once() {
    wait_at_once(|| libraries::libcurl(&LATE_SERVERS));
}

#[test]
fn queries_of_libpq_wait_at_once() {
    wait_at_once(libraries::libpq);
}

#[test]
fn connections_of_an_r2d2_pool_wait_at_once() {
    wait_at_once(|| Some(databases::r2d2()));
}

#[test]
fn tiny_http_serves_from_green_threads() {
    patched("tiny_http", || {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let server = server.clone();
                On::GreenThreads.spawn(move || {
                    while let Ok(request) = server.recv() {
                        std::thread::sleep(LATE);
                        let answer = tiny_http::Response::from_string(request.url());
                        request.respond(answer).unwrap();
                    }
                })
            })
            .collect();
        let late = Late {
            http: format!("http://{}", server.server_addr()),
            tls_port: 0,
            authority: String::new(),
        };
        wait_at_once(|| Some(http::minreq(&late)));
        // One each.
        workers.iter().for_each(|_| server.unblock());
        workers.into_iter().for_each(|worker| worker.join());
    });
}

#[test]
fn a_limit_of_greens_cuts_a_request() {
    patched("cut request", || {
        green::run(|| {
            let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let url = format!("http://{}/", silent.local_addr().unwrap());
            let cut = green::timeout(LATE, || minreq::get(url).send().map(drop));
            assert!(cut.is_err());
        });
    });
}

/// tokio would panic at an error there, and its clients' destructors after it: that aborts.
#[test]
fn a_client_with_tokio_inside_gets_its_answer_before_a_kill_and_in_spite_of_a_limit() {
    let Some(database) = test_support::servers::Postgres::start() else {
        return;
    };
    patched("kills and tokio", || {
        let address = database.address();
        let ask = move || {
            let mut client = postgres::Client::connect(&address, postgres::NoTls).unwrap();
            let row = client.query_one("SELECT 7::int8 FROM pg_sleep(0.5)", &[]);
            row.unwrap().get::<_, i64>(0)
        };
        green::run(move || {
            let in_time = green::timeout(LATE, &ask);
            assert_eq!(in_time, Ok(7), "it ended by itself, and nothing was told");

            let asks = Arc::new(AtomicUsize::new(0));
            let asked = asks.clone();
            let killed = green::thread::spawn(move || {
                asks.store(1, SeqCst);
                asks.store(ask() as usize, SeqCst);
                green::thread::sleep(Duration::MAX);
            });
            while asked.load(SeqCst) == 0 {
                green::thread::yield_now();
            }
            killed.kill().unwrap();
            assert!(killed.join().unwrap_err().is::<green::Killed>());
            assert_eq!(asked.load(SeqCst), 7);
        });
    });
}
