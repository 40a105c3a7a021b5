use std::net::ToSocketAddrs;
use std::sync::Barrier;
use std::time::Duration;

use super::*;

fn localhost(port: u16) -> vec::IntoIter<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 1], port))].into_iter()
}

fn refuse(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
    panic!("{name:?} needs no look-up");
}

#[track_caller]
fn looks_up<A: ToSocketAddrs>(addr: A, expected: &Name) {
    assert_eq!(name_in(&addr).as_ref(), Some(expected));
}

#[test]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "references are forms of their own"
)]
fn every_form_of_name_that_std_looks_up_is_recognised() {
    let text = Name::Text("localhost:80".into());
    let string = String::from("localhost:80");
    looks_up("localhost:80", &text);
    looks_up(&"localhost:80", &text);
    looks_up(string.as_str(), &text);
    looks_up(&string, &text);
    looks_up(&&string, &text);
    looks_up(string, &text);

    let pair = Name::Pair("localhost".into(), 80);
    let host = String::from("localhost");
    looks_up((host.as_str(), 80), &pair);
    looks_up(&(host.as_str(), 80), &pair);
    looks_up(&(host.clone(), 80), &pair);
    looks_up((host, 80), &pair);
}

#[test]
fn numeric_forms_and_values_need_no_look_up() {
    fn direct<A: ToSocketAddrs>(addr: A) -> Vec<SocketAddr> {
        addresses_by(&addr, refuse).unwrap().collect()
    }
    let here = SocketAddr::from(([127, 0, 0, 1], 80));
    let here_v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80));
    assert_eq!(direct("127.0.0.1:80"), [here]);
    assert_eq!(direct(String::from("127.0.0.1:80")), [here]);
    assert_eq!(direct(("127.0.0.1", 80)), [here]);
    assert_eq!(direct((String::from("127.0.0.1"), 80)), [here]);
    assert_eq!(direct("[::1]:80"), [here_v6]);
    assert_eq!(direct(("::1", 80)), [here_v6]);
    assert_eq!(direct(here), [here]);
    assert_eq!(direct(&[here, here_v6][..]), [here, here_v6]);
    assert_eq!(direct((here.ip(), 80)), [here]);
}

#[test]
fn a_method_call_on_any_form_of_name_looks_it_up_on_the_pool() {
    // As the method has it: by a reference to what it is called on.
    fn is_looked_up<A: ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>> + ?Sized>(name: &A) {
        let found = addresses_by(name, |_| Ok(localhost(7))).unwrap();
        assert_eq!(Vec::from_iter(found), Vec::from_iter(localhost(7)));
    }
    let string = String::from("localhost:80");
    is_looked_up("localhost:80");
    is_looked_up(string.as_str());
    is_looked_up(&string);
    is_looked_up(&("localhost", 80));
    is_looked_up(&(String::from("localhost"), 80));
    is_looked_up(&&("localhost", 80));
}

#[test]
fn a_type_that_has_greens_trait_alone_is_connected_to() {
    struct Own(SocketAddr);
    impl super::ToSocketAddrs for Own {
        type Iter = std::iter::Once<SocketAddr>;
        fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
            Ok(std::iter::once(self.0))
        }
    }
    let listener = crate::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Own(listener.local_addr().unwrap());
    let stream = crate::net::TcpStream::connect(address).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
}

#[test]
fn malformed_names_fail_as_std_says() {
    for text in [
        "127.0.0.1",
        "localhost",
        "localhost:port",
        "localhost:99999",
        "",
    ] {
        let ours = super::ToSocketAddrs::to_socket_addrs(text).map(Vec::from_iter);
        let ours = ours.unwrap_err();
        let std = text.to_socket_addrs().map(Vec::from_iter).unwrap_err();
        assert_eq!(ours.kind(), std.kind(), "{text}");
        assert_eq!(ours.to_string(), std.to_string(), "{text}");
    }
}

#[test]
fn a_users_own_type_is_asked_where_it_is() {
    struct Own(std::thread::ThreadId, std::rc::Rc<u16>);
    impl ToSocketAddrs for Own {
        type Iter = vec::IntoIter<SocketAddr>;
        fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
            assert_eq!(self.0, std::thread::current().id());
            Ok(localhost(*self.1))
        }
    }
    let own = Own(std::thread::current().id(), std::rc::Rc::new(7));
    let found: Vec<_> = addresses_by(&own, refuse).unwrap().collect();
    assert_eq!(found, Vec::from_iter(localhost(7)));
    assert!(name_in(&&own).is_none());
}

/// Each look-up ends only when all ten have begun.
#[test]
fn ten_look_ups_run_at_once() {
    static TOGETHER: Barrier = Barrier::new(10);
    fn together(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
        assert_eq!(name, Name::Text("somewhere.test:1".into()));
        TOGETHER.wait();
        Ok(localhost(1))
    }
    let (done, finished) = std::sync::mpsc::channel();
    let runner = std::thread::spawn(move || {
        greenhub::run(|| {
            let lookers: Vec<_> = (0..10)
                .map(|_| {
                    greenhub::green_thread::spawn(|| {
                        let found = addresses_by(&"somewhere.test:1", together);
                        found.unwrap().collect::<Vec<_>>()
                    })
                })
                .collect();
            for looker in lookers {
                assert_eq!(looker.join().unwrap(), Vec::from_iter(localhost(1)));
            }
        });
        done.send(()).unwrap();
    });
    finished
        .recv_timeout(Duration::from_secs(30))
        .expect("ten look-ups at once");
    runner.join().unwrap();
}

#[test]
fn each_address_is_tried_and_the_last_error_reported() {
    let all = [
        SocketAddr::from(([127, 0, 0, 1], 1)),
        SocketAddr::from(([127, 0, 0, 1], 2)),
    ];
    let mut tried = Vec::new();
    let error = each_address(&all[..], |address| -> io::Result<()> {
        tried.push(*address);
        Err(io::Error::other(address.port().to_string()))
    })
    .unwrap_err();
    assert_eq!((tried, error.to_string()), (all.to_vec(), "2".into()));

    let first = each_address(&all[..], |address| Ok(address.port())).unwrap();
    assert_eq!(first, 1);
    let none = each_address(&[][..], |_| Ok(())).unwrap_err();
    assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_systems_resolver_knows_localhost() {
    let found: Vec<_> = super::ToSocketAddrs::to_socket_addrs("localhost:80")
        .unwrap()
        .collect();
    assert!(
        found.iter().any(|address| address.ip().is_loopback()),
        "{found:?}"
    );
}

#[test]
fn others_run_while_a_name_is_looked_up() {
    let others_ran = greenhub::run(|| {
        let ran = std::rc::Rc::new(std::cell::Cell::new(false));
        let other = ran.clone();
        let neighbour = greenhub::green_thread::spawn_local(move || other.set(true));
        let found: Vec<_> = lookup_host("localhost:80").unwrap().collect();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        let ran = ran.get();
        neighbour.join().unwrap();
        ran
    });
    assert!(others_ran);
}
