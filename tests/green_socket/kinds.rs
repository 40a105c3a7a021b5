//! `GreenSocket`: families, options, ancillary data, descriptors from elsewhere.

#![expect(unsafe_code, reason = "sets an option by its bytes, asks for ids")]

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, SystemTime};

use greenhub::greenio::{
    ControlMessage, ControlWriter, Domain, GreenSocket, Protocol, SockAddr, TcpKeepalive, Type,
};
use socket2::{SockFilter, SockRef};
use test_support::net::*;

fn udp() -> GreenSocket {
    let socket = GreenSocket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&loopback()).unwrap();
    socket
}

fn unix_pair(ty: Type) -> (GreenSocket, GreenSocket) {
    GreenSocket::pair(Domain::UNIX, ty, None).unwrap()
}

#[test]
fn netlink_answers() {
    both_ways(|_| {
        let netlink = Domain::from(libc::AF_NETLINK);
        let route = Protocol::from(libc::NETLINK_ROUTE);
        let socket = GreenSocket::new(netlink, Type::RAW, Some(route)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        // nlmsghdr (length, type, flags, sequence, port) and rtgenmsg: list links.
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = Vec::new();
        request.extend(20_u32.to_ne_bytes());
        request.extend(libc::RTM_GETLINK.to_ne_bytes());
        request.extend(flags.to_ne_bytes());
        request.extend(77_u32.to_ne_bytes());
        request.extend([0; 8]);
        assert_eq!(socket.send(&request).unwrap(), 20);
        let mut answer = vec![0; 64 * 1024];
        let (len, sender) = socket.recv_from(&mut answer).unwrap();
        assert!(len > 20);
        assert_eq!(sender.domain(), netlink);
        assert_eq!(answer[4..6], libc::RTM_NEWLINK.to_ne_bytes());
        assert_eq!(answer[8..12], 77_u32.to_ne_bytes());
    });
}

#[test]
fn packet_sockets_see_the_wire() {
    both_ways(|_| {
        let ip_frames = Protocol::from(i32::from((libc::ETH_P_IP as u16).to_be()));
        let socket = match GreenSocket::new(Domain::PACKET, Type::DGRAM, Some(ip_frames)) {
            Ok(socket) => socket,
            // It takes a privilege; without it, the error is the kernel's.
            Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        };
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (sender, receiver) = (udp(), udp());
        let message = format!("seen by {}", socket.as_raw_fd());
        sender
            .send_to(message.as_bytes(), &receiver.local_addr().unwrap())
            .unwrap();
        let mut buf = vec![0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!(from.domain(), Domain::PACKET);
            if buf[..len].ends_with(message.as_bytes()) {
                break;
            }
        }
    });
}

#[test]
fn sequenced_packets_keep_their_borders() {
    both_ways(|on| {
        let (one, other) = unix_pair(Type::SEQPACKET);
        let reader = on.spawn(move || {
            let mut buf = [0; 16];
            let lens = [(); 3].map(|()| other.recv(&mut buf).unwrap());
            (lens, other.recv(&mut buf).unwrap())
        });
        for message in ["one", "three", "x"] {
            one.send(message.as_bytes()).unwrap();
        }
        drop(one);
        assert_eq!(reader.join(), ([3, 5, 1], 0));
    });
}

#[test]
fn unknown_families_are_refused() {
    let outcome = GreenSocket::new(Domain::from(9999), Type::STREAM, None);
    assert_raw(outcome, libc::EAFNOSUPPORT);
    let outcome = GreenSocket::pair(Domain::IPV4, Type::STREAM, None);
    assert_raw(outcome, libc::EOPNOTSUPP);
}

#[test]
fn what_a_socket_is() {
    let socket = tcp();
    assert_eq!(socket.domain().unwrap(), Domain::IPV4);
    assert_eq!(socket.r#type().unwrap(), Type::STREAM);
    assert_eq!(socket.protocol().unwrap(), Some(Protocol::TCP));
    assert!(!socket.is_listener().unwrap());
    assert!(tcp_listener().0.is_listener().unwrap());
}

#[test]
fn every_descriptor_is_nonblocking_and_closed_on_exec() {
    let (listener, address) = tcp_listener();
    let client = tcp();
    client.connect(&address).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (one, other) = unix_pair(Type::STREAM);
    let adopted = GreenSocket::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for socket in [&listener, &client, &server, &one, &other, &adopted] {
        assert!(
            socket2::SockRef::from(socket).nonblocking().unwrap(),
            "{socket:?}"
        );
        assert!(!socket.nonblocking());
        let number = socket.as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0, "{socket:?}: {info}");
    }
}

#[test]
fn a_descriptor_made_blocking_behind_our_back_still_parks() {
    both_ways(|_| {
        let (client, _server) = tcp_pair();
        socket2::SockRef::from(&client)
            .set_nonblocking(false)
            .unwrap();
        client.set_nonblocking(true);
        assert_timed_out(client.recv(&mut [0; 8]));
        client.set_nonblocking(false);
        let limit = Duration::from_millis(50);
        client.set_read_timeout(Some(limit)).unwrap();
        assert_timed_out(takes(limit, || client.recv(&mut [0; 8])));
    });
}

#[test]
fn descriptors_come_from_and_go_to_every_type() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let mut client = std::net::TcpStream::from(client);
        client.write_all(b"one").unwrap();
        let client = GreenSocket::from(client);
        client.send_all(b"two").unwrap();
        let client = socket2::Socket::from(client);
        client.send(b"three").unwrap();
        assert!(!client.nonblocking().unwrap());
        drop(GreenSocket::from(OwnedFd::from(client)));
        assert_eq!(io::read_to_string(&server).unwrap(), "onetwothree");
    });
}

