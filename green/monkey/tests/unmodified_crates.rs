//! Crates and C libraries as they are, a hundred operations at once on one hub.
//!
//! Each answer comes 150 ms late, so a hub that is held shows: one after the other they would take
//! fifteen seconds. A server or a library that is not there is named and its test skipped.
#![expect(unsafe_code, reason = "C libraries are loaded and called")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use green::thread::{Builder, spawn_local};
use green_monkey::{Patch, monkey_patch};

const AT_ONCE: usize = 100;
const LATE: Duration = Duration::from_millis(150);
/// Half of what they would take one after the other: a machine that does other things too has the kernel drop the request
/// for a connection now and then, and the next one is a second later.
const TOGETHER: Duration = Duration::from_millis(7500);

/// Runs `body` patched, as a green thread on hub 0, bounded in time.
fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    static ONCE: Once = Once::new();
    test_support::bounded(name, Duration::from_secs(100), || {
        ONCE.call_once(|| {
            green::Config::new()
                .hubs(1)
                .stack_size(512 * 1024)
                .apply()
                .unwrap();
            // SAFETY: these tests are about it.
            unsafe { monkey_patch(Patch::all()) }.unwrap();
        });
        let body = Builder::new().hub(0).spawn(body).unwrap();
        body.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Calls `operation` with 0 to 99, all at once, and says how long the hub was held at most.
fn at_once(operation: impl Fn(usize) + Copy + 'static) {
    operation(0);
    let begun = Instant::now();
    let all: Vec<_> = (0..AT_ONCE)
        .map(|n| spawn_local(move || operation(n)))
        .collect();
    all.into_iter().for_each(|one| one.join().unwrap());
    let took = begun.elapsed();
    println!("{AT_ONCE} at once took {took:?}");
    assert!(took < TOGETHER, "{took:?}");
}

/// A server on OS threads that answers a GET with its path, late, and closes. Its address.
fn late_server() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    fn answer(mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        let path = String::from_utf8_lossy(&request);
        let path = path.split(' ').nth(1).unwrap_or_default();
        std::thread::sleep(LATE);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            path.len()
        );
        stream.write_all(format!("{head}{path}").as_bytes())
    }
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://127.0.0.1:{}", address.port())
}

/// A server that is another program; ended with the value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program on a free port; None, and a word why, if it is not there.
fn server(program: &str, arguments: &[&str]) -> Option<(Server, u16)> {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new(program);
    command.args(arguments).arg(port.to_string());
    match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => {
            let server = Server(child);
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            Some((server, port))
        }
        Err(error) => {
            println!("skipped: no {program}: {error}");
            None
        }
    }
}

#[test]
fn requests_of_ureq_wait_at_once() {
    green("ureq", || {
        let server: &'static str = late_server().leak();
        at_once(move |n| {
            let limit = (n % 2 == 0).then_some(Duration::from_secs(30));
            let agent = ureq::Agent::config_builder()
                .timeout_global(limit)
                .build()
                .new_agent();
            let mut answer = agent.get(format!("{server}/{n}")).call().unwrap();
            assert_eq!(answer.body_mut().read_to_string().unwrap(), format!("/{n}"));
        });
    });
}

#[test]
fn requests_of_minreq_wait_at_once() {
    green("minreq", || {
        let server: &'static str = late_server().leak();
        at_once(move |n| {
            let request = minreq::get(format!("{server}/{n}"));
            let request = if n % 2 == 0 {
                request.with_timeout(30)
            } else {
                request
            };
            assert_eq!(request.send().unwrap().as_str().unwrap(), format!("/{n}"));
        });
    });
}

#[test]
fn requests_of_attohttpc_wait_at_once() {
    green("attohttpc", || {
        let server: &'static str = late_server().leak();
        at_once(move |n| {
            let request = attohttpc::get(format!("{server}/{n}"));
            let request = if n % 2 == 0 {
                request.timeout(Duration::from_secs(30))
            } else {
                request
            };
            assert_eq!(request.send().unwrap().text().unwrap(), format!("/{n}"));
        });
    });
}

