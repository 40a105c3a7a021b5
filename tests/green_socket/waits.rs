//! `GreenSocket`: waiting, limits, errors, on OS threads and in green
//! threads.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::aio::Pollable;
use green::block_on;
use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};
use test_support::net::*;

use crate::udp;

const SHORT: Duration = Duration::from_millis(100);
/// Never reached.
const LONG: Duration = Duration::from_secs(50);

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_connect_that_is_answered_at_once_neither_waits_nor_registers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refuses = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().into()
    };
    let accepts = listener.local_addr().unwrap().into();
    let bodies: [fn(&GreenSocket, &SockAddr) -> io::Result<()>; 2] = [
        |socket, address| socket.connect(address),
        |socket, address| socket.connect_timeout(address, LONG),
    ];
    greenhub::run(move || {
        for (address, connect) in [&refuses, &accepts]
            .into_iter()
            .flat_map(|to| bodies.map(|b| (to, b)))
        {
            let waits = || {
                let ran = Rc::new(Cell::new(false));
                let neighbour = {
                    let ran = ran.clone();
                    greenhub::green_thread::spawn_local(move || ran.set(true))
                };
                let outcome = connect(&tcp(), address);
                let waited = ran.get();
                neighbour.join().unwrap();
                waited.then_some(outcome)
            };
            // The kernel may put an answer off when it is busy.
            let waited: Vec<_> = (0..20).map_while(|_| waits()).collect();
            assert!(
                waited.len() < 20,
                "who waits lets its neighbour run: {waited:?}"
            );
        }
    });
}

#[test]
fn refused_is_refused_however_one_connects() {
    both_ways(|_| {
        let (address, _held) = refusing_address();
        assert_raw(tcp().connect(&address), libc::ECONNREFUSED);
        assert_raw(tcp().connect_timeout(&address, LONG), libc::ECONNREFUSED);

        // In non-blocking mode the attempt is refused at once on loopback, or
        // with the second call.
        let socket = tcp();
        socket.set_nonblocking(true);
        let error = socket.connect(&address).unwrap_err();
        if error.raw_os_error() == Some(libc::EINPROGRESS) {
            assert!(socket.wait_writable(None).unwrap());
            assert_raw(socket.connect(&address), libc::ECONNREFUSED);
        } else {
            assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        }
    });
}

#[test]
fn connecting_twice_is_refused_by_the_kernel() {
    both_ways(|_| {
        let (listener, address) = tcp_listener();
        let client = tcp();
        client.connect(&address).unwrap();
        assert_raw(client.connect(&address), libc::EISCONN);
        drop(listener);
    });
}

#[test]
fn send_all_delivers_every_byte_through_tiny_buffers() {
    both_ways(|on| {
        for len in [1 << 10, 16 << 10, 64 << 10, 1 << 20] {
            let (client, server) = tiny_tcp_pair();
            let reader = on.spawn(move || {
                let mut received: Vec<u8> = Vec::new();
                let mut buf = vec![0; 32 * 1024];
                loop {
                    match server.recv(&mut buf).unwrap() {
                        0 => return received,
                        len => received.extend(&buf[..len]),
                    }
                }
            });
            let data = pattern(len);
            client.send_all(&data).unwrap();
            client.send_all(&data).unwrap();
            drop(client);
            assert!(
                reader.join() == [&data[..], &data[..]].concat(),
                "{len} bytes"
            );
        }
    });
}

#[test]
fn a_blocked_send_all_does_not_hinder_reading() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let client = Arc::new(client);
        let data = pattern(8 << 20);
        let writer = {
            let (client, data) = (Arc::clone(&client), data.clone());
            on.spawn(move || client.send_all(&data))
        };
        let reader = {
            let client = Arc::clone(&client);
            on.spawn(move || {
                let mut buf = [0; 16];
                let len = client.recv(&mut buf).unwrap();
                buf[..len].to_vec()
            })
        };
        // The peer sends while it takes nothing, and reads only when its message
        // has arrived, which takes the reader.
        settle();
        server.send_all(b"meanwhile").unwrap();
        assert_eq!(reader.join(), b"meanwhile");
        assert!(!writer.is_finished(), "8 MiB do not fit into the buffers");

        let mut received: Vec<u8> = Vec::new();
        let mut buf = vec![0; 64 * 1024];
        while received.len() < data.len() {
            let len = server.recv(&mut buf).unwrap();
            received.extend(&buf[..len]);
        }
        writer.join().unwrap();
        assert!(received == data);
    });
}

#[test]
fn readers_of_one_socket_share_what_comes() {
    both_ways(|on| {
        const READERS: usize = 5;
        let socket = Arc::new(udp());
        let address = socket.local_addr().unwrap();
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let socket = Arc::clone(&socket);
                on.spawn(move || {
                    let mut buf = [0; 8];
                    let len = socket.recv(&mut buf).unwrap();
                    assert_eq!(len, 1);
                    buf[0]
                })
            })
            .collect();
        settle();
        // One reader gives up; that takes nothing from the others.
        let impatient = Arc::clone(&socket);
        let sender = udp();
        for number in 0..READERS {
            sender.send_to(&[number as u8], &address).unwrap();
        }
        let mut seen: Vec<u8> = readers.into_iter().map(|reader| reader.join()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        impatient
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        assert_timed_out(impatient.recv(&mut [0; 8]));
    });
}

