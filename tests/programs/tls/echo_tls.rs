//! `echo_tls`, with itself, openssl and Python.

use super::*;

#[test]
fn echo_tls_shows_both_ways_to_end_a_message() {
    let output = run(&mut Command::new(build("echo_tls")), b"");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for line in [
        "echoed up to NUL: hello\n",
        "echoed up to the end: and now for the half-close\n",
        "the peer closed cleanly: true\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn echo_tls_talks_to_itself_over_files() {
    let Some(files) = files() else { return };
    let server = Server::echo(files);
    let program = build("echo_tls");
    let client = |cafile: &str, name: &str| {
        let mut client = Command::new(&program);
        client.args(["client", &server.address(), cafile, name]);
        run(&mut client, b"one\ntwo\n")
    };
    let output = client(&files.cert, "localhost");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("NUL: one\n") && said.contains("NUL: two\n"),
        "{said}"
    );
    let output = client(&files.cert, "example.org");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("ostname mismatch"),
        "{}",
        text(&output)
    );
    assert_eq!(client("/nowhere", "localhost").status.code(), Some(1));
    let output = run(Command::new(&program).arg("bogus"), b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn echo_tls_answers_openssl() {
    let Some(files) = files() else { return };
    let server = Server::echo(files);
    for version in ["-tls1_2", "-tls1_3"] {
        // At the end of its input s_client closes, and what is on its way is lost; so wait for it.
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &server.address(), version, "-quiet"])
            .args(["-CAfile", &files.cert, "-verify_return_error"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client
            .stdin
            .as_ref()
            .unwrap()
            .write_all(b"well?\n")
            .unwrap();
        let mut echo = [0; 6];
        let read = client.stdout.as_mut().unwrap().read_exact(&mut echo);
        client.kill().unwrap();
        client.wait().unwrap();
        read.unwrap();
        assert_eq!(&echo, b"well?\n");
    }
}

#[test]
fn echo_tls_answers_python_and_closes_both_ways() {
    let Some(files) = files() else { return };
    if !is_there("python3", "--version") {
        return;
    }
    let server = Server::echo(files);
    let program = format!(
        "{PYTHON_CLIENT}
tls.sendall(b'hello\\0')
assert read(6) == b'hello\\0'
tls.sendall(b'x' * 100000)
assert read(100000) == b'x' * 100000
tls.unwrap().close()
"
    );
    let output = python(&program, files, &server);
    assert!(output.status.success(), "{}", text(&output));
}