#[test]
fn a_limit_of_greens_cuts_a_request() {
    green("cut request", || {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let begun = Instant::now();
        let cut = green::timeout(LATE, || minreq::get(url).send().map(drop));
        assert!(cut.is_err());
        assert!(begun.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn tiny_http_serves_from_green_threads() {
    green("tiny_http", || {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let url: &'static str = format!("http://{}", server.server_addr()).leak();
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let server = server.clone();
                spawn_local(move || {
                    while let Ok(request) = server.recv() {
                        std::thread::sleep(LATE);
                        let answer = tiny_http::Response::from_string(request.url());
                        request.respond(answer).unwrap();
                    }
                })
            })
            .collect();
        at_once(move |n| {
            let answer = minreq::get(format!("{url}/{n}")).send().unwrap();
            assert_eq!(answer.as_str().unwrap(), format!("/{n}"));
        });
        for worker in &workers {
            server.unblock();
            let _ = worker;
        }
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn commands_of_redis_wait_at_once() {
    green("redis", || {
        let arguments = ["--save", "", "--bind", "127.0.0.1", "--port"];
        let Some((_server, port)) = server("redis-server", &arguments) else {
            return;
        };
        let connect = move || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
            client.get_connection().unwrap()
        };
        // What each waits for is sent by another on the same hub.
        at_once(move |n| {
            let waiter = spawn_local(move || {
                let query = redis::cmd("BLPOP")
                    .arg(format!("list {n}"))
                    .arg(0)
                    .to_owned();
                query.query::<(String, usize)>(&mut connect()).unwrap().1
            });
            std::thread::sleep(LATE);
            redis::cmd("RPUSH")
                .arg(format!("list {n}"))
                .arg(n)
                .exec(&mut connect())
                .unwrap();
            assert_eq!(waiter.join().unwrap(), n);
        });
    });
}

#[test]
fn memcache_by_a_pool_that_is_shared() {
    green("memcache", || {
        let Some((_server, port)) = server("memcached", &["-u", "nobody", "-l", "127.0.0.1", "-p"])
        else {
            return;
        };
        // r2d2 inside: its condition variables, and its OS threads.
        let client =
            memcache::Client::with_pool_size(format!("memcache://127.0.0.1:{port}"), 20).unwrap();
        let client: &'static memcache::Client = Box::leak(Box::new(client));
        at_once(move |n| {
            client.set(&format!("key{n}"), n as u64, 0).unwrap();
            std::thread::sleep(LATE);
            assert_eq!(
                client.get::<u64>(&format!("key{n}")).unwrap(),
                Some(n as u64)
            );
        });
    });
}

#[test]
fn connections_of_an_r2d2_pool_wait_at_once() {
    struct Slow;
    impl r2d2::ManageConnection for Slow {
        type Connection = ();
        type Error = std::io::Error;
        fn connect(&self) -> std::io::Result<()> {
            std::thread::sleep(LATE / 5);
            Ok(())
        }
        fn is_valid(&self, _: &mut ()) -> std::io::Result<()> {
            Ok(())
        }
        fn has_broken(&self, _: &mut ()) -> bool {
            false
        }
    }
    green("r2d2", || {
        let pool: &'static _ = Box::leak(Box::new(
            r2d2::Pool::builder().max_size(20).build(Slow).unwrap(),
        ));
        at_once(|_| {
            let held = pool.get().unwrap();
            std::thread::sleep(LATE / 5);
            drop(held);
        });
    });
}

/// A C library that is loaded when the program runs already.
fn library(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a null byte; the library's own initialisation runs.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        println!("skipped: no {}", name.to_string_lossy());
    }
    (!library.is_null()).then_some(library)
}

/// # Safety
///
/// `F` is a function pointer of the symbol's type.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> F {
    // SAFETY: as the caller promises.
    unsafe {
        let at = libc::dlsym(library, name.as_ptr());
        assert!(!at.is_null(), "{name:?}");
        assert_eq!(size_of::<F>(), size_of_val(&at));
        std::mem::transmute_copy(&at)
    }
}

#[test]
fn transfers_of_libcurl_wait_at_once() {
    type Set = unsafe extern "C" fn(*mut c_void, c_int, ...) -> c_int;
    #[derive(Clone, Copy)]
    struct Curl {
        init: unsafe extern "C" fn() -> *mut c_void,
        set: Set,
        perform: unsafe extern "C" fn(*mut c_void) -> c_int,
        cleanup: unsafe extern "C" fn(*mut c_void),
    }
    const URL: c_int = 10_002;
    const WRITE_FUNCTION: c_int = 20_011;
    const WRITE_DATA: c_int = 10_001;
    const NO_SIGNAL: c_int = 99;
    extern "C" fn write(data: *const u8, size: usize, count: usize, to: *mut c_void) -> usize {
        // SAFETY: libcurl gives what it has received, and what WRITE_DATA was set to.
        unsafe { (*to.cast::<Vec<u8>>()).extend(std::slice::from_raw_parts(data, size * count)) };
        size * count
    }
    green("libcurl", || {
        let Some(library) = library(c"libcurl.so.4").or_else(|| library(c"libcurl-gnutls.so.4"))
        else {
            return;
        };
        // SAFETY: the types of curl.h.
        let curl = unsafe {
            Curl {
                init: symbol(library, c"curl_easy_init"),
                set: symbol(library, c"curl_easy_setopt"),
                perform: symbol(library, c"curl_easy_perform"),
                cleanup: symbol(library, c"curl_easy_cleanup"),
            }
        };
        let server: &'static str = late_server().leak();
        at_once(move |n| {
            let mut got = Vec::<u8>::new();
            let url = CString::new(format!("{server}/{n}")).unwrap();
            // SAFETY: a handle of its own; what it is given lives across the calls.
            unsafe {
                let handle = (curl.init)();
                (curl.set)(handle, URL, url.as_ptr());
                (curl.set)(handle, NO_SIGNAL, 1 as std::ffi::c_long);
                (curl.set)(handle, WRITE_FUNCTION, write as *const c_void);
                (curl.set)(handle, WRITE_DATA, (&raw mut got).cast::<c_void>());
                assert_eq!((curl.perform)(handle), 0);
                (curl.cleanup)(handle);
            }
            assert_eq!(String::from_utf8(got).unwrap(), format!("/{n}"));
        });
    });
}