#[test]
fn a_reader_that_gives_up_leaves_the_data_to_the_other() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let client = Arc::new(client);
        let impatient = {
            let client = Arc::clone(&client);
            on.spawn(move || greenhub::timeout(SHORT, || client.recv(&mut [0; 8])).is_err())
        };
        settle();
        let patient = {
            let client = Arc::clone(&client);
            on.spawn(move || {
                let mut buf = [0; 8];
                let len = client.recv(&mut buf).unwrap();
                buf[..len].to_vec()
            })
        };
        assert!(impatient.join(), "it gave up");
        server.send_all(b"here").unwrap();
        assert_eq!(patient.join(), b"here");
    });
}

#[test]
fn data_after_an_abandoned_read_disturbs_no_other_wait() {
    both_ways(|on| {
        let (abandoned, abandoned_peer) = tcp_pair();
        let (waited_for, waited_for_peer) = tcp_pair();
        abandoned
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let gave_up = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&gave_up);
        let reader = on.spawn(move || {
            assert_timed_out(abandoned.recv(&mut [0; 8]));
            told.store(true, SeqCst);
            let mut buf = [0; 8];
            let len = waited_for.recv(&mut buf).unwrap();
            assert_eq!(&buf[..len], b"right");
            // The late data is there for whoever wants it.
            abandoned.set_read_timeout(None).unwrap();
            let len = abandoned.recv(&mut buf).unwrap();
            assert_eq!(&buf[..len], b"late");
        });
        wait_until("the first read is given up", || gave_up.load(SeqCst));
        settle();
        abandoned_peer.send_all(b"late").unwrap();
        settle();
        assert!(!reader.is_finished());
        waited_for_peer.send_all(b"right").unwrap();
        reader.join();
    });
}

#[test]
fn datagrams_go_both_ways_of_sending() {
    both_ways(|_| {
        let (one, other) = (udp(), udp());
        let address = other.local_addr().unwrap();
        let mut buf = [0; 16];

        assert_eq!(one.send_to(b"named", &address).unwrap(), 5);
        let (len, sender) = other.recv_from(&mut buf).unwrap();
        assert_eq!(
            (&buf[..len], ip(&sender)),
            (&b"named"[..], ip(&one.local_addr().unwrap()))
        );

        one.connect(&address).unwrap();
        assert_eq!(one.send(b"connected").unwrap(), 9);
        assert_eq!(other.peek(&mut buf).unwrap(), 9);
        assert_eq!(other.peek_from(&mut buf).unwrap().0, 9);
        assert_eq!(other.recv(&mut buf).unwrap(), 9);

        // An empty datagram is one too.
        assert_eq!(one.send(b"").unwrap(), 0);
        assert_eq!(other.recv(&mut buf).unwrap(), 0);
    });
}

#[test]
fn sending_without_a_connection_fails_at_once() {
    both_ways(|_| {
        assert_raw(tcp().send(b"x"), libc::EPIPE);
        assert_raw(tcp().recv(&mut [0; 8]), libc::ENOTCONN);
        assert_raw(udp().send(b"x"), libc::EDESTADDRREQ);
        let unbound = GreenSocket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        assert_raw(unbound.send(b"x"), libc::ENOTCONN);
        assert_raw(tcp().shutdown(Shutdown::Both), libc::ENOTCONN);
        assert_raw(tcp().accept(), libc::EINVAL);
        assert_raw(tcp().peer_addr(), libc::ENOTCONN);
    });
}

#[test]
fn waiting_for_readability_ends_with_the_peer() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        assert!(!takes(SHORT, || client.wait_readable(Some(SHORT))).unwrap());
        let waiter = on.spawn(move || {
            let start = Instant::now();
            let readable = client.wait_readable(Some(Duration::from_secs(30))).unwrap();
            (readable, start.elapsed(), client.recv(&mut [0; 8]).unwrap())
        });
        settle();
        drop(server);
        let (readable, elapsed, len) = waiter.join();
        assert!(readable && elapsed < Duration::from_secs(10), "{elapsed:?}");
        assert_eq!(len, 0);
    });
}

#[test]
fn a_fresh_pair_is_writable_every_time() {
    both_ways(|_| {
        let (one, other) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        for _ in 0..20 {
            assert!(one.wait_writable(Some(Duration::ZERO)).unwrap());
            assert!(other.wait_writable(Some(Duration::ZERO)).unwrap());
            assert!(!one.wait_readable(Some(Duration::ZERO)).unwrap());
        }
        other.send_all(b"ab").unwrap();
        assert!(one.wait_readable(None).unwrap());
        assert_eq!(one.recv(&mut [0; 2]).unwrap(), 2);
        // What has been read is no longer there, though the buffer was filled.
        assert!(!one.wait_readable(Some(Duration::ZERO)).unwrap());
    });
}