#[test]
fn what_is_no_socket_reports_so() {
    both_ways(|_| {
        let file = std::fs::File::open("/dev/null").unwrap();
        let socket = GreenSocket::from(OwnedFd::from(file));
        assert_raw(socket.recv(&mut [0; 8]), libc::ENOTSOCK);
        assert_raw(socket.send(b"x"), libc::ENOTSOCK);
        assert_raw(socket.accept(), libc::ENOTSOCK);
        assert_raw(socket.local_addr(), libc::ENOTSOCK);
        socket.into_owned_fd().unwrap();
    });
}

#[test]
fn a_closed_socket_gives_away_no_living_descriptor() {
    let (client, server) = tcp_pair();
    client.close();
    let clone = client.try_clone().unwrap();
    assert!(clone.is_closed());
    drop(clone);
    if let Ok(descriptor) = client.into_owned_fd() {
        let mut file = std::fs::File::from(descriptor);
        assert!(file.write(b"x").is_err());
    }
    assert_eq!(server.recv(&mut [0; 8]).unwrap(), 0);
}

/// Sets an option both ways round and reads it back.
macro_rules! round_trip {
    ($socket:expr, $($getter:ident / $setter:ident : $($value:expr),+;)+) => {$($(
        $socket.$setter($value).unwrap();
        assert_eq!($socket.$getter().unwrap(), $value, stringify!($setter));
    )+)+};
}

#[test]
fn options_of_any_socket_round_trip() {
    let socket = tcp();
    round_trip! { socket,
        reuse_address / set_reuse_address: true, false;
        reuse_port / set_reuse_port: true, false;
        keepalive / set_keepalive: true, false;
        linger / set_linger: Some(Duration::from_secs(3)), Some(Duration::ZERO), None;
        recv_low_water / set_recv_low_water: 7, 1;
        broadcast / set_broadcast: true, false;
        dontroute / set_dontroute: true, false;
        oobinline / set_oobinline: true, false;
        priority / set_priority: 5, 0;
        timestamp / set_timestamp: true, false;
    }
    socket.set_send_buffer_size(20_000).unwrap();
    assert_eq!(socket.send_buffer_size().unwrap(), 40_000);
    socket.set_recv_buffer_size(20_000).unwrap();
    assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);

    let (unix, _other) = unix_pair(Type::DGRAM);
    round_trip! { unix, passcred / set_passcred: true, false; }

    match socket.set_mark(9) {
        Ok(()) => assert_eq!(socket.mark().unwrap(), 9),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
    }
    match socket.bind_device(Some("lo")) {
        Ok(()) => assert_eq!(socket.device().unwrap().as_deref(), Some("lo")),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
    }
    socket.bind_device(None).ok();
    assert_raw(socket.bind_device(Some("no-such-if")), libc::ENODEV);
}

