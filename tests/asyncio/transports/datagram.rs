//! Datagram endpoints, with std's sockets as peers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use green::asyncio::{
    DatagramOptions, DatagramProtocol, DatagramTransport, Future, create_datagram_endpoint,
    create_datagram_endpoint_over,
};
use green::channel::{Receiver, Sender, unbounded};
use green::greenio::SockAddr;
use parking_lot::Mutex;

use crate::transports::recorder::PATIENCE;
use test_support::bounded;

#[derive(Debug, PartialEq)]
enum Call {
    Made,
    Data(Vec<u8>, Option<SocketAddr>),
    Error(io::ErrorKind),
    Lost(Option<io::ErrorKind>),
    Paused,
    Resumed,
}

type Act = Box<dyn FnMut(&Call, &DatagramTransport) -> io::Result<()> + Send>;

struct Recorder {
    transport: Option<DatagramTransport>,
    calls: Sender<Call>,
    act: Act,
}

fn recorder() -> (Recorder, Receiver<Call>) {
    recorder_that(|_, _| Ok(()))
}

fn recorder_that(
    act: impl FnMut(&Call, &DatagramTransport) -> io::Result<()> + Send + 'static,
) -> (Recorder, Receiver<Call>) {
    let (calls, receiver) = unbounded();
    let recorder = Recorder {
        transport: None,
        calls,
        act: Box::new(act),
    };
    (recorder, receiver)
}

impl Recorder {
    fn note(&mut self, call: Call) -> io::Result<()> {
        let done = (self.act)(&call, self.transport.as_ref().expect("connection_made"));
        self.calls.send(call).unwrap();
        done
    }
}

impl DatagramProtocol for Recorder {
    fn connection_made(&mut self, transport: DatagramTransport) -> io::Result<()> {
        assert!(self.transport.replace(transport).is_none(), "made twice");
        self.note(Call::Made)
    }

    fn datagram_received(&mut self, data: &[u8], from: &SockAddr) -> io::Result<()> {
        self.note(Call::Data(data.to_vec(), from.as_socket()))
    }

    fn error_received(&mut self, error: io::Error) {
        let _ = self.note(Call::Error(error.kind()));
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = self.note(Call::Lost(error.map(|error| error.kind())));
    }

    fn pause_writing(&mut self) {
        let _ = self.note(Call::Paused);
    }

    fn resume_writing(&mut self) {
        let _ = self.note(Call::Resumed);
    }
}

fn next(calls: &Receiver<Call>) -> Call {
    calls.recv_timeout(PATIENCE).expect("another call")
}

fn peer() -> (UdpSocket, SocketAddr) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

fn here() -> DatagramOptions {
    DatagramOptions::new().local_addr((Ipv4Addr::LOCALHOST, 0).into())
}

fn address_of(transport: &DatagramTransport) -> SocketAddr {
    transport
        .get_extra_info()
        .sockname()
        .unwrap()
        .as_socket()
        .unwrap()
}

#[test]
fn datagrams_come_and_go_with_their_addresses() {
    bounded("local", PATIENCE, || {
        let (protocol, calls) = recorder_that(|call, transport| match call {
            Call::Data(data, from) => transport.sendto(data, from.unwrap()),
            _ => Ok(()),
        });
        let (transport, handle) = create_datagram_endpoint(|| protocol, here()).unwrap();
        assert_eq!(next(&calls), Call::Made);
        let (peer, address) = peer();
        // An empty one is one too.
        for data in [&b"hello"[..], b"", &[7; 60_000]] {
            peer.send_to(data, address_of(&transport)).unwrap();
            assert_eq!(next(&calls), Call::Data(data.to_vec(), Some(address)));
            let mut echo = vec![0; 65_536];
            let count = peer.recv(&mut echo).unwrap();
            assert_eq!(&echo[..count], data);
        }
        assert!(transport.get_protocol::<Recorder>().is_some());
        handle.with(|protocol| assert!(protocol.transport.is_some()));
        transport.close();
        transport.close();
        assert_eq!(next(&calls), Call::Lost(None));
        let refused = transport.sendto(b"x", address).unwrap_err();
        assert!(green::ClosedLocally::caused(&refused));
        assert!(transport.get_protocol::<Recorder>().is_none());
    });
}

