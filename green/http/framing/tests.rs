use std::io::ErrorKind;
use std::task::Waker;

use super::*;

const HEAD: &str = "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &str = "GET /b HTTP/1.1\r\nHost: t\r\n\r\n";

/// What passes of `pieces`, and whether it fails then. Each request is answered as soon as it has ended, in the words of HTTP.
fn passed(pieces: &[&[u8]]) -> (String, bool) {
    let exchange = Exchange::default();
    let mut framing = Framing::new(exchange.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    let mut answered = 0;
    for piece in pieces {
        let mut piece = Some(piece.to_vec());
        loop {
            while answered < framing.heads {
                answered += 1;
                exchange.answered(false);
            }
            match framing.poll_ready(&mut context) {
                Poll::Pending => panic!("answered, and not ready"),
                Poll::Ready(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidData);
                    return (String::from_utf8(seen).unwrap(), true);
                }
                Poll::Ready(Ok(())) => {}
            }
            let mut room = [MaybeUninit::uninit(); 7];
            let mut bytes: Vec<u8> = Vec::new();
            let passed = match framing.holds_back() {
                true => framing
                    .give_back(&mut room)
                    .map(|given| bytes.extend_from_slice(given)),
                false => match piece.take() {
                    None => break,
                    Some(mut piece) => framing
                        .pass(&mut piece)
                        .map(|count| bytes.extend(&piece[..count])),
                },
            };
            if passed.is_err() {
                return (String::from_utf8(seen).unwrap(), true);
            }
            seen.extend(bytes);
        }
    }
    (String::from_utf8(seen).unwrap(), false)
}

