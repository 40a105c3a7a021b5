//! How a `GreenSocket` ends: closed, shut down, reset, dropped, on OS threads and
//! in green threads.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::source::{Direction, Source};
use test_support::net::*;

fn udp() -> GreenSocket {
    let socket = GreenSocket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&loopback()).unwrap();
    socket
}

#[test]
fn the_last_handle_ends_the_stream() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let clone = client.try_clone().unwrap();
        drop(client);
        server
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert_timed_out(server.recv(&mut [0; 8]));
        clone.send_all(b"x").unwrap();
        drop(clone);
        server.set_read_timeout(None).unwrap();
        let mut buf = [0; 8];
        assert_eq!(server.recv(&mut buf).unwrap(), 1);
        assert_eq!(server.recv(&mut buf).unwrap(), 0);
        assert_eq!(server.recv(&mut buf).unwrap(), 0);
    });
}

#[test]
fn close_without_lingering_resets_and_does_not_end_the_stream_first() {
    both_ways(|on| {
        for _ in 0..100 {
            let (client, server) = tcp_pair();
            let reader = on.spawn(move || server.recv(&mut [0; 8]));
            let clone = client.try_clone().unwrap();
            client.set_linger(Some(Duration::ZERO)).unwrap();
            client.close();
            assert_kind(reader.join(), ErrorKind::ConnectionReset);
            assert_closed_here(clone.recv(&mut [0; 8]));
        }
    });
}

#[test]
fn a_closed_number_is_not_confused_with_its_successor() {
    both_ways(|on| {
        let (old, _peer) = tcp_pair();
        let old = Arc::new(old);
        let waiter = {
            let old = Arc::clone(&old);
            on.spawn(move || old.recv(&mut [0; 8]))
        };
        settle();
        old.close();
        assert_closed_here(waiter.join());

        // Whoever gets which number now, a second close and the drop of the old
        // handle leave them alone.
        let (client, server) = tcp_pair();
        old.close();
        drop(old);
        let (third, fourth) = tcp_pair();
        for (one, other) in [(&client, &server), (&third, &fourth)] {
            let mut buf = [0; 8];
            one.send_all(b"mine").unwrap();
            assert_eq!(other.recv(&mut buf).unwrap(), 4);
        }
    });
}

#[test]
fn close_wakes_a_reader() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let client = Arc::new(client);
        let reader = {
            let client = Arc::clone(&client);
            on.spawn(move || client.recv(&mut [0; 8]))
        };
        settle();
        client.close();
        assert_closed_here(reader.join());
        assert_closed_here(client.recv(&mut [0; 8]));
        assert_closed_here(client.send(b"x"));
        assert_closed_here(client.peek(&mut [0; 8]));
        assert!(client.is_closed());

        // The peer reads the end, and its writer breaks.
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 0);
        wait_until("a broken pipe", || server.send(b"x").is_err());
        assert_raw(server.send(b"x"), libc::EPIPE);
    });
}

/// An event descriptor has no peer and nothing to shut down.
#[test]
fn closing_an_event_descriptor_ends_both_that_wait_for_it() {
    both_ways(|on| {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
        let source = Arc::new(Source::new(event));
        let waiters = [(); 2].map(|()| {
            let source = source.clone();
            on.spawn(move || source.wait(Direction::Read, Deadline::NEVER))
        });
        settle();
        source.close();
        for waiter in waiters {
            assert_closed_here(waiter.join());
        }
        assert_closed_here(source.wait(Direction::Read, Deadline::NEVER));
    });
}

#[test]
fn close_tells_the_peer_though_a_duplicate_lives() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let _duplicate = std::os::fd::AsFd::as_fd(&client)
            .try_clone_to_owned()
            .unwrap();
        client.close();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn close_wakes_send_all() {
    both_ways(|on| {
        let (client, _server) = tcp_pair();
        fill(&client);
        let client = Arc::new(client);
        let writer = {
            let client = Arc::clone(&client);
            on.spawn(move || client.send_all(&vec![0; 1 << 20]))
        };
        settle();
        client.close();
        assert_closed_here(writer.join().map_err(io::Error::from));
    });
}

#[test]
fn close_wakes_accept() {
    both_ways(|on| {
        let (listener, _) = tcp_listener();
        let listener = Arc::new(listener);
        let acceptors: Vec<_> = (0..3)
            .map(|_| {
                let listener = Arc::clone(&listener);
                on.spawn(move || listener.accept())
            })
            .collect();
        settle();
        listener.close();
        for acceptor in acceptors {
            assert_closed_here(acceptor.join());
        }
    });
}

#[test]
fn close_wakes_connect() {
    both_ways(|on| {
        let (address, _held) = silent_address();
        let socket = Arc::new(tcp());
        let connector = {
            let socket = Arc::clone(&socket);
            on.spawn(move || socket.connect(&address))
        };
        settle();
        socket.close();
        assert_closed_here(connector.join());
    });
}