#[test]
fn a_remote_address_is_the_only_one() {
    bounded("remote", PATIENCE, || {
        let (peer, address) = peer();
        let (stranger, elsewhere) = self::peer();
        let (protocol, calls) = recorder();
        let options = here().remote_addr(address);
        let (transport, _) = create_datagram_endpoint(|| protocol, options).unwrap();
        let ours = address_of(&transport);
        transport.send(b"one").unwrap();
        transport.sendto(b"two", address).unwrap();
        let refused = transport.sendto(b"three", elsewhere).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        let mut heard = [0; 16];
        assert_eq!(peer.recv_from(&mut heard).unwrap(), (3, ours));
        assert_eq!(peer.recv_from(&mut heard).unwrap(), (3, ours));
        stranger.send_to(b"not heard", ours).unwrap();
        peer.send_to(b"heard", ours).unwrap();
        assert_eq!(next(&calls), Call::Made);
        assert_eq!(next(&calls), Call::Data(b"heard".to_vec(), Some(address)));
    });
}

#[test]
fn an_error_is_told_and_the_endpoint_goes_on() {
    bounded("errors", PATIENCE, || {
        let (peer, address) = peer();
        let (protocol, calls) = recorder();
        let options = here().remote_addr(address);
        let (transport, _) = create_datagram_endpoint(|| protocol, options).unwrap();
        assert_eq!(next(&calls), Call::Made);
        // Longer than any datagram of UDP.
        transport.send(&[0; 70_000]).unwrap();
        assert!(matches!(next(&calls), Call::Error(_)));
        drop(peer);
        transport.send(b"nobody there").unwrap();
        assert_eq!(next(&calls), Call::Error(io::ErrorKind::ConnectionRefused));
        let peer = UdpSocket::bind(address).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        transport.send(b"again").unwrap();
        assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 5);
        transport.abort();
        assert_eq!(next(&calls), Call::Lost(None));
    });
}

#[test]
fn what_the_protocol_does_wrong_ends_the_endpoint() {
    bounded("protocol's error", PATIENCE, || {
        for panics in [false, true] {
            let (protocol, calls) = recorder_that(move |call, _| match call {
                Call::Data(..) if panics => panic!("on purpose"),
                Call::Data(..) => Err(io::ErrorKind::InvalidData.into()),
                _ => Ok(()),
            });
            let (transport, _) = create_datagram_endpoint(|| protocol, here()).unwrap();
            assert_eq!(next(&calls), Call::Made);
            peer().0.send_to(b"x", address_of(&transport)).unwrap();
            let kind = if panics {
                io::ErrorKind::Other
            } else {
                assert!(matches!(next(&calls), Call::Data(..)));
                io::ErrorKind::InvalidData
            };
            assert_eq!(next(&calls), Call::Lost(Some(kind)));
        }
    });
}

#[test]
fn a_killed_endpoint_tells_its_protocol() {
    bounded("kill", PATIENCE, || {
        let reader = Future::new();
        let theirs = reader.clone();
        let (protocol, calls) = recorder_that(move |call, _| {
            if *call == Call::Made {
                theirs.set_result(green::thread::current().id()).unwrap();
            }
            Ok(())
        });
        create_datagram_endpoint(|| protocol, here()).unwrap();
        let id = reader.wait(None).unwrap().as_u64().get();
        assert!(green::debug::kill(id).unwrap());
        assert_eq!(next(&calls), Call::Made);
        assert_eq!(next(&calls), Call::Lost(Some(io::ErrorKind::Other)));
    });
}

#[test]
fn unix_datagrams_wait_for_a_slow_receiver_and_close_sends_them_first() {
    bounded("flow", PATIENCE, || {
        const COUNT: usize = 300;
        const SIZE: usize = 8 * 1024;
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_read_timeout(Some(PATIENCE)).unwrap();
        let (protocol, calls) = recorder();
        let ours = green::os::unix::net::UnixDatagram::from(ours);
        let (transport, _) = create_datagram_endpoint_over(|| protocol, ours).unwrap();
        transport
            .set_write_buffer_limits(Some(4 * SIZE), None)
            .unwrap();
        assert_eq!(transport.get_write_buffer_limits(), (SIZE, 4 * SIZE));
        for number in 0..COUNT {
            transport.send(&vec![number as u8; SIZE]).unwrap();
        }
        assert!(transport.get_write_buffer_size() > 4 * SIZE);
        assert_eq!((next(&calls), next(&calls)), (Call::Made, Call::Paused));
        transport.close();
        let mut heard = vec![0; 2 * SIZE];
        for number in 0..COUNT {
            assert_eq!(theirs.recv(&mut heard).unwrap(), SIZE);
            assert_eq!(heard[0], number as u8);
        }
        assert_eq!(
            (next(&calls), next(&calls)),
            (Call::Resumed, Call::Lost(None))
        );
    });
}