#[test]
fn options_of_tcp_round_trip() {
    let socket = tcp();
    round_trip! { socket,
        nodelay / set_nodelay: true, false;
        quickack / set_quickack: false, true;
        tcp_user_timeout / set_tcp_user_timeout: Some(Duration::from_millis(2500)), None;
    }
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(5))
        .with_retries(4);
    socket.set_tcp_keepalive(&keepalive).unwrap();
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.keepalive_time().unwrap(), Duration::from_secs(60));
    assert_eq!(socket.keepalive_interval().unwrap(), Duration::from_secs(5));
    assert_eq!(socket.keepalive_count().unwrap(), 4);

    let (listener, _) = tcp_listener();
    listener.set_deferaccept(Duration::from_secs(1)).unwrap();
    assert!(listener.deferaccept().unwrap() >= Duration::from_secs(1));
    listener.set_deferaccept(Duration::ZERO).unwrap();
    assert_eq!(listener.deferaccept().unwrap(), Duration::ZERO);
}

#[test]
fn options_of_ip_round_trip() {
    let socket = udp();
    round_trip! { socket,
        ttl / set_ttl: 17;
        tos / set_tos: 0x10;
        multicast_loop_v4 / set_multicast_loop_v4: false, true;
        multicast_ttl_v4 / set_multicast_ttl_v4: 3;
    }
    socket
        .set_multicast_interface_v4(&Ipv4Addr::LOCALHOST)
        .unwrap();
    assert_eq!(
        socket.multicast_interface_v4().unwrap(),
        Ipv4Addr::LOCALHOST
    );

    let socket = GreenSocket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
    round_trip! { socket,
        only_v6 / set_only_v6: true, false;
        unicast_hops_v6 / set_unicast_hops_v6: 18;
        tclass_v6 / set_tclass_v6: 0x20;
        multicast_loop_v6 / set_multicast_loop_v6: false, true;
        multicast_hops_v6 / set_multicast_hops_v6: 4;
        multicast_interface_v6 / set_multicast_interface_v6: 1;
    }
}

#[test]
fn only_v6_decides_who_may_come() {
    both_ways(|_| {
        for only_v6 in [false, true] {
            let listener = GreenSocket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            listener.set_only_v6(only_v6).unwrap();
            let any = SocketAddr::from(([0; 8], 0));
            listener.bind(&any.into()).unwrap();
            listener.listen(8).unwrap();
            let port = ip(&listener.local_addr().unwrap()).port();
            let outcome = tcp().connect(&SocketAddr::from(([127, 0, 0, 1], port)).into());
            match only_v6 {
                true => assert_raw(outcome, libc::ECONNREFUSED),
                false => outcome.unwrap(),
            }
        }
    });
}

#[test]
fn reuse_port_shares_a_port() {
    let (one, other) = (tcp(), tcp());
    one.set_reuse_port(true).unwrap();
    one.bind(&loopback()).unwrap();
    let address = one.local_addr().unwrap();
    assert_raw(other.bind(&address), libc::EADDRINUSE);
    other.set_reuse_port(true).unwrap();
    other.bind(&address).unwrap();
}

#[test]
fn the_low_water_mark_holds_a_reader_back() {
    both_ways(|on| {
        let (client, server) = tcp_pair();
        server.set_recv_low_water(6).unwrap();
        let reader = on.spawn(move || {
            let mut buf = [0; 16];
            server.recv(&mut buf).unwrap()
        });
        settle();
        client.send_all(b"abc").unwrap();
        settle();
        assert!(!reader.is_finished());
        client.send_all(b"defg").unwrap();
        assert_eq!(reader.join(), 7);
    });
}

#[test]
fn options_by_number() {
    let (client, _server) = tcp_pair();
    let ty = client.option_i32(libc::SOL_SOCKET, libc::SO_TYPE).unwrap();
    assert_eq!(ty, libc::SOCK_STREAM);
    client
        .set_option_i32(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)
        .unwrap();
    assert!(client.keepalive().unwrap());

    let mut info = [0xff; 64];
    let len = client
        .option_bytes(libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)
        .unwrap();
    assert_eq!((len, info[0]), (64, 1), "established");

    let mut name = [0; 16];
    client
        .option_bytes(libc::IPPROTO_TCP, libc::TCP_CONGESTION, &mut name)
        .unwrap();
    // SAFETY: the value is a name.
    unsafe { client.set_option_bytes(libc::IPPROTO_TCP, libc::TCP_CONGESTION, &name) }.unwrap();
    assert_raw(client.option_i32(9999, 1), libc::EOPNOTSUPP);
}

