//! Limits of time and number, stopping, and the command line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

#[test]
fn a_request_that_drips_in_is_cut_at_its_limit() {
    let server = Server::start(&["--limit", "0.6"]);
    let body = "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n";
    for (start, status) in [("GET /", None), (body, Some(408))] {
        let mut client = server.connect();
        let begun = Instant::now();
        client.send(start);
        // Bytes that keep coming do not move the limit.
        let mut writer = client.reader.get_ref().try_clone().unwrap();
        let (answered, enough) = (Arc::new(AtomicBool::new(false)), PATIENCE);
        let over = answered.clone();
        let drip = std::thread::spawn(move || {
            while !over.load(Relaxed) && writer.write_all(b"x").is_ok() && begun.elapsed() < enough
            {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        match status {
            // Half a head deserves no answer.
            None => assert!(matches!(client.reader.fill_buf(), Ok([]) | Err(_))),
            Some(status) => drop(client.answer().expect(status)),
        }
        // Later than that, the dripping ends by itself.
        let took = begun.elapsed();
        assert!(
            (Duration::from_millis(600)..PATIENCE).contains(&took),
            "{took:?}"
        );
        answered.store(true, Relaxed);
        drip.join().unwrap();
    }
}

#[test]
fn an_idle_connection_is_closed_at_its_limit() {
    let server = Server::start(&["--limit", "2"]);
    let mut client = server.connect();
    let mut silent = server.connect();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
    client.answer().expect(200);
    assert!(client.is_at_end());
    assert!(silent.is_at_end());
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let server = Server::start(&["--limit", "2", "--connections", "1"]);
    let mut deaf = server.connect();
    deaf.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n".repeat(20));
    // There is room for one connection: this one is served when the other has been given up.
    server.get("/hello.txt").expect(200);
}

#[test]
fn more_connections_than_there_is_room_for_wait_their_turn() {
    let server = Server::start(&["--connections", "2"]);
    let mut held: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut held {
        client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
        client.answer().expect(200);
    }
    let mut third = server.connect();
    third.send("GET /page.html HTTP/1.1\r\nHost: t\r\n\r\n");
    third
        .reader
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(third.reader.fill_buf().is_err(), "served beyond the limit");
    drop(held.pop());
    third
        .reader
        .get_ref()
        .set_read_timeout(Some(PATIENCE))
        .unwrap();
    third.answer().expect(200);
}

#[test]
fn stopping_ends_idle_connections_and_answers_the_others() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::start(&[]);
        let mut idle = server.connect();
        idle.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
        idle.answer().expect(200);
        let mut busy = server.connect();
        busy.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n");
        busy.head().expect(200);
        server.signal(signal);
        assert!(idle.is_at_end());
        let mut body = vec![0; BIG_BYTES];
        busy.reader.read_exact(&mut body).unwrap();
        assert!(body == fs::read(server.file("big.bin")).unwrap());
        drop(busy);
        assert_eq!(server.exit_code(), 0);
        assert!(TcpStream::connect(&server.address).is_err());
    }
}

#[test]
fn stopping_lets_a_request_come_in_to_its_end() {
    // No sign comes back that the server has seen half a request, so it gets some time to see it;
    // more time, should the machine be so busy that it was not enough.
    for head_start_ms in [50, 500, 5000] {
        let mut server = Server::start(&[]);
        let mut asking = server.connect();
        asking.send("GET /hello.txt HT");
        std::thread::sleep(Duration::from_millis(head_start_ms));
        server.signal(Signal::TERM);
        while TcpStream::connect(&server.address).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A server that had not seen it in time has closed: then the rest may be refused.
        let rest = b"TP/1.1\r\nHost: t\r\n\r\n";
        let sent = asking.reader.get_mut().write_all(rest);
        if sent.is_ok() && matches!(asking.reader.fill_buf(), Ok(answer) if !answer.is_empty()) {
            assert_eq!(asking.answer().expect(200).header("connection"), "close");
            drop(asking);
            assert_eq!(server.exit_code(), 0);
            return;
        }
    }
    panic!("a request that was half in was never answered");
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let mut server = Server::start(&["--grace", "0.3"]);
    let mut client = server.connect();
    client.send("GET /hello.txt HT");
    server.get("/hello.txt").expect(200);
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["--listen"], "--listen"),
        (&["--limit", "-1"], "-1"),
        (&["--connections", "many"], "many"),
        (&["--listen", "not an address"], "not an address"),
        (&["/no/such/directory"], "/no/such/directory"),
    ] {
        let output = Command::new(program()).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(word), "{message}");
    }
    let help = Command::new(program()).arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"Usage: httpd"));
}

/// Each costs its future's memory and a stack that was used once, and no time.
#[test]
fn ten_thousand_idle_connections_disturb_nobody() {
    let (all, more) = (10_000, 500);
    let room = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if room < all + more {
        println!("skipped: only {room} descriptors are allowed here");
        return;
    }
    let limit = Rlimit {
        current: Some(room),
        maximum: Some(room),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let most = (all + more).to_string();
    let server = Server::start(&["--connections", &most, "--limit", "300"]);
    let memory = || test_support::running::memory(server.child.id());
    server.get("/hello.txt").expect(200);
    let before = memory();
    let mut idle: Vec<Client> = (0..all)
        .map(|_| {
            let mut client = server.connect();
            client.send("GET /page.html HTTP/1.1\r\nHost: t\r\n\r\n");
            client
        })
        .collect();
    for client in &mut idle {
        client.answer().expect(200);
    }
    let each = (memory() - before) * 1024 / all;
    // Without optimisation frames are large.
    assert!(each < 128 * 1024, "{each} bytes a connection");
    let begun = Instant::now();
    for _ in 0..20 {
        server.get("/hello.txt").expect(200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    for client in idle.iter_mut().step_by(100) {
        client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(client.answer().expect(200).text(), "hello, world\n");
    }
}