#[test]
fn a_multicast_group_hears_what_is_sent_to_it() {
    bounded("multicast", PATIENCE, || {
        let group = Ipv4Addr::new(239, 255, 7, 42);
        let listen = |port| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let done = Future::new();
            let (log, theirs) = (heard.clone(), done.clone());
            let (protocol, _calls) = recorder_that(move |call, _| {
                if let Call::Data(data, _) = call {
                    log.lock().push(data.clone());
                    if log.lock().len() == 3 {
                        theirs.set_result(log.lock().clone()).unwrap();
                    }
                }
                Ok(())
            });
            // The channel's other end must live as long as the protocol.
            let options = DatagramOptions::new()
                .local_addr((group, port).into())
                .reuse_address(true)
                .join_multicast_v4(group, Ipv4Addr::LOCALHOST);
            let (transport, _) = create_datagram_endpoint(|| protocol, options).unwrap();
            (transport, done, _calls)
        };
        let one = listen(0);
        let port = address_of(&one.0).port();
        let two = listen(port);
        let (protocol, _calls) = recorder();
        let options = here()
            .remote_addr((group, port).into())
            .allow_broadcast(true);
        let (sender, _) = create_datagram_endpoint(|| protocol, options).unwrap();
        let socket = sender.get_extra_info().socket();
        socket
            .set_multicast_interface_v4(&Ipv4Addr::LOCALHOST)
            .unwrap();
        assert!(socket.broadcast().unwrap());
        for word in ["one", "two", "three"] {
            sender.send(word.as_bytes()).unwrap();
        }
        for (_, done, _) in [&one, &two] {
            assert_eq!(
                done.wait(Some(PATIENCE)).unwrap(),
                [&b"one"[..], b"two", b"three"]
            );
        }
    });
}

#[test]
fn another_protocol_takes_an_endpoint_over() {
    bounded("set_protocol", PATIENCE, || {
        let (first, told) = recorder();
        let (second, heard) = recorder();
        let (transport, _) = create_datagram_endpoint(|| first, here()).unwrap();
        assert_eq!(next(&told), Call::Made);
        // The second has not been told of its transport, and asks for it.
        let second = transport.set_protocol(second).unwrap();
        second.with(|second| second.transport = Some(transport.clone()));
        assert!(transport.get_protocol::<Recorder>().is_some());
        let (peer, address) = peer();
        peer.send_to(b"x", address_of(&transport)).unwrap();
        assert_eq!(next(&heard), Call::Data(b"x".to_vec(), Some(address)));
        transport.close();
        assert_eq!(next(&heard), Call::Lost(None));
        assert!(told.recv().is_err(), "the first is gone, and told nothing");
        let gone = transport.set_protocol(recorder().0);
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotConnected);
    });
}

#[test]
fn a_broadcast_goes_out_if_it_is_allowed() {
    bounded("broadcast", PATIENCE, || {
        // Of the loopback's network.
        let everybody = |port| SocketAddr::from(([127, 255, 255, 255], port));
        let (listener, heard) = recorder();
        let options = DatagramOptions::new().local_addr(everybody(0));
        let (listener, _) = create_datagram_endpoint(|| listener, options).unwrap();
        let to = everybody(address_of(&listener).port());
        assert_eq!(next(&heard), Call::Made);
        for allowed in [false, true] {
            let (protocol, calls) = recorder();
            let options = here().allow_broadcast(allowed);
            let (sender, _) = create_datagram_endpoint(|| protocol, options).unwrap();
            assert_eq!(next(&calls), Call::Made);
            sender.sendto(b"all of you", to).unwrap();
            match allowed {
                false => assert_eq!(next(&calls), Call::Error(io::ErrorKind::PermissionDenied)),
                true => {
                    let from = Some(address_of(&sender));
                    assert_eq!(next(&heard), Call::Data(b"all of you".to_vec(), from));
                }
            }
        }
    });
}

#[test]
fn an_endpoint_without_an_address_is_refused() {
    let (protocol, _calls) = recorder();
    let refused = create_datagram_endpoint(|| protocol, DatagramOptions::new());
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