/// SO_ATTACH_BPF and SO_ATTACH_REUSEPORT_EBPF, and PACKET_FANOUT_DATA: a number would be somebody else's.
#[test]
fn an_option_that_takes_a_descriptor_takes_no_bare_number() {
    let socket = udp();
    let other = std::fs::File::open("/dev/null").unwrap();
    for (level, name) in [
        (libc::SOL_SOCKET, 50),
        (libc::SOL_SOCKET, 52),
        (libc::SOL_PACKET, 22),
    ] {
        let set = socket.set_option_i32(level, name, other.as_raw_fd());
        assert_kind(set, ErrorKind::InvalidInput);
    }
    // The kernel answers here: it is no program.
    let number = other.as_raw_fd().to_ne_bytes();
    // SAFETY: the value is the number of a descriptor of ours.
    let set = unsafe { socket.set_option_bytes(libc::SOL_SOCKET, 50, &number) };
    assert!(set.unwrap_err().raw_os_error().is_some());
}

/// The kernel counts this one option in instructions of eight bytes.
#[test]
fn a_filter_is_read_as_bytes_and_not_beyond_its_buffer() {
    let socket = udp();
    let program: Vec<SockFilter> = (0..64)
        .map(|_| SockFilter::new(0x06, 0, 0, 0xffff))
        .collect();
    SockRef::from(&socket).attach_filter(&program).unwrap();
    let filter =
        |value: &mut [u8]| socket.option_bytes(libc::SOL_SOCKET, libc::SO_GET_FILTER, value);

    assert_eq!(filter(&mut []).unwrap(), 512, "how many bytes it has");
    // Too short for the program, also where a count of bytes taken for one of
    // instructions would be enough.
    let mut all = [0x55; 512];
    for short in [8, 64, 511] {
        assert_raw(filter(&mut all[..short]), libc::EINVAL);
        assert!(all[short..].iter().all(|byte| *byte == 0x55), "{short}");
    }
    assert_eq!(filter(&mut all).unwrap(), 512);
    let instruction = [6, 0, 0, 0, 0xff, 0xff, 0, 0];
    assert!(all.chunks(8).all(|chunk| chunk == instruction));
    assert_eq!(
        socket
            .option_i32(libc::SOL_SOCKET, libc::SO_GET_FILTER)
            .unwrap(),
        0,
        "no room for an instruction"
    );
}

#[test]
fn only_what_is_borrowed_is_sent_as_a_descriptor() {
    let (here, there) = unix_pair(Type::STREAM);
    let mut control = ControlWriter::new();
    let number = there.as_raw_fd().to_ne_bytes();
    assert_kind(
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &number),
        ErrorKind::InvalidInput,
    );
    const SOL_RDS: i32 = 276;
    assert_kind(control.push(SOL_RDS, 1, &[0; 48]), ErrorKind::InvalidInput);

    // Nothing of what was refused is sent.
    let sent = here.sendmsg(&[IoSlice::new(b"none")], None, &control, 0);
    assert_eq!(sent.unwrap(), 4);
    let (mut bytes, mut room) = ([0; 8], [0; 64]);
    let bufs = &mut [IoSliceMut::new(&mut bytes)];
    let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
    assert!(received.control.next().is_none());

    // Data alone is sent as it is: here our own process, user and group.
    there.set_passcred(true).unwrap();
    // SAFETY: these calls cannot fail and take no pointer.
    let ids = unsafe { [libc::getpid() as u32, libc::getuid(), libc::getgid()] };
    let credentials: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
    control
        .push(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &credentials)
        .unwrap();
    here.sendmsg(&[IoSlice::new(b"me")], None, &control, 0)
        .unwrap();
    drop(received);
    let bufs = &mut [IoSliceMut::new(&mut bytes)];
    let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
    let Some(ControlMessage::Other { data, .. }) = received.control.next() else {
        panic!("no credentials came");
    };
    assert_eq!(data, credentials);
}

#[test]
fn descriptors_travel_and_none_leaks() {
    both_ways(|_| {
        let (here, there) = unix_pair(Type::STREAM);
        let (reader, writer) = io::pipe().unwrap();
        let mut control = ControlWriter::new();
        control.rights(&[writer.as_fd(), here.as_fd()]);
        let sent = here.sendmsg(&[IoSlice::new(b"take")], None, &control, 0);
        assert_eq!(sent.unwrap(), 4);
        drop(writer);

        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        assert_eq!(received.len, 4);
        let Some(ControlMessage::Rights(descriptors)) = received.control.next() else {
            panic!("no descriptors came");
        };
        assert_eq!(descriptors.len(), 2);
        assert!(received.control.next().is_none());
        drop((descriptors, received));

        // The writer's last copy is gone when the message is not looked at.
        let mut end = Vec::new();
        (&reader).read_to_end(&mut end).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut control = ControlWriter::new();
        control.rights(&[writer.as_fd()]);
        here.sendmsg(&[IoSlice::new(b"take")], None, &control, 0)
            .unwrap();
        drop(writer);
        drop(
            there
                .recvmsg(&mut [IoSliceMut::new(&mut bytes)], &mut room, 0)
                .unwrap(),
        );
        (&reader).read_to_end(&mut end).unwrap();
    });
}

