//! Servers: what they accept, how they stop, and Unix sockets.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, Protocol, ServerOptions, Transport, connect_accepted_socket,
    create_connection, create_connection_over, create_server, create_server_over,
    create_unix_connection, create_unix_server,
};
use green::channel;
use green::thread;

use crate::transports::recorder::{Call, PATIENCE, recorder, recorder_that};
use test_support::bounded;

/// Where no other test listens than the one that takes it, so that a port that was given back is nobody else's at once.
const ALONE: [&str; 3] = ["127.0.7.1:0", "127.0.7.2:0", "127.0.7.3:0"];

/// Sends back what it gets.
#[derive(Default)]
struct Echo(Option<Transport>);

impl Protocol for Echo {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        self.0 = Some(transport);
        Ok(())
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.as_ref().unwrap().write(data)
    }
}

fn patient(peer: TcpStream) -> TcpStream {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

fn echoes(mut peer: impl Read + Write) {
    peer.write_all(b"echo").unwrap();
    let mut echo = [0; 4];
    peer.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"echo");
}

#[test]
fn a_server_serves_many_and_outlives_its_close() {
    bounded("server", PATIENCE, || {
        let server = create_server(Echo::default, ALONE[0], ServerOptions::new()).unwrap();
        assert!(server.is_serving());
        assert_eq!(server.sockets().len(), 1);
        let address = server.local_addr().unwrap();
        let mut peers: Vec<TcpStream> = (0..50)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer.write_all(&[number as u8; 100]).unwrap();
            let mut echo = [0; 100];
            peer.read_exact(&mut echo).unwrap();
            assert_eq!(echo, [number as u8; 100]);
        }
        server.close();
        assert!(!server.is_serving() && server.sockets().is_empty());
        assert!(TcpStream::connect(address).is_err());
        for peer in &mut peers {
            peer.write_all(b"more").unwrap();
            peer.read_exact(&mut [0; 4]).unwrap();
        }
        drop(peers);
        server.wait_closed();
    });
}

#[test]
fn a_server_ends_its_clients_in_order_or_at_once() {
    bounded("close_clients", PATIENCE, || {
        for abort in [false, true] {
            let server = create_server(Echo::default, "127.0.0.1:0", ServerOptions::new()).unwrap();
            let address = server.local_addr().unwrap();
            let mut peers = [(); 3].map(|()| patient(TcpStream::connect(address).unwrap()));
            peers.iter().for_each(echoes);
            server.close();
            match abort {
                true => server.abort_clients(),
                false => server.close_clients(),
            }
            server.wait_closed();
            for peer in &mut peers {
                assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
            }
        }
    });
}

#[test]
fn a_dropped_server_closes_and_its_connections_go_on() {
    bounded("drop", PATIENCE, || {
        let server = create_server(Echo::default, ALONE[1], ServerOptions::new()).unwrap();
        let address = server.local_addr().unwrap();
        let peer = patient(TcpStream::connect(address).unwrap());
        echoes(&peer);
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        echoes(&peer);
    });
}

#[test]
fn serve_forever_ends_with_close_and_with_its_caller() {
    bounded("serve_forever", PATIENCE, || {
        let options = ServerOptions::new().start_serving(false).backlog(5);
        let server = create_server(Echo::default, "127.0.0.1:0", options).unwrap();
        let address = server.local_addr().unwrap();
        assert!(!server.is_serving());
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever());
            while !server.is_serving() {
                thread::yield_now();
            }
            echoes(patient(TcpStream::connect(address).unwrap()));
            server.close();
            serving.join().unwrap().unwrap();
        });
        let closed = server.start_serving().unwrap_err();
        assert!(green::ClosedLocally::caused(&closed));

        let server = create_server(Echo::default, "127.0.0.1:0", ServerOptions::new()).unwrap();
        let elapsed = green::run(move || {
            let elapsed = green::timeout(Duration::from_millis(5), || server.serve_forever());
            assert!(!server.is_serving());
            elapsed.is_err()
        });
        assert!(elapsed);
    });
}

#[test]
fn a_factory_s_panic_ends_one_connection() {
    bounded("factory", PATIENCE, || {
        let first = std::sync::atomic::AtomicBool::new(true);
        let factory = move || {
            assert!(
                !first.swap(false, std::sync::atomic::Ordering::SeqCst),
                "on purpose"
            );
            Echo::default()
        };
        let server = create_server(factory, "127.0.0.1:0", ServerOptions::new()).unwrap();
        let address = server.local_addr().unwrap();
        let mut peer = patient(TcpStream::connect(address).unwrap());
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        echoes(patient(TcpStream::connect(address).unwrap()));
    });
}

