use std::io::{Error, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use greenhub::greenio::GreenSocket;
use greenhub::{ClosedLocally, Killed};

use super::*;
use crate::net::{TcpListener, TcpStream};
use crate::thread;

#[cfg(feature = "tls")]
mod tls;

const SHORT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(4);
/// For what is to run out of time.
const LIMIT: Duration = Duration::from_millis(100);
/// For an answer, on a starved machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on this OS thread and on a green thread.
fn both(body: impl Fn() + Copy + Send + 'static) {
    body();
    crate::run(body);
}

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Act {
    HangUp,
    /// It accepts, and never answers.
    Freeze,
    Reset,
    Answer,
}

/// A server that takes its connections as `acts` say, one after the other, and answers those that follow.
fn server(acts: &[Act]) -> SocketAddr {
    let acts = acts.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut frozen = Vec::new();
        for act in acts {
            let mut stream = listener.accept().unwrap().0;
            match act {
                Act::HangUp => drop(stream),
                Act::Freeze => frozen.push(stream),
                Act::Reset => {
                    let _ = stream.read_exact(&mut [0]);
                    let socket = stream.as_green_socket();
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
                Act::Answer => answer(stream),
            }
        }
        loop {
            answer(listener.accept().unwrap().0);
        }
    });
    address
}

/// Sends back what comes, on a green thread of its own.
fn answer(mut stream: TcpStream) {
    thread::spawn(move || {
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|len| len == 1) && stream.write_all(&byte).is_ok() {}
    });
}

fn to(address: SocketAddr) -> Reconnect<'static, TcpStream> {
    Reconnect::new(move || TcpStream::connect(address))
        .use_limit(PATIENCE)
        .pauses(SHORT)
}

fn ask(stream: &mut TcpStream) -> io::Result<u8> {
    stream.write_all(b"?")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A port that nobody listens on, and what keeps it so.
fn deserted() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address, socket)
}