/// A read ends at the urgent mark, however much follows it: that the read was
/// short says nothing then.
#[test]
fn data_behind_urgent_data_is_not_waited_for() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        client.set_nodelay(true).unwrap();
        client.send_all(b"before").unwrap();
        client.send_with_flags(b"!", libc::MSG_OOB).unwrap();
        client.send_all(b"behind").unwrap();
        settle();
        server
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut buf = [0; 64];
        assert_eq!(server.recv(&mut buf).unwrap(), 6);
        assert_eq!(server.recv(&mut buf).unwrap(), 6);
        assert_eq!(&buf[..6], b"behind");
    });
}

#[test]
fn peeking_takes_nothing_and_waits_like_reading() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let peeker = on.spawn(move || {
            let mut buf = [0; 64];
            for _ in 0..3 {
                assert_eq!(client.peek(&mut buf).unwrap(), 4);
            }
            assert_eq!(client.peek(&mut buf[..2]).unwrap(), 2);
            assert_eq!(client.recv(&mut buf).unwrap(), 4);
            assert_eq!(client.peek(&mut buf).unwrap(), 0);
            assert_eq!(client.recv(&mut buf).unwrap(), 0);
        });
        settle();
        server.send_all(b"data").unwrap();
        settle();
        drop(server);
        peeker.join();
    });
}

#[test]
fn vectored_calls_fill_one_buffer_after_the_other() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let sent = client
            .send_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")])
            .unwrap();
        assert_eq!(sent, 5);
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let len = server
            .recv_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])
            .unwrap();
        assert_eq!((len, &first, &second[..2]), (5, b"abc", &b"de"[..]));
        // More buffers than the kernel takes are no error.
        let many = vec![IoSlice::new(b"x"); 2000];
        assert_eq!(client.send_vectored(&many).unwrap(), 1024);
    });
}

#[test]
fn several_buffers_that_the_kernel_takes_in_parts_arrive_in_order() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let sent = pattern(8 << 20);
        let expected = sent.clone();
        // Parts end within each of the buffers, wherever the kernel's room does.
        let sender = on.spawn(move || {
            let bufs: Vec<_> = sent.chunks(300_007).map(IoSlice::new).collect();
            assert_eq!(client.send_whole_vectored(&bufs).unwrap(), sent.len());
        });
        let mut received = Vec::new();
        let mut buf = vec![0; 1 << 16];
        loop {
            match server.recv(&mut buf).unwrap() {
                0 => break,
                len => received.extend_from_slice(&buf[..len]),
            }
        }
        assert!(received == expected);
        sender.join();
    });
}

#[test]
fn a_future_sends_several_buffers_in_order_and_a_peek_leaves_what_it_sees() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        // Few bytes are sent as one piece, more are not.
        for len in [0, 1, 1023, 1024, 1025, 5000] {
            let sent = pattern(len);
            let bufs = sent.split_at(len / 3);
            let bufs = [bufs.0, &[], bufs.1].map(IoSlice::new);
            let poller = client.poller();
            let count = block_on(poll_fn(|context| {
                client.poll_send_vectored(&poller, context, &bufs)
            }));
            assert_eq!(count.unwrap(), len);

            let poller = server.poller();
            let mut received = vec![0; len];
            let mut at = 0;
            while at < len {
                let peeked = block_on(poll_fn(|context| {
                    server.poll_peek(&poller, context, &mut received[at..])
                }));
                assert!(peeked.unwrap() > 0);
                received[at..].fill(0);
                at += server.recv(&mut received[at..]).unwrap();
            }
            assert!(received == sent);
        }
    });
}

#[test]
fn many_connections_ping_pong() {
    both_ways(|on| {
        const CONNECTIONS: usize = 50;
        let (listener, address) = tcp_listener();
        let server = on.spawn(move || {
            let handlers: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    let (socket, _) = listener.accept().unwrap();
                    on.spawn(move || {
                        let mut buf = [0; 64];
                        loop {
                            match socket.recv(&mut buf).unwrap() {
                                0 => return,
                                len => socket.send_all(&buf[..len]).unwrap(),
                            }
                        }
                    })
                })
                .collect();
            handlers.into_iter().for_each(Task::join);
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let address: SockAddr = address.clone();
                on.spawn(move || {
                    let socket = tcp();
                    socket.connect(&address).unwrap();
                    for round in 0..50 {
                        let message = [number as u8, round];
                        socket.send_all(&message).unwrap();
                        let mut answer = [0; 2];
                        let len = socket.recv(&mut answer).unwrap();
                        assert_eq!(&answer[..len], &message[..len]);
                        if len == 1 {
                            assert_eq!(socket.recv(&mut answer[1..]).unwrap(), 1);
                        }
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(Task::join);
        server.join();
    });
}

#[test]
fn debug_names_the_ends() {
    let (client, server) = tcp_pair();
    let shown = format!("{client:?}");
    assert!(shown.starts_with("GreenSocket { fd: "), "{shown}");
    let port = ip(&server.local_addr().unwrap()).port().to_string();
    assert!(shown.contains(&port), "{shown}");
    assert!(shown.contains(&client.as_raw_fd().to_string()), "{shown}");
}
