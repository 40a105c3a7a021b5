//! `GreenSocket`: options, by name and by number.

#![expect(unsafe_code, reason = "sets an option by its bytes")]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, TcpKeepalive, Type};
use socket2::{SockFilter, SockRef};
use test_support::net::*;

use crate::{udp, unix_pair};

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
        client.send_all(b"abc").unwrap();
        let reader = on.spawn(move || {
            assert!(server.wait_readable(None).unwrap());
            server.recv(&mut [0; 16]).unwrap()
        });
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