#[test]
fn survives_a_server_that_hangs_up_freezes_and_resets() {
    both(|| {
        let address = server(&[Act::HangUp, Act::Freeze, Act::Reset, Act::Answer]);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::new(AtomicU32::new(0));
        let mut connection = to(address)
            // What the frozen one takes; an answer on a busy machine takes less.
            .use_limit(Duration::from_secs(5))
            .on_retry({
                let seen = seen.clone();
                move |attempt, error, pause| {
                    assert!(SHORT.contains(&pause) || pause < *SHORT.start());
                    seen.lock().unwrap().push((attempt, error.kind()));
                }
            })
            .on_open({
                let opened = opened.clone();
                move |stream| {
                    stream.set_nodelay(true).unwrap();
                    opened.fetch_add(1, SeqCst);
                }
            });
        assert_eq!(connection.run(ask).unwrap(), b'?');
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(
            matches!(
                seen[0].1,
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{seen:?}"
        );
        assert_eq!(seen[1], (2, ErrorKind::TimedOut));
        assert_eq!(seen[2], (3, ErrorKind::ConnectionReset));
        // The connection that answered is kept.
        assert_eq!(connection.run(ask).unwrap(), b'?');
        assert_eq!(opened.load(SeqCst), 4);
    });
}

#[test]
fn a_closed_connection_is_opened_anew() {
    let address = server(&[Act::Answer, Act::Answer]);
    let mut opened = 0;
    let mut connection = to(address).on_open(|_| opened += 1);
    connection.run(ask).unwrap();
    connection.close();
    connection.run(ask).unwrap();
    drop(connection);
    assert_eq!(opened, 2);
}

#[test]
fn waits_for_a_server_that_is_not_there_yet() {
    both(|| {
        let (address, place) = deserted();
        let refused = Arc::new(AtomicU32::new(0));
        let late = thread::spawn({
            let refused = refused.clone();
            move || {
                while refused.load(SeqCst) < 5 {
                    thread::sleep(Duration::from_millis(1));
                }
                drop(place);
                let listener = TcpListener::bind(address).unwrap();
                answer(listener.accept().unwrap().0);
            }
        });
        let mut connection = to(address).attempts(None).on_retry(|_, error, _| {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            refused.fetch_add(1, SeqCst);
        });
        assert_eq!(connection.run(ask).unwrap(), b'?');
        late.join().unwrap();
    });
}

#[test]
fn stops_after_the_last_attempt() {
    let (address, _place) = deserted();
    for most in [1, 4] {
        let mut retries = 0;
        let result = to(address)
            .attempts(most)
            .on_retry(|_, _, _| retries += 1)
            .run(ask);
        let gave_up = result.unwrap_err();
        assert_eq!(gave_up.attempts(), most);
        assert_eq!(retries, most - 1);
        assert!(!gave_up.is_permanent());
        assert_eq!(gave_up.error().kind(), ErrorKind::ConnectionRefused);
        let error = Error::from(gave_up);
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    }
}

#[test]
fn stops_when_the_total_time_is_over() {
    both(|| {
        let (address, _place) = deserted();
        let total = Duration::from_secs(2);
        let began = Instant::now();
        let gave_up = to(address)
            .attempts(None)
            .total_limit(total)
            .run(ask)
            .unwrap_err();
        let took = began.elapsed();
        // It does not begin a pause that would outlast the limit, so it may end that much earlier.
        assert!(took + *SHORT.end() >= total, "{took:?}");
        assert!(took < PATIENCE, "{took:?}");
        assert!(gave_up.attempts() > 1, "{gave_up}");
        assert!(!gave_up.is_permanent());
    });
}

#[test]
fn the_total_time_cuts_opening_short() {
    both(|| {
        let began = Instant::now();
        let open = || -> io::Result<TcpStream> {
            sleep(Duration::from_secs(60));
            unreachable!("the limit comes first")
        };
        let gave_up = Reconnect::new(open)
            .total_limit(LIMIT)
            .run(ask)
            .unwrap_err();
        assert_eq!(gave_up.error().kind(), ErrorKind::TimedOut);
        assert!(gave_up.error().to_string().starts_with("opening took"));
        assert_eq!(gave_up.attempts(), 1);
        assert!((LIMIT..Duration::from_secs(10)).contains(&began.elapsed()));
    });
}

#[test]
fn opening_has_a_limit_of_its_own() {
    let mut calls = 0;
    let open = || {
        calls += 1;
        if calls < 3 {
            sleep(Duration::from_secs(60));
        }
        Ok(calls)
    };
    let mut connection = Reconnect::new(open).open_limit(LIMIT).pauses(SHORT);
    assert_eq!(connection.run(|calls| Ok(*calls)).unwrap(), 3);
}

#[test]
fn the_error_tells_the_limit_of_opening_from_that_of_the_use() {
    both(|| {
        let forever = || {
            sleep(Duration::MAX);
            Ok(())
        };
        let mut opening = Reconnect::new(forever).open_limit(LIMIT).attempts(1);
        let mut using = Reconnect::new(|| Ok(())).use_limit(LIMIT).attempts(1);
        for (outcome, words) in [
            (opening.run(|()| Ok(())), "opening took longer than 100.0ms"),
            (
                using.run(|()| forever()),
                "the use took longer than 100.0ms",
            ),
        ] {
            assert_eq!(outcome.unwrap_err().error().to_string(), words);
        }
    });
}

#[test]
fn an_address_that_is_none_stops_at_once() {
    let open = || TcpStream::connect("no address at all");
    let gave_up = Reconnect::new(open).run(ask).unwrap_err();
    assert!(gave_up.is_permanent());
    assert_eq!(gave_up.error().kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_judge_can_be_another() {
    let mut tries = 0;
    let gave_up = Reconnect::new(|| Ok(()))
        .pauses(SHORT)
        .retry_if(|error| error.kind() == ErrorKind::NotFound || is_worth_retrying(error))
        .run(|()| -> io::Result<()> {
            tries += 1;
            Err(if tries == 1 {
                ErrorKind::NotFound
            } else {
                ErrorKind::PermissionDenied
            }
            .into())
        })
        .unwrap_err();
    assert_eq!(gave_up.attempts(), 2);
    assert_eq!(gave_up.error().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn pauses_double_up_to_the_longest_and_are_at_least_half() {
    let range = Duration::from_millis(100)..=Duration::from_millis(1000);
    let connection = Reconnect::new(|| Ok(())).pauses(range).attempts(None);
    for _ in 0..100 {
        let mut series = connection.series();
        for full in [100, 200, 400, 800, 1000, 1000, 1000] {
            let pause = connection.next_pause(&mut series).unwrap();
            let full = Duration::from_millis(full);
            let slack = Duration::from_micros(10);
            assert!(
                pause + slack >= full / 2 && pause <= full + slack,
                "{pause:?} of {full:?}"
            );
        }
    }
    let pauses: Vec<_> = (0..20)
        .map(|_| connection.next_pause(&mut connection.series()))
        .collect();
    assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no jitter");
}

#[test]
fn pauses_of_any_length_can_be_had() {
    let range = |first, longest| Reconnect::new(|| Ok(())).pauses(first..=longest);
    let connection = range(Duration::MAX, Duration::MAX);
    assert!(connection.next_pause(&mut connection.series()).unwrap() > Duration::from_secs(86_400));
    let connection = range(Duration::ZERO, Duration::ZERO);
    assert_eq!(
        connection.next_pause(&mut connection.series()),
        Some(Duration::ZERO)
    );
}

#[test]
fn a_use_that_lasted_begins_a_new_series() {
    let steady = Duration::from_secs(2);
    let mut uses = 0;
    let mut attempts = Vec::new();
    let gave_up = Reconnect::new(|| Ok(()))
        .pauses(SHORT)
        .attempts(3)
        .steady_after(steady)
        .on_retry(|attempt, _, _| attempts.push(attempt))
        .run(|()| -> io::Result<()> {
            uses += 1;
            if uses == 3 || uses == 5 {
                sleep(steady);
            }
            Err(ErrorKind::ConnectionReset.into())
        })
        .unwrap_err();
    assert_eq!(gave_up.attempts(), 3);
    assert_eq!((uses, attempts), (7, vec![1, 2, 1, 2, 1, 2]));
}

#[test]
fn a_use_that_was_cut_short_did_not_last() {
    let gave_up = Reconnect::new(|| Ok(()))
        .pauses(SHORT)
        .attempts(3)
        .use_limit(Duration::from_millis(20))
        .steady_after(Duration::from_millis(1))
        .run(|()| {
            sleep(Duration::from_secs(60));
            Ok(())
        })
        .unwrap_err();
    assert_eq!(gave_up.attempts(), 3);
    assert_eq!(gave_up.error().kind(), ErrorKind::TimedOut);
}

#[test]
fn kill_ends_the_pause() {
    let (address, _place) = deserted();
    let pausing = Arc::new(AtomicU32::new(0));
    let client = thread::spawn({
        let pausing = pausing.clone();
        move || {
            let hour = Duration::from_secs(3600);
            to(address)
                .pauses(hour..=hour)
                .on_retry(|_, _, _| pausing.store(1, SeqCst))
                .run(ask)
        }
    });
    while pausing.load(SeqCst) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let began = Instant::now();
    client.kill().unwrap();
    assert!(client.join().unwrap_err().is::<Killed>());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_outer_limit_ends_the_pause_and_the_use_and_drops_the_connection() {
    both(|| {
        let (address, _place) = deserted();
        let hour = Duration::from_secs(3600);
        let mut client = to(address).pauses(hour..=hour);
        assert!(crate::timeout(LIMIT, || client.run(ask).map(drop)).is_err());

        let live = Arc::new(());
        let open = live.clone();
        let mut client = Reconnect::new(move || Ok(open.clone()));
        let result = crate::timeout(LIMIT, || {
            client
                .run(|_| {
                    sleep(hour);
                    Ok(())
                })
                .map(drop)
        });
        assert!(result.is_err());
        // Ours and the closure's: the connection itself is gone.
        assert_eq!(Arc::strong_count(&live), 2);
        assert_eq!(client.run(|_| Ok(7)).unwrap(), 7);
    });
}

#[test]
fn knows_what_may_pass() {
    for number in [
        libc::ECONNREFUSED,
        libc::ECONNRESET,
        libc::ECONNABORTED,
        libc::EPIPE,
        libc::ETIMEDOUT,
        libc::EAGAIN,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::EHOSTDOWN,
        libc::ENOTCONN,
        libc::EMFILE,
        libc::EADDRNOTAVAIL,
    ] {
        let error = Error::from_raw_os_error(number);
        assert!(is_worth_retrying(&error), "{error}");
    }
    for number in [
        libc::EACCES,
        libc::EPERM,
        libc::ENOENT,
        libc::EINVAL,
        libc::EBADF,
        libc::EAFNOSUPPORT,
    ] {
        let error = Error::from_raw_os_error(number);
        assert!(!is_worth_retrying(&error), "{error}");
    }
    let elapsed = timeout(Duration::ZERO, || sleep(Duration::from_secs(60))).unwrap_err();
    assert!(is_worth_retrying(&elapsed.into()));
    assert!(is_worth_retrying(&ErrorKind::UnexpectedEof.into()));
    assert!(!is_worth_retrying(&ClosedLocally.into()));
    assert!(!is_worth_retrying(&ErrorKind::InvalidData.into()));
    let looked_up = |words| Error::other(format!("failed to lookup address information: {words}"));
    assert!(is_worth_retrying(&looked_up(
        "Temporary failure in name resolution"
    )));
    assert!(!is_worth_retrying(&looked_up("Name or service not known")));
}

/// That a socket has what `presence` says.
fn assert_set(presence: Presence, socket: &GreenSocket) {
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.keepalive_time().unwrap(), presence.idle);
    assert_eq!(socket.keepalive_interval().unwrap(), presence.interval);
    assert_eq!(socket.keepalive_count().unwrap(), presence.probes);
    assert_eq!(socket.tcp_user_timeout().unwrap(), presence.user_timeout);
}

#[test]
fn presence_is_set_on_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for presence in [Presence::SWIFT, Presence::STEADY, Presence::PATIENT] {
        let stream = TcpStream::connect(address).unwrap();
        presence.apply(&stream).unwrap();
        assert_set(presence, stream.as_green_socket());
        let in_all = presence.idle + presence.interval * presence.probes;
        assert_eq!(presence.user_timeout, Some(in_all));
    }
}