#[test]
fn an_address_in_use_is_refused_unless_the_port_is_shared() {
    bounded("reuse", PATIENCE, || {
        let shared = ServerOptions::new().reuse_port(true);
        let one = create_server(Echo::default, "127.0.0.1:0", shared.clone()).unwrap();
        let address = one.local_addr().unwrap();
        let refused = create_server(Echo::default, address, ServerOptions::new()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        let two = create_server(Echo::default, address, shared).unwrap();
        for _ in 0..20 {
            echoes(patient(TcpStream::connect(address).unwrap()));
        }
        drop((one, two));
    });
}

#[test]
fn several_addresses_are_served_at_once() {
    bounded("addresses", PATIENCE, || {
        let both = [
            "127.0.0.1:0".parse().unwrap(),
            "127.0.0.2:0".parse().unwrap(),
        ];
        let server = create_server(Echo::default, &both[..], ServerOptions::new()).unwrap();
        let sockets = server.sockets();
        assert_eq!(sockets.len(), 2);
        for socket in sockets {
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            echoes(patient(TcpStream::connect(address).unwrap()));
        }
        let none: &[std::net::SocketAddr] = &[];
        let refused = create_server(Echo::default, none, ServerOptions::new()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn sockets_of_one_s_own_may_be_given() {
    bounded("sock", PATIENCE, || {
        let listener = green::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = create_server_over(Echo::default, listener, ServerOptions::new()).unwrap();
        let (ours, record) = recorder();
        let stream = green::net::TcpStream::connect(address).unwrap();
        // Modes of its former owner's are not the transport's.
        stream.set_nonblocking(true).unwrap();
        let (transport, _) =
            create_connection_over(|| ours, stream, ConnectionOptions::new()).unwrap();
        transport.write(b"hello").unwrap();
        assert_eq!(record.next(), Call::Made);
        assert_eq!(record.next(), Call::Data(b"hello".to_vec()));
        transport.close();
        assert_eq!(record.verdict(), None);
        drop(server);

        let listener = green::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = patient(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (accepted, _) = listener.accept().unwrap();
        connect_accepted_socket(Echo::default, accepted, ServerOptions::new()).unwrap();
        echoes(peer);
    });
}

#[test]
fn a_connection_comes_from_the_address_that_was_asked_for() {
    bounded("local_addr", PATIENCE, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = ConnectionOptions::new().local_addr("127.0.0.3:0".parse().unwrap());
        let address = listener.local_addr().unwrap();
        let (transport, _) = create_connection(Echo::default, address, options).unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), "127.0.0.3");
        let extra = transport.get_extra_info();
        assert_eq!(extra.sockname().unwrap().as_socket(), Some(from));
        assert_eq!(extra.peername().unwrap().as_socket(), Some(address));
        assert!(extra.cipher().is_none() && extra.sslcontext().is_none());
    });
}

#[test]
fn nobody_there_is_an_error_and_no_call() {
    bounded("refused", PATIENCE, || {
        let listener = TcpListener::bind(ALONE[2]).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (protocol, record) = recorder();
        let refused = create_connection(|| protocol, address, ConnectionOptions::new());
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert_eq!(record.so_far(), []);
    });
}

/// Whether the protocol was told of the connection before its caller ran out of time, after `limit`.
fn runs_out_of_time(limit: Duration) -> bool {
    bounded("caller's limit", PATIENCE, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (elapses, waits) = channel::bounded::<()>(0);
        let (protocol, record) = recorder_that(move |call, _| {
            if *call == Call::Made {
                let _ = waits.recv();
            }
            Ok(false)
        });
        let elapsed = green::run(move || {
            let options = ConnectionOptions::new();
            let connect = || create_connection(|| protocol, address, options).map(drop);
            green::timeout(limit, connect).is_err()
        });
        assert!(elapsed);
        let told = record.so_far() == [Call::Made];
        drop(elapses);
        if told {
            assert_eq!(record.all(), [Call::Made, Call::Lost(None)]);
            let (mut peer, _) = listener.accept().unwrap();
            assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        }
        told
    })
}

#[test]
fn a_caller_that_runs_out_of_time_leaves_no_connection() {
    // As slow as the machine may be.
    let mut limits = (0..12).map(|doubled| Duration::from_millis(5 << doubled));
    assert!(limits.any(runs_out_of_time));
}

#[test]
fn unix_sockets_are_served_and_their_files_looked_after() {
    bounded("unix", PATIENCE, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        // Left behind by somebody who is gone.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let server = create_unix_server(Echo::default, &path, ServerOptions::new()).unwrap();
        echoes(UnixStream::connect(&path).unwrap());
        let (ours, record) = recorder();
        let (transport, _) =
            create_unix_connection(|| ours, &path, ConnectionOptions::new()).unwrap();
        let extra = transport.get_extra_info();
        assert_eq!(
            extra.peername().unwrap().as_pathname(),
            Some(path.as_path())
        );
        transport.write(b"hello").unwrap();
        transport.write_eof().unwrap();
        let data = Call::Data(b"hello".to_vec());
        assert_eq!(
            record.all(),
            [Call::Made, data, Call::Eof, Call::Lost(None)]
        );
        server.close();
        assert!(!path.exists());

        let kept = ServerOptions::new().cleanup_socket(false);
        drop(create_unix_server(Echo::default, &path, kept).unwrap());
        assert!(path.exists());

        // Another server has taken the place: the file is its.
        let first = create_unix_server(Echo::default, &path, ServerOptions::new()).unwrap();
        let _second = create_unix_server(Echo::default, &path, ServerOptions::new()).unwrap();
        drop(first);
        echoes(UnixStream::connect(&path).unwrap());

        std::fs::write(folder.path().join("file"), "precious").unwrap();
        let file = folder.path().join("file");
        let refused = create_unix_server(Echo::default, &file, ServerOptions::new());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    });
}
