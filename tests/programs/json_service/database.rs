//! What the service says while its database is away, busy, or not what it was.

use std::process::{Child, ChildStdin, Stdio};

use test_support::running::{Process, Signal, signal};
use test_support::threads::until;

use super::*;

const MILK: &str = r#"{"title":"milk"}"#;

fn post(notes: &str, body: &str) -> String {
    curl(&[&JSON[..], &["-d", body, notes]].concat())
}

fn put(notes: &str, body: &str) -> String {
    curl(&[&JSON[..], &["-X", "PUT", "-d", body, notes]].concat())
}

fn with_notes(name: &str, body: impl FnOnce(&Postgres, &str) + Send) {
    if find("curl").is_none() {
        return;
    }
    with_service(name, |_, database, address| {
        body(database, &format!("http://{address}/notes"));
    });
}

/// Connections of the service, as the database sees them, that are so.
fn connections(database: &Postgres, how: &str) -> usize {
    let others = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE {others} AND {how}");
    database.ask(&count).parse().unwrap()
}

/// Somebody who holds the table until this is dropped.
struct Holder {
    _psql: Process,
    _open: ChildStdin,
}

fn hold(database: &Postgres) -> Holder {
    let mut psql = database.psql();
    let psql: Child = psql
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut psql = Process(psql);
    let mut open = psql.stdin.take().unwrap();
    writeln!(open, "BEGIN; LOCK TABLE notes;").unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
    until(|| database.ask(held) != "0");
    Holder {
        _psql: psql,
        _open: open,
    }
}

#[test]
fn a_database_that_goes_is_told_and_one_that_is_back_is_used() {
    with_notes(
        "json_service and a database that goes",
        |database, notes| {
            assert!(post(notes, MILK).ends_with(" 201"));
            for _ in 0..2 {
                database.stop();
                let socket = database.folder().join(".s.PGSQL.5432");
                for _ in 0..3 {
                    let told = curl(&[notes]);
                    assert!(told.contains(socket.to_str().unwrap()), "{told}");
                    assert!(told.ends_with("\"} 503"), "{told}");
                }
                assert!(post(notes, MILK).ends_with("\"} 503"));
                assert!(database.go_on());
                let back = r#"[{"id":1,"title":"milk","done":false}] 200"#;
                assert_eq!(curl(&[notes]), back);
            }
        },
    );
}

#[test]
fn a_request_that_panics_in_a_transaction_is_rolled_back() {
    with_notes("json_service and a panic", |database, notes| {
        assert!(post(notes, MILK).ends_with(" 201"));
        // Somebody has changed the table: what is inserted cannot be read.
        database.ask(
            "ALTER TABLE notes ALTER id DROP IDENTITY, ALTER id TYPE INT, ALTER id SET DEFAULT 7",
        );
        let panicked = put(notes, &format!("[{MILK}, {MILK}]"));
        assert!(panicked.ends_with(" 500"), "{panicked}");
        assert_eq!(database.ask("SELECT id, title FROM notes"), "1|milk");
        assert_eq!(connections(database, "state LIKE '%transaction%'"), 0);
        database.ask("ALTER TABLE notes ALTER id TYPE BIGINT");
        let well = put(notes, &format!("[{MILK}]"));
        assert_eq!(well, r#"[{"id":7,"title":"milk","done":false}] 200"#);
    });
}

#[test]
fn what_cannot_be_done_whole_is_not_done() {
    with_notes("json_service and a list", |database, notes| {
        assert!(post(notes, MILK).ends_with(" 201"));
        let both = put(notes, r#"[{"title":"bread","done":true},{"title":"tea"}]"#);
        let bread = r#"{"id":2,"title":"bread","done":true}"#;
        let tea = r#"{"id":3,"title":"tea","done":false}"#;
        assert_eq!(both, format!("[{bread},{tea}] 200"));
        // PostgreSQL knows no NUL, and refuses the second alone.
        let refused = put(notes, r#"[{"title":"salt"},{"title":"\u0000"}]"#);
        assert!(refused.contains("0x00"), "{refused}");
        assert!(refused.ends_with("\"} 400"), "{refused}");
        assert_eq!(curl(&[notes]), format!("[{tea},{bread}] 200"));
        assert_eq!(connections(database, "state LIKE '%transaction%'"), 0);
        assert_eq!(put(notes, "[]"), "[] 200");
        assert_eq!(curl(&[notes]), "[] 200");
    });
}

#[test]
fn more_requests_than_connections_wait_for_each_other() {
    with_notes("json_service and a crowd", |database, notes| {
        const MANY: usize = 40;
        let holder = hold(database);
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-Z",
            "--no-progress-meter",
            "--parallel-immediate",
            "-w",
            "\n%{http_code}\n",
        ]);
        curl.args(JSON).args(["-d", MILK]);
        curl.args(std::iter::repeat_n(notes, MANY));
        let mut curl = Process(curl.stdout(Stdio::piped()).spawn().unwrap());
        // As many as the service may have, and its own psql.
        until(|| connections(database, "wait_event_type = 'Lock'") == 8);
        assert_eq!(connections(database, "usename IS NOT NULL"), 9);
        drop(holder);
        let mut said = String::new();
        curl.stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said.matches("\n201").count(), MANY, "{said}");
        assert_eq!(database.ask("SELECT count(*) FROM notes"), MANY.to_string());
    });
}

#[test]
fn a_database_that_is_held_up_is_told_in_time_and_nothing_is_done_later() {
    with_notes("json_service and a lock", |database, notes| {
        let holder = hold(database);
        let told = post(notes, MILK);
        assert!(told.contains("statement timeout"), "{told}");
        assert!(told.ends_with("\"} 503"), "{told}");
        drop(holder);
        until(|| connections(database, "wait_event_type = 'Lock'") == 0);
        assert_eq!(curl(&[notes]), "[] 200");
    });
}

#[test]
fn a_database_that_is_frozen_is_told_in_time() {
    with_notes("json_service and a frozen database", |database, notes| {
        assert!(post(notes, MILK).ends_with(" 201"));
        let process = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let process = format!("{process} AND backend_type = 'client backend'");
        let process = database.ask(&process).parse().unwrap();
        signal(process, Signal::STOP).unwrap();
        let told = curl(&[notes]);
        assert!(told.ends_with("\"} 503"), "{told}");
        // That connection is used no more.
        assert!(curl(&[notes]).ends_with(" 200"));
        signal(process, Signal::CONT).unwrap();
    });
}
