//! Accepting when no descriptor is free: alone in its process, whose limit it
//! lowers.

#![expect(unsafe_code, reason = "calls setrlimit")]

use std::fs::File;
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream};
use test_support::net::*;

#[test]
fn accept_backs_off_when_descriptors_run_out_and_goes_on_when_they_are_back() {
    // What opens descriptors of its own (hubs) does so before the limit falls.
    both_ways(|_| {
        let (client, server) = tcp_pair();
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_timed_out(client.recv(&mut [0; 1]));
        drop(server);
    });
    // Room for what the test itself opens, however many hubs there are.
    let taken = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let limit = libc::rlimit {
        rlim_cur: taken + 32,
        rlim_max: taken + 32,
    };
    // SAFETY: the structure is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0);

    both_ways(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        let start = Instant::now();
        for _ in 0..5 {
            assert_raw(listener.accept(), libc::EMFILE);
        }
        // 5 + 10 + 20 + 40 + 80 ms.
        assert!(
            start.elapsed() >= Duration::from_millis(155),
            "{:?}",
            start.elapsed()
        );

        // In non-blocking mode there is no pause: the next would last 160 ms, and more and more each time, so one
        // call of many that is back sooner tells.
        listener.set_nonblocking(true).unwrap();
        let no_pause = (0..20).any(|_| {
            let start = Instant::now();
            assert_raw(listener.accept(), libc::EMFILE);
            start.elapsed() < Duration::from_millis(160)
        });
        assert!(no_pause);
        listener.set_nonblocking(false).unwrap();

        drop(hoard);
        listener.accept().unwrap();
    });
}
