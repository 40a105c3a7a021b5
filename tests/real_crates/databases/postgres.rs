//! PostgreSQL: transactions whose users are killed, panic or run out of time.

use std::sync::Arc;
use std::time::Duration;

use green::aio::Async;
use green::os::unix::net::UnixStream;
use green::pools::{Item, Pool};
use green::{block_on, thread, timeout};
use tokio_postgres::{Client, Config, NoTls};

use test_support::bounded;
use test_support::servers::Postgres;

const LIMIT: Duration = Duration::from_secs(60);

/// A connection, and the blocking face that a program would give it.
struct Connection(Client);

impl Connection {
    fn open(folder: &std::path::Path) -> std::io::Result<Connection> {
        let stream = UnixStream::connect(folder.join(".s.PGSQL.5432"))?;
        let mut config = Config::new();
        config.user("nobody").dbname("postgres");
        let connected = block_on(config.connect_raw(Async::new(stream), NoTls));
        let (client, connection) = connected.map_err(std::io::Error::other)?;
        // It ends when the client is dropped, or the server goes.
        thread::spawn(move || block_on(connection));
        Ok(Connection(client))
    }

    fn run(&self, statements: &str) -> Result<(), tokio_postgres::Error> {
        block_on(self.0.batch_execute(statements))
    }

    fn number(&self, query: &str) -> i64 {
        block_on(self.0.query_one(query, &[])).unwrap().get(0)
    }

    fn process(&self) -> i64 {
        self.number("SELECT pg_backend_pid()::bigint")
    }
}

fn pool(server: &Postgres, most: usize) -> Arc<Pool<Connection>> {
    let folder = server.folder().to_owned();
    let pool = Pool::new(most, move || timeout(LIMIT, || Connection::open(&folder))?)
        .check(|connection: &mut Connection| connection.run("").is_ok())
        .cleanup(LIMIT, |connection| connection.run("ROLLBACK").is_ok());
    Arc::new(pool)
}

/// With a server of its own, and a table `t` with a zero in it.
fn with_table(name: &str, body: impl FnOnce(Arc<Pool<Connection>>) + Send) {
    bounded(name, LIMIT * 3, || {
        let Some(server) = Postgres::start() else {
            return;
        };
        let pool = pool(&server, 4);
        let first = pool.get().unwrap();
        first
            .run("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (0)")
            .unwrap();
        drop(first);
        body(pool);
    });
}

#[test]
fn no_more_connections_than_the_limit_serve_any_number_of_green_threads() {
    with_table("transactions by postgres", |pool| {
        let users: Vec<_> = (0..50)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let connection = pool.get().unwrap();
                    connection.run("BEGIN; UPDATE t SET n = n + 1").unwrap();
                    let others = connection.number(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'",
                    );
                    connection.run("COMMIT").unwrap();
                    others
                })
            })
            .collect();
        for user in users {
            assert!((1..=4).contains(&user.join().unwrap()));
        }
        assert_eq!(pool.get().unwrap().number("SELECT n FROM t"), 50);
        assert_eq!((pool.free(), pool.waiting()), (4, 0));
    });
}

/// A connection in a transaction that has changed the row.
fn half_done(pool: &Pool<Connection>) -> Item<'_, Connection> {
    let connection = pool.get().unwrap();
    connection.run("BEGIN; UPDATE t SET n = n + 1").unwrap();
    connection
}

#[test]
fn a_transaction_whose_user_unwinds_is_rolled_back_and_its_connection_used_again() {
    with_table("rollbacks by postgres", |pool| {
        pool.resize(1);
        let process = pool.get().unwrap().process();
        let theirs = pool.clone();
        let killed = thread::spawn(move || {
            half_done(&theirs).run("SELECT pg_sleep(0.5); SELECT generate_series(1, 1000)")
        });
        while pool.free() == 1 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(50));
        killed.kill().unwrap();
        assert!(killed.join().is_err());

        assert!(
            timeout(Duration::from_secs(3), || {
                let _connection = half_done(&pool);
                thread::park();
            })
            .is_err()
        );

        let theirs = pool.clone();
        let panicked = thread::spawn(move || {
            let _connection = half_done(&theirs);
            std::panic::resume_unwind(Box::new("a user's panic"));
        });
        assert!(panicked.join().is_err());

        let connection = pool.get_timeout(LIMIT).unwrap().unwrap();
        // Nobody has the row locked, and nothing of it is there.
        connection
            .run("BEGIN; SET LOCAL lock_timeout = 1; UPDATE t SET n = n; COMMIT")
            .unwrap();
        assert_eq!(connection.number("SELECT n FROM t"), 0);
        assert_eq!(connection.process(), process);
    });
}

#[test]
fn a_connection_that_the_server_ended_is_found_before_anybody_uses_it() {
    with_table("checks by postgres", |pool| {
        let (first, second) = (pool.get().unwrap(), pool.get().unwrap());
        let (ended, kept) = (first.process(), second.process());
        drop(first);
        second
            .run(&format!("SELECT pg_terminate_backend({ended})"))
            .unwrap();
        drop(second);
        assert_eq!(pool.size(), 2);
        let got = pool.get().unwrap();
        assert_eq!((got.process(), pool.size()), (kept, 1));
        // One whose user finds out is discarded by him, and by nobody's panic.
        let other = pool.get().unwrap();
        got.run(&format!("SELECT pg_terminate_backend({})", other.process()))
            .unwrap();
        assert!(other.run("SELECT 1").is_err());
        other.discard();
        assert_eq!(pool.size(), 1);
    });
}
