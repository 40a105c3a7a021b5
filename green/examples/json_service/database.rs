//! The notes in PostgreSQL: the crate tokio-postgres over green sockets, in blocking style and without tokio's runtime.

use std::error::Error;
use std::io;
use std::time::Duration;

use green::aio::{Async, PollRead, PollWrite};
use green::http::StatusCode;
use green::net::TcpStream;
use green::os::unix::net::UnixStream;
use green::pools::Pool;
use green::{block_on, future, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, config::Host};

use crate::program::about;
use crate::{Note, Refusal};

const CONNECTIONS: usize = 8;
/// How long a request may wait for the database, a free connection included.
const PATIENCE: Duration = Duration::from_secs(10);
/// The database gives up before, and so does nothing later that was answered with an error.
const OPTIONS: &str = "-c statement_timeout=5s";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS notes (id BIGINT PRIMARY KEY
    GENERATED ALWAYS AS IDENTITY, title TEXT NOT NULL, done BOOLEAN NOT NULL)";
pub const INSERT: &str = "INSERT INTO notes (title, done) VALUES ($1, $2) RETURNING *";

pub struct Notes(Pool<Client>);

impl Notes {
    /// Connects once, to say at the start what is wrong.
    pub fn open(database: &str) -> io::Result<Notes> {
        let config = database.parse::<Config>().map_err(told);
        let mut config = config.map_err(about(format_args!("'{database}'")))?;
        config.options(OPTIONS);
        let run = |client: &mut Client, sql| block_on(client.batch_execute(sql));
        let pool = Pool::new(CONNECTIONS, move || timeout(PATIENCE, || connect(&config))?)
            .max_age(Duration::from_secs(3600))
            .check(move |client| run(client, "").is_ok())
            .cleanup(Duration::from_secs(1), move |client| {
                run(client, "ROLLBACK").is_ok()
            });
        run(&mut *pool.get()?, TABLE).map_err(told)?;
        Ok(Notes(pool))
    }

    /// Calls `work` with a connection. If it panics or is late, what it has begun is rolled back.
    fn with<T>(&self, work: impl FnOnce(&mut Client) -> Result<T, Refusal>) -> Result<T, Refusal> {
        timeout(PATIENCE, || work(&mut *self.0.get()?)).map_err(io::Error::from)?
    }

    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Note>, Refusal> {
        self.with(|client| {
            Ok(block_on(client.query(sql, values))?
                .iter()
                .map(note)
                .collect())
        })
    }

    /// Puts others in place of all: every one of them, or none.
    pub fn replace(&self, notes: &[Note]) -> Result<Vec<Note>, Refusal> {
        self.with(|client| {
            let transaction = block_on(client.transaction())?;
            block_on(transaction.execute("DELETE FROM notes", &[]))?;
            let mut made = Vec::new();
            for Note { title, done, .. } in notes {
                let row = block_on(transaction.query_one(INSERT, &[title, done]))?;
                made.push(note(&row));
            }
            block_on(transaction.commit())?;
            Ok(made)
        })
    }
}

/// Panics if the table has other columns than ours.
fn note(row: &Row) -> Note {
    Note {
        id: row.get("id"),
        title: row.get("title"),
        done: row.get("done"),
    }
}

fn connect(config: &Config) -> io::Result<Client> {
    let port = config.get_ports().first().unwrap_or(&5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => {
            let address = format!("{name}:{port}");
            shake_hands(config, &address, TcpStream::connect(&address))
        }
        Some(Host::Unix(folder)) => {
            let path = format!("{}/.s.PGSQL.{port}", folder.display());
            shake_hands(config, &path, UnixStream::connect(&path))
        }
        None => Err(io::Error::other("it names no host")),
    }
}

fn shake_hands<S>(config: &Config, address: &str, stream: io::Result<S>) -> io::Result<Client>
where
    S: PollRead + PollWrite + Unpin + Send + 'static,
{
    let (client, connection) = stream
        .and_then(|stream| block_on(config.connect_raw(Async::new(stream), NoTls)).map_err(told))
        .map_err(about(address))?;
    // It ends when the client is dropped, or the server goes.
    drop(future::spawn(connection));
    Ok(client)
}

fn told(error: tokio_postgres::Error) -> io::Error {
    match error.source() {
        Some(reason) => io::Error::other(format!("{error}: {reason}")),
        None => io::Error::other(error),
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("database: {error}"),
        )
    }
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Refusal {
        // The class of SQLSTATE: data that it cannot take, or its own fault; without one it is not there.
        let class = error.code().map(|state| &state.code()[..2]);
        let status = match class {
            Some("22") => StatusCode::BAD_REQUEST,
            Some("08" | "53" | "57") | None => StatusCode::SERVICE_UNAVAILABLE,
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, format!("database: {}", told(error)))
    }
}
