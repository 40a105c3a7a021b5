//! The notes in PostgreSQL: the crate tokio-postgres over green sockets, in blocking style and without tokio's runtime.

use std::error::Error;
use std::time::Duration;
use std::{io, iter};

use green::aio::{Async, PollRead, PollWrite};
use green::http::{NotJson, StatusCode};
use green::net::TcpStream;
use green::os::unix::net::UnixStream;
use green::pools::Pool;
use green::{block_on, future, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, config::Host};

use crate::Note;
use crate::program::about;

/// How long a request may wait for the database, a free connection included.
const PATIENCE: Duration = Duration::from_secs(10);
const TABLE: &str = "CREATE TABLE IF NOT EXISTS notes (id BIGINT PRIMARY KEY
    GENERATED ALWAYS AS IDENTITY, title TEXT NOT NULL, done BOOLEAN NOT NULL)";
pub const INSERT: &str = "INSERT INTO notes (title, done) VALUES ($1, $2) RETURNING *";

pub struct Notes(Pool<Client>);

impl Notes {
    /// Connects once, to say at the start what is wrong.
    pub fn open(database: &str) -> io::Result<Notes> {
        let config = database.parse::<Config>().map_err(failed);
        let mut config = config.map_err(about(format_args!("'{database}'")))?;
        // The database gives up before, and so does nothing later that was answered with an error.
        config.options("-c statement_timeout=5s");
        let run = |client: &mut Client, sql| block_on(client.batch_execute(sql));
        let pool = Pool::new(8, move || timeout(PATIENCE, || connect(&config))?)
            .max_age(Duration::from_secs(3600))
            .check(move |client| run(client, "").is_ok())
            .cleanup(Duration::from_secs(1), move |client| {
                run(client, "ROLLBACK").is_ok()
            });
        run(&mut *pool.get()?, TABLE).map_err(failed)?;
        Ok(Notes(pool))
    }

    /// Calls `work` with a connection. If it panics or is late, what it has begun is rolled back.
    fn with<T>(&self, work: impl FnOnce(&mut Client) -> Result<T, Refusal>) -> Result<T, Refusal> {
        timeout(PATIENCE, || work(&mut *self.0.get()?))?
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
            let made = notes.iter().map(|Note { title, done, .. }| {
                let row = block_on(transaction.query_one(INSERT, &[title, done]))?;
                Ok(note(&row))
            });
            let made = made.collect::<Result<_, Refusal>>()?;
            block_on(transaction.commit())?;
            Ok(made)
        })
    }
}

/// Panics if the table has other columns than ours.
fn note(row: &Row) -> Note {
    let (id, title, done) = (row.get("id"), row.get("title"), row.get("done"));
    Note { id, title, done }
}

fn connect(config: &Config) -> io::Result<Client> {
    let port = config.get_ports().first().unwrap_or(&5432);
    match config.get_hosts().first() {
        Some(Host::Unix(folder)) => {
            let path = format!("{}/.s.PGSQL.{port}", folder.display());
            log_in(config, UnixStream::connect(&path)).map_err(about(path))
        }
        Some(Host::Tcp(name)) => {
            let address = format!("{name}:{port}");
            log_in(config, TcpStream::connect(&address)).map_err(about(address))
        }
        None => Err(io::Error::other("it names no host")),
    }
}

fn log_in<S>(config: &Config, stream: io::Result<S>) -> io::Result<Client>
where
    S: PollRead + PollWrite + Unpin + Send + 'static,
{
    let connected = block_on(config.connect_raw(Async::new(stream?), NoTls));
    let (client, connection) = connected.map_err(failed)?;
    // It ends when the client is dropped, or the server goes.
    drop(future::spawn(connection));
    Ok(client)
}

fn failed(error: tokio_postgres::Error) -> io::Error {
    io::Error::other(told(&error))
}

/// What went wrong, and why.
fn told(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The status of a request that is not done, and why.
pub struct Refusal(pub StatusCode, pub String);

impl<E: Error + 'static> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        let error: &(dyn Error + 'static) = &error;
        if let Some(not_json) = error.downcast_ref::<NotJson>() {
            return Refusal(not_json.status(), not_json.to_string());
        }
        // The class of SQLSTATE: data that it cannot take, or its own fault; without one it is not there.
        let of_it = error.downcast_ref::<tokio_postgres::Error>();
        let class = of_it.and_then(|error| Some(&error.code()?.code()[..2]));
        let status = match class {
            Some("22") => StatusCode::BAD_REQUEST,
            Some("08" | "53" | "57") | None => StatusCode::SERVICE_UNAVAILABLE,
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, format!("database: {}", told(error)))
    }
}