/// The same wherever it is cut in two, and in single bytes.
fn always(sent: &str, passes: &str, fails: bool) {
    let bytes = sent.as_bytes();
    let expected = (passes.to_owned(), fails);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        let pieces: Vec<&[u8]> = [left, right]
            .into_iter()
            .filter(|p| !p.is_empty())
            .collect();
        assert_eq!(passed(&pieces), expected, "{sent:?} cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(passed(&single), expected, "{sent:?} byte by byte");
}

#[test]
fn what_is_in_order_passes_wherever_it_is_cut() {
    for sent in [
        GET.repeat(3),
        format!("\r\n\n{GET}"),
        format!("{HEAD}3\r\nabc\r\n0\r\n\r\n{GET}"),
        format!(
            "{HEAD}000A ; x=\"\u{e9}\"\t\r\n\r\n\n\0\r0\n\r\n\r\r\n0;y\r\nA: b\r\nC:\t\r\n\r\n{HEAD}0\r\n\r\n{GET}"
        ),
        // The length is that of the body, the lines in it are none.
        format!(
            "POST / HTTP/1.0\r\nCONTENT-LENGTH:\t28 \r\n\r\n\r\n\r\nGET / HTTP/3.0\r\n\r\n\r\n\r\n\r\n{GET}"
        ),
        format!("POST / HTTP/1.1\nTransfer-Encodings: chunked\nContent-Length: 2\n\n\n\n{GET}"),
        // Chunks outdo a length.
        format!(
            "POST / HTTP/1.1\r\nContent-Length: 9\r\ntransfer-ENCODING:chunked\r\n\r\n1\r\na\r\n0\r\n\r\n{GET}"
        ),
        format!("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n{GET}{GET}CONNECT / HTTP/1.1\r\n\r\n{GET}"),
    ] {
        // That the last one is changed shows that it is seen where it begins.
        let later = GET.replace("1.1", "1.2");
        always(&format!("{sent}{later}"), &format!("{sent}{GET}"), false);
    }
}

#[test]
fn what_two_servers_could_cut_differently_fails_at_its_first_byte() {
    for (good, bad) in [
        ("", "\r\n"),
        ("", "g\r\n"),
        ("", ";a\r\n"),
        ("3", "\nabc\r\n0\r\n\r\n"),
        ("3\r", "abc"),
        ("3 ", "4\r\n"),
        ("2;", "\nxx\r\n0\r\n\r\n"),
        ("3;a", "\0\r\nabc\r\n"),
        ("3;a", "\u{7f}\r\nabc\r\n"),
        ("3;a\r", "b\r\n"),
        ("3\r\nabc", "\n0\r\n\r\n"),
        ("3\r\nabc\r", "0\r\n\r\n"),
        ("1000000000000000", "3\r\n"),
        ("0\r\n", "\nGET /secret HTTP/1.1\r\n\r\n"),
        ("0\r\n\r", "\r\n"),
        ("0\r\nA: b", "\n\nGET /secret HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("0\r\nA: b", "\nC: d\r\n\r\n"),
        ("0\r\nA: b\r", "c\r\n\r\n"),
        ("0\r\nA: b", "\0\r\n\r\n"),
        ("0\r\nA: b\r\n", " c\r\n\r\n"),
        ("0\r\nA: b\r\n", "\tc\r\n\r\n"),
        ("0\r\n", ": b\r\n\r\n"),
        ("0\r\nA", " : b\r\n\r\n"),
        ("0\r\nA", "\r\n\r\n"),
        ("0\r\nA", "\n\r\n\r\n"),
    ] {
        let sent = format!("{GET}{HEAD}{good}{bad}");
        always(&sent, &format!("{GET}{HEAD}{good}"), true);
    }
}

#[test]
fn a_later_minor_version_is_1_1_and_another_major_one_is_noted() {
    for (version, becomes, other_major) in [
        ("HTTP/1.0", "HTTP/1.0", false),
        ("HTTP/1.2", "HTTP/1.1", false),
        ("HTTP/1.9", "HTTP/1.1", false),
        ("HTTP/2.0", "HTTP/1.1", true),
        ("HTTP/0.9", "HTTP/1.1", true),
        // hyper refuses them.
        ("http/1.2", "http/1.2", false),
        ("HTTP/1.x", "HTTP/1.x", false),
        ("HTTP/12", "HTTP/12", false),
    ] {
        let request = |version| format!("{GET}GET /HTTP/1.2 {version}\r\nX: HTTP/1.2\r\n\r\n{GET}");
        always(&request(version), &request(becomes), false);
        let exchange = Exchange::default();
        let mut framing = Framing::new(exchange.clone());
        framing.pass(&mut request(version).into_bytes()).unwrap();
        let begun = [(); 3].map(|()| exchange.begin());
        let refused = other_major.then_some(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        assert_eq!(begun, [None, refused, None], "{version}");
    }
}

#[test]
fn a_length_beyond_what_hyper_counts_is_noted_and_shortened() {
    for (length, becomes, too_long) in [
        ("18446744073709551613", "18446744073709551613", false),
        ("18446744073709551614", "1844674407370955161 ", true),
        ("18446744073709551615", "1844674407370955161 ", true),
        ("18446744073709551616", "1844674407370955161 ", true),
        ("99999999999999999999999", "9999999999999999999    ", true),
        (
            "0000000000000000000000002",
            "0000000000000000000000002",
            false,
        ),
    ] {
        let request = |length| format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\nab");
        always(&request(length), &request(becomes), false);
        let exchange = Exchange::default();
        let mut framing = Framing::new(exchange.clone());
        framing.pass(&mut request(length).into_bytes()).unwrap();
        let refused = too_long.then_some(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(exchange.begin(), refused, "{length}");
    }
    // Where chunks count, it does not matter.
    let length = "Content-Length: 18446744073709551616\r\n";
    let mut chunked = HEAD.replace("Host", &format!("{length}Host")).into_bytes();
    let exchange = Exchange::default();
    Framing::new(exchange.clone()).pass(&mut chunked).unwrap();
    assert_eq!(exchange.begin(), None);
}

#[test]
fn what_comes_behind_a_request_to_leave_http_waits_for_its_answer() {
    const ALIEN: &str = "GET / HTTP/2.0\r\nTransfer-Encoding: chunked\r\n\r\n\n";
    for head in [
        "CONNECT t:1 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nupgrade: x\r\n\r\ny",
    ] {
        for parted in [true, false] {
            let exchange = Exchange::default();
            let mut framing = Framing::new(exchange.clone());
            let mut context = Context::from_waker(Waker::noop());
            let mut sent = format!("{GET}{head}{ALIEN}").into_bytes();
            let before = GET.len() + head.len();
            assert_eq!(framing.pass(&mut sent).unwrap(), before);
            // The answer to the request before it decides nothing.
            exchange.answered(false);
            assert!(framing.poll_ready(&mut context).is_pending());
            exchange.answered(parted);
            assert!(framing.poll_ready(&mut context).is_ready());
            let mut room = [MaybeUninit::uninit(); 100];
            let passed = framing.give_back(&mut room).unwrap();
            let passed = std::str::from_utf8(passed).unwrap();
            if parted {
                assert_eq!(passed, ALIEN);
                let mut more = *b"A B HTTP/1.2\r\n";
                assert_eq!(framing.pass(&mut more).unwrap(), more.len());
                assert_eq!(&more, b"A B HTTP/1.2\r\n");
            } else {
                let fails = ALIEN.len() - 1;
                assert_eq!(passed, ALIEN[..fails].replace("2.0", "1.1"));
                assert!(framing.poll_ready(&mut context).is_ready());
                assert!(framing.give_back(&mut room).is_err());
            }
        }
    }
}