#[test]
fn shutdown_wakes_connect() {
    both_ways(|on| {
        let (address, _held) = silent_address();
        let socket = Arc::new(tcp());
        let connector = {
            let socket = Arc::clone(&socket);
            on.spawn(move || socket.connect(&address))
        };
        settle();
        // A shutdown before the attempt has begun does nothing.
        wait_until("the attempt ends", || {
            socket.shutdown(Shutdown::Both).ok();
            connector.is_finished()
        });
        assert_kind(connector.join(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn shutdown_then_close_in_one_breath_wakes_everybody() {
    both_ways(|on| {
        let (client, _server) = tcp_pair();
        fill(&client);
        let client = Arc::new(client);
        let reader = {
            let client = Arc::clone(&client);
            on.spawn(move || client.recv(&mut [0; 8]))
        };
        let writer = {
            let client = Arc::clone(&client);
            on.spawn(move || client.send_all(&vec![0; 1 << 20]))
        };
        settle();
        client.shutdown(Shutdown::Both).unwrap();
        client.close();
        // The reader may have seen the shutdown first: an end, then.
        if let Ok(len) = reader.join() {
            assert_eq!(len, 0);
        }
        assert!(writer.join().is_err());
    });
}

#[test]
fn shutdown_wakes_a_reader_with_the_end() {
    both_ways(|on| {
        for how in [Shutdown::Read, Shutdown::Both] {
            let (client, _server) = tcp_pair();
            let client = Arc::new(client);
            let reader = {
                let client = Arc::clone(&client);
                on.spawn(move || client.recv(&mut [0; 8]))
            };
            settle();
            client.shutdown(how).unwrap();
            assert_eq!(reader.join().unwrap(), 0);
        }
    });
}

#[test]
fn shutdown_wakes_a_writer_with_a_broken_pipe() {
    both_ways(|on| {
        let (client, _server) = tcp_pair();
        fill(&client);
        let client = Arc::new(client);
        let writer = {
            let client = Arc::clone(&client);
            on.spawn(move || client.send_all(&vec![0; 1 << 20]))
        };
        settle();
        client.shutdown(Shutdown::Write).unwrap();
        assert_raw(writer.join().map_err(io::Error::from), libc::EPIPE);
    });
}

#[test]
fn shutdown_wakes_accept() {
    both_ways(|on| {
        let (listener, _) = tcp_listener();
        let listener = Arc::new(listener);
        let acceptor = {
            let listener = Arc::clone(&listener);
            on.spawn(move || listener.accept())
        };
        settle();
        listener.shutdown(Shutdown::Both).unwrap();
        assert_raw(acceptor.join(), libc::EINVAL);
    });
}

#[test]
fn shutdown_wakes_a_receiver_of_datagrams() {
    both_ways(|on| {
        let (one, other) = GreenSocket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        let connected = udp();
        connected.connect(&connected.local_addr().unwrap()).unwrap();
        other.send(b"queued").unwrap();
        for (socket, queued) in [(one, 6), (connected, 0), (udp(), 0)] {
            let socket = Arc::new(socket);
            let mut buf = [0; 8];
            if queued > 0 {
                assert_eq!(socket.recv(&mut buf).unwrap(), queued);
            }
            let receiver = {
                let socket = Arc::clone(&socket);
                on.spawn(move || socket.recv(&mut [0; 8]))
            };
            settle();
            // One that is not connected says so, and is shut down all the same.
            socket.shutdown(Shutdown::Read).ok();
            assert_eq!(receiver.join().unwrap(), 0);
            assert_eq!(socket.recv(&mut buf).unwrap(), 0);
            assert_eq!(socket.recv_from(&mut buf).unwrap().0, 0);
            let bufs = &mut [IoSliceMut::new(&mut buf)];
            assert_eq!(socket.recvmsg(bufs, &mut [], 0).unwrap().len, 0);
        }
    });
}

#[test]
fn shutdown_wakes_a_sender_of_datagrams() {
    both_ways(|on| {
        for how in [Shutdown::Write, Shutdown::Both] {
            let (one, _other) = GreenSocket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
            fill(&one);
            let one = Arc::new(one);
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let one = Arc::clone(&one);
                    on.spawn(move || one.send(&[0; 1024]))
                })
                .collect();
            settle();
            one.shutdown(how).unwrap();
            for sender in senders {
                assert_raw(sender.join(), libc::EPIPE);
            }
        }
    });
}

#[test]
fn shutdown_after_close_is_no_error() {
    both_ways(|_| {
        let (client, _server) = tcp_pair();
        client.close();
        client.shutdown(Shutdown::Both).unwrap();
        client.close();
    });
}

#[test]
fn a_reset_is_a_reset_for_ever() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        let reader = on.spawn(move || {
            let first = client.recv(&mut [0; 8]);
            (client, first)
        });
        settle();
        reset(server);
        let (client, first) = reader.join();
        assert_raw(first, libc::ECONNRESET);
        let mut buf = [0; 8];
        for _ in 0..3 {
            assert_raw(client.recv(&mut buf), libc::ECONNRESET);
            assert_raw(client.peek(&mut buf), libc::ECONNRESET);
            assert_raw(
                client.recv_vectored(&mut [IoSliceMut::new(&mut buf)]),
                libc::ECONNRESET,
            );
            assert_raw(client.recv_from(&mut buf), libc::ECONNRESET);
            assert_raw(
                client.recvmsg(&mut [IoSliceMut::new(&mut buf)], &mut [], 0),
                libc::ECONNRESET,
            );
        }
        assert_raw(client.send(b"x"), libc::EPIPE);
    });
}

