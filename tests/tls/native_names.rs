//! `green::native_tls` against a peer that keeps a call busy.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use green::native_tls::{Certificate, TlsConnector};
use green::net::TcpStream;

use super::*;
use test_support::certs::{AUTHORITY, peer_context};
use test_support::ends::roles::V13;

#[test]
fn a_limit_passes_in_a_flood_of_records_that_carry_nothing() {
    green_test("flood", || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let flooding = std::thread::spawn(move || {
            let context = peer_context(true, V13, Peers::Easy);
            let mut peer = Peer::new(far, Some(&context), true, "");
            assert!(peer.handshake());
            peer.tcp()
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            while !told.load(Ordering::Relaxed) {
                peer.key_update();
            }
            peer
        });
        let mut tls = TlsConnector::builder()
            .add_root_certificate(Certificate::from_pem(AUTHORITY.pem.as_bytes()).unwrap())
            .build()
            .unwrap()
            .connect("localhost", tcp)
            .unwrap();
        let limit = Duration::from_millis(200);
        tls.get_ref().set_read_timeout(Some(limit)).unwrap();
        let began = Instant::now();
        let error = tls.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(began.elapsed() < Duration::from_secs(10));
        stop.store(true, Ordering::Relaxed);
        greenhub::blocking(|| flooding.join().unwrap());
    });
}