#[test]
fn credentials_of_the_sender_come_along() {
    both_ways(|_| {
        let (here, there) = unix_pair(Type::DGRAM);
        there.set_passcred(true).unwrap();
        here.send(b"who").unwrap();
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        let Some(ControlMessage::Other { level, kind, data }) = received.control.next() else {
            panic!("no credentials came");
        };
        assert_eq!((level, kind), (libc::SOL_SOCKET, libc::SCM_CREDENTIALS));
        assert_eq!(data[..4], std::process::id().to_ne_bytes());
    });
}

#[test]
fn the_process_of_the_sender_comes_along_and_is_not_left_open() {
    /// From asm-generic/socket.h; libc does not have it.
    const SO_PASSPIDFD: i32 = 76;
    both_ways(|_| {
        let (here, there) = unix_pair(Type::DGRAM);
        if there
            .set_option_i32(libc::SOL_SOCKET, SO_PASSPIDFD, 1)
            .is_err()
        {
            eprintln!("skipped: the kernel sends no pidfds");
            return;
        }
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        here.send(b"who").unwrap();
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        let Some(ControlMessage::Pidfd(process)) = received.control.next() else {
            panic!("no process came");
        };
        let about = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
        let about = std::fs::read_to_string(about).unwrap();
        let pid = format!("Pid:\t{}\n", std::process::id());
        assert!(about.contains(&pid), "{about}");
        drop((process, received));

        // It is closed also if nobody looks.
        let pidfds = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let names = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            let is_pidfd = |name: &std::path::PathBuf| name.to_string_lossy().contains("pidfd");
            names.filter(is_pidfd).count()
        };
        let before = pidfds();
        for _ in 0..100 {
            here.send(b"who").unwrap();
            let bufs = &mut [IoSliceMut::new(&mut bytes)];
            assert_eq!(there.recvmsg(bufs, &mut room, 0).unwrap().len, 3);
        }
        assert!(pidfds() < before + 100, "left open");
    });
}

#[test]
fn the_time_of_arrival_comes_along() {
    both_ways(|_| {
        let (sender, receiver) = (udp(), udp());
        receiver.set_timestamp(true).unwrap();
        let before = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        sender
            .send_to(b"tick", &receiver.local_addr().unwrap())
            .unwrap();
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = receiver.recvmsg(bufs, &mut room, 0).unwrap();
        assert_eq!(ip(&received.address), ip(&sender.local_addr().unwrap()));
        let Some(ControlMessage::Other { level, kind, data }) = received.control.next() else {
            panic!("no time came");
        };
        assert_eq!((level, kind), (libc::SOL_SOCKET, libc::SCM_TIMESTAMP));
        let seconds = u64::from_ne_bytes(data[..8].try_into().unwrap());
        assert!(seconds.abs_diff(before.as_secs()) <= 5, "{seconds}");

        // Without room for it, the message comes and tells of the loss.
        sender
            .send_to(b"tock", &receiver.local_addr().unwrap())
            .unwrap();
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let received = receiver.recvmsg(bufs, &mut [], 0).unwrap();
        assert_ne!(received.flags & libc::MSG_CTRUNC, 0);
    });
}

#[test]
fn messages_of_several_buffers_go_to_an_address() {
    both_ways(|_| {
        let (sender, receiver) = (udp(), udp());
        let address: SockAddr = receiver.local_addr().unwrap();
        let bufs = [IoSlice::new(b"to"), IoSlice::new(b"gether")];
        assert_eq!(
            sender
                .sendmsg(&bufs, Some(&address), &ControlWriter::new(), 0)
                .unwrap(),
            8
        );
        let mut buf = [0; 16];
        assert_eq!(
            receiver.recv_with_flags(&mut buf, libc::MSG_PEEK).unwrap(),
            8
        );
        // MSG_TRUNC tells the whole length of a datagram that does not fit.
        let len = receiver
            .recv_with_flags(&mut buf[..2], libc::MSG_TRUNC)
            .unwrap();
        assert_eq!(len, 8);
        assert_kind(
            sender.connect_timeout(&address, Duration::ZERO),
            ErrorKind::InvalidInput,
        );
    });
}