#[test]
fn a_reset_that_a_writer_or_a_probe_saw_is_no_clean_end_either() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        reset(server);
        assert!(client.wait_readable(None).unwrap());
        assert_raw(client.send(b"x"), libc::ECONNRESET);
        assert_raw(client.recv(&mut [0; 8]), libc::ECONNRESET);

        let (client, server) = tcp_pair();
        reset(server);
        assert!(client.wait_readable(None).unwrap());
        let taken = client.take_error().unwrap().expect("an error is stored");
        assert_eq!(taken.kind(), ErrorKind::ConnectionReset);
        assert_raw(client.recv(&mut [0; 8]), libc::ECONNRESET);
    });
}

#[test]
fn a_clean_end_stays_clean_after_a_broken_pipe() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        drop(server);
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 0);
        wait_until("a broken pipe", || client.send(b"x").is_err());
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn data_before_the_reset_comes_first() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        server.set_nodelay(true).unwrap();
        server.send_all(b"last words").unwrap();
        assert!(client.wait_readable(None).unwrap());
        reset(server);
        let mut buf = [0; 16];
        assert_eq!(client.recv(&mut buf).unwrap(), 10);
        assert_raw(client.recv(&mut buf), libc::ECONNRESET);
        assert_raw(client.recv(&mut buf), libc::ECONNRESET);
    });
}

#[test]
fn a_writer_is_woken_by_a_reset() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        fill(&client);
        let writer = on.spawn(move || client.send_all(&vec![0; 1 << 20]));
        settle();
        reset(server);
        let error = io::Error::from(writer.join().unwrap_err());
        let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    });
}

/// Every call that waits, ended in every way, with the end coming before, during
/// and after the call's way into its wait.
#[test]
fn the_ends_of_sockets_hold_a_thousand_times_in_a_row() {
    both_ways(|on| {
        let (silent, _held) = silent_address();
        let silent = &silent;
        for round in 0..1000 {
            let (client, server) = tiny_tcp_pair();
            let client = Arc::new(client);
            let waiting = match round % 4 {
                0 => wait_in(on, &client, |socket| socket.recv(&mut [0; 8]).map(drop)),
                1 => wait_in(on, &client, |socket| Ok(socket.send_all(&[0; 1 << 20])?)),
                2 => {
                    let listener = Arc::new(tcp_listener().0);
                    let waiting = wait_in(on, &listener, |socket| socket.accept().map(drop));
                    give_time(round);
                    listener.close();
                    assert_closed_here(waiting.join());
                    continue;
                }
                _ => {
                    let (socket, silent) = (Arc::new(tcp()), silent.clone());
                    let waiting = wait_in(on, &socket, move |socket| socket.connect(&silent));
                    give_time(round);
                    socket.close();
                    assert_closed_here(waiting.join());
                    continue;
                }
            };
            give_time(round);
            match round / 4 % 3 {
                0 => {
                    client.close();
                    assert_closed_here(waiting.join());
                }
                1 => {
                    client.shutdown(Shutdown::Both).unwrap();
                    client.close();
                    // Whoever saw the shutdown first saw an end or a broken pipe.
                    waiting.join().ok();
                    assert_closed_here(client.recv(&mut [0; 8]));
                }
                _ => {
                    reset(server);
                    let error = waiting.join().unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
                    assert_raw(client.recv(&mut [0; 8]), libc::ECONNRESET);
                }
            }
        }
    });
}

fn wait_in(
    on: On,
    socket: &Arc<GreenSocket>,
    call: impl FnOnce(&GreenSocket) -> io::Result<()> + Send + 'static,
) -> Task<io::Result<()>> {
    let socket = Arc::clone(socket);
    on.spawn(move || call(&socket))
}

fn give_time(round: usize) {
    match round / 12 % 3 {
        0 => {}
        1 => greenhub::green_thread::yield_now(),
        _ => greenhub::green_thread::sleep(Duration::from_micros(300)),
    }
}
