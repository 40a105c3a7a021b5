//! Clients that do not behave harm nobody.

use std::io::ErrorKind;

use greenhub::green_thread::park;

use super::*;

#[test]
fn clients_that_leave_at_once_harm_nobody() {
    test_support::bounded("clients that leave at", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        for round in 0..100 {
            // A crowd of them is told that there are too many, which is no harm.
            let client = tcp(&server);
            let socket = socket2::SockRef::from(&client.0);
            match round % 4 {
                0 => {}
                1 => socket.set_linger(Some(Duration::ZERO)).unwrap(),
                2 => (&client.0).write_all(b"threads\nhub").unwrap(),
                _ => {
                    (&client.0).write_all(b"threads\n").unwrap();
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
        works(patiently(&server));
    });
}

#[test]
fn garbage_is_answered_with_a_word_of_help() {
    test_support::bounded("garbage is answered with", LIMIT, || {
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let unknown = "lists the commands\n";
        for garbage in [
            &b"\xff\xfe\x00\x1b[2J\n"[..],
            b"\xff\xfb\x06\r\n",
            b"Threads\n",
            b"kil 1\n",
        ] {
            client.0.write_all(garbage).unwrap();
            let answer = client.answer();
            assert!(answer.ends_with(unknown), "{answer:?}");
            assert!(!answer.trim_end().contains(char::is_control), "{answer:?}");
        }
        for (line, answer) in [
            ("", ""),
            ("   ", ""),
            (
                "kill",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "kill -1",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "kill 99999999999999999999",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "thread 18446744073709551615",
                "there is no green thread 18446744073709551615\n",
            ),
            ("kill 0", "there is no green thread 0\n"),
            ("top 0", "top takes a number of seconds from 1 to 60\n"),
            ("top 61", "top takes a number of seconds from 1 to 60\n"),
            ("tree 7", "tree takes nothing after it\n"),
        ] {
            assert_eq!(client.ask(line), answer, "{line:?}");
        }
        works(tcp(&server));
    });
}

#[test]
fn an_endless_line_ends_its_session_alone() {
    test_support::bounded("an endless line ends its", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut other = tcp(&server);
        other.answer();
        let mut client = tcp(&server);
        client.answer();
        // As long as it goes: the server stops taking it.
        let endless = vec![b'x'; 64 << 10];
        let sent = (0..1_000).try_for_each(|_| client.0.write_all(&endless));
        let error = sent.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{error}"
        );
        // A little too long: it hears why.
        let mut client = tcp(&server);
        client.answer();
        client.0.write_all(&endless[..1025]).unwrap();
        client.0.write_all(b"\n").unwrap();
        assert_eq!(client.rest(), "a line has 1024 bytes at most\n");
        // The longest.
        assert!(other.ask(&"x".repeat(1024)).starts_with("unknown command"));
        assert!(other.ask("hubs").starts_with("hub 0: "));
    });
}

#[test]
fn a_client_that_never_reads_keeps_nobody_from_being_served() {
    test_support::bounded("a client that never", LIMIT, || {
        let crowd: Vec<_> = (0..2_000)
            .map(|n| named(&format!("crowd-{n}"), park))
            .collect();
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let deaf: Vec<_> = (0..8)
            .map(|_| {
                let mut client = tcp(&server);
                client.0.write_all(&b"threads\n".repeat(400)).unwrap();
                client
            })
            .collect();
        let mut client = tcp(&server);
        client.answer();
        assert_eq!(client.ask("threads crowd-").lines().count(), 2_000);
        assert_eq!(client.ask("threads crowd-1999 ").lines().count(), 1);
        works(tcp(&server));
        drop(deaf);
        crowd.into_iter().for_each(end);
    });
}

#[test]
fn a_web_page_cannot_use_the_console() {
    test_support::bounded("web page", LIMIT, || {
        let victim = named("victim", park);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nkill {}\n",
            id(&victim)
        );
        client.0.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.rest(), "this is not a web server\n");
        assert!(!victim.is_finished());
        let mut client = tcp(&server);
        client.answer();
        let line = client.ask(&format!("thread {}", id(&victim)));
        assert!(line.contains("victim on hub"), "{line}");
        end(victim);
    });
}