#[test]
fn queries_of_libpq_wait_at_once() {
    #[derive(Clone, Copy)]
    struct Pq {
        connect: unsafe extern "C" fn(*const c_char) -> *mut c_void,
        error: unsafe extern "C" fn(*mut c_void) -> *const c_char,
        exec: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void,
        value: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> *const c_char,
        clear: unsafe extern "C" fn(*mut c_void),
        finish: unsafe extern "C" fn(*mut c_void),
    }
    green("libpq", || {
        let Some(library) = library(c"libpq.so.5") else {
            return;
        };
        let Some(database) = Database::start() else {
            return;
        };
        // SAFETY: the types of libpq-fe.h.
        let pq = unsafe {
            Pq {
                connect: symbol(library, c"PQconnectdb"),
                error: symbol(library, c"PQerrorMessage"),
                exec: symbol(library, c"PQexec"),
                value: symbol(library, c"PQgetvalue"),
                clear: symbol(library, c"PQclear"),
                finish: symbol(library, c"PQfinish"),
            }
        };
        let to: &'static CStr = Box::leak(database.address().into_boxed_c_str());
        let begun = Instant::now();
        let all: Vec<_> = (0..20)
            .map(|n| {
                spawn_local(move || {
                    let query = CString::new(format!("SELECT {n} FROM pg_sleep(1)")).unwrap();
                    // SAFETY: a connection of its own; what it is given lives across the calls.
                    unsafe {
                        let connection = (pq.connect)(to.as_ptr());
                        let answer = (pq.exec)(connection, query.as_ptr());
                        let value = CStr::from_ptr((pq.value)(answer, 0, 0)).to_str().unwrap();
                        let error = CStr::from_ptr((pq.error)(connection))
                            .to_string_lossy()
                            .into_owned();
                        assert_eq!(value, n.to_string(), "{error}");
                        (pq.clear)(answer);
                        (pq.finish)(connection);
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        let took = begun.elapsed();
        println!("20 at once took {took:?}");
        assert!(
            took < Duration::from_secs(10),
            "one after the other they take twenty: {took:?}"
        );
    });
}

/// A PostgreSQL server in a folder of its own, reached by a socket there.
struct Database {
    folder: tempfile::TempDir,
    programs: std::path::PathBuf,
}

impl Database {
    fn start() -> Option<Database> {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten();
        let programs = versions.map(|version| version.path().join("bin"));
        let Some(programs) = programs.into_iter().find(|bin| bin.join("initdb").exists()) else {
            println!("skipped: no PostgreSQL server");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("green-pq")
            .tempdir_in("/tmp")
            .unwrap();
        let database = Database { folder, programs };
        // The server does not run as root.
        let mine = database.folder.path().display().to_string();
        let _ = Command::new("chown")
            .args(["nobody", &mine])
            .stderr(Stdio::null())
            .status();
        let data = database.folder.path().join("data").display().to_string();
        let made = database.run(
            "initdb",
            &["-A", "trust", "-N", "-U", "nobody", "-D", &data],
        );
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={mine} -c fsync=off");
        let log = format!("{mine}/log");
        if !made
            || !database.run(
                "pg_ctl",
                &["-w", "-D", &data, "-l", &log, "-o", &options, "start"],
            )
        {
            println!("skipped: no PostgreSQL server could be started");
            return None;
        }
        Some(database)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.programs.join(program).display().to_string();
        // SAFETY: no pointer is passed.
        let mut command = match unsafe { libc::geteuid() } {
            0 => {
                let mut command = Command::new("setpriv");
                command.args([
                    "--reuid=nobody",
                    "--regid=nogroup",
                    "--clear-groups",
                    &program,
                ]);
                command
            }
            _ => Command::new(program),
        };
        command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn address(&self) -> CString {
        let folder = self.folder.path().display();
        CString::new(format!("host={folder} user=nobody dbname=postgres")).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let data = self.folder.path().join("data").display().to_string();
        self.run("pg_ctl", &["-m", "immediate", "-D", &data, "stop"]);
    }
}
