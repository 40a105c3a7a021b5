//! A service that speaks JSON: notes, which are made, read, changed and deleted, and kept in PostgreSQL.
//!
//! ```sh
//! cargo run --release -p green-std --features json,tokio-io --example json_service -- \
//!     127.0.0.1:8080 postgres://me:secret@127.0.0.1/notes
//! curl -H 'content-type: application/json' -d '{"title": "milk"}' http://127.0.0.1:8080/notes
//! ```
//!
//! It answers HTTP/1.1 and HTTP/2. What goes wrong is said in JSON too: `{"error":"there is no note 7"}`.

use std::io::{self, Read};
use std::process::ExitCode;

mod database;
#[path = "../program/mod.rs"]
mod program;
#[path = "../program/serving.rs"]
mod serving;

use green::http::{
    Body, HeaderName, HeaderValue, IntoResponse, Json, Method, NotJson, Reply, Request, Response,
    StatusCode, header,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use database::{INSERT, Notes};
use program::{Program, counted};
use serving::{Bounds, Serving, say};

const PROGRAM: Program = Program {
    name: "json_service",
    usage: "\
Usage: json_service ADDRESS DATABASE

  ADDRESS    where to listen, such as 127.0.0.1:8080
  DATABASE   a PostgreSQL, as libpq takes it, such as
             postgres://me:secret@127.0.0.1/notes, or
             'host=/run/postgresql user=me dbname=notes'

  GET    /notes      the newest thousand notes
  POST   /notes      makes one of {\"title\": \"milk\", \"done\": false}, whose done
                     may be left out
  PUT    /notes      puts a list of them in place of all, each or none
  GET    /notes/ID   one note
  PUT    /notes/ID   puts another one in its place
  DELETE /notes/ID   deletes it

A body has at most 16 KiB. Ctrl-C or SIGTERM stops it once the requests under
way are answered.",
};

/// The longest body of a request.
const LONGEST: usize = 16 * 1024;
/// How much of a body that nobody wants is received all the same.
const MOST_UNREAD: u64 = 1024 * 1024;

fn main() -> ExitCode {
    PROGRAM.run_words(|words| match words {
        [address, database] => Some(run(address, database)),
        _ => None,
    })
}

fn run(address: &str, database: &str) -> io::Result<()> {
    let notes = Notes::open(database)?;
    let served = Serving::at(address).run(
        // No limit of a body: it would be told without JSON.
        &Bounds::default(),
        |url| say(format!("notes on {url}notes")),
        move |mut request: Request<Body>| {
            let answer = answer(&notes, &mut request).unwrap_or_else(told);
            // There are clients that miss an answer which comes while they send, unless they wait for a go-ahead.
            if !request.headers().contains_key(header::EXPECT) {
                let _ = io::copy(&mut request.into_body().take(MOST_UNREAD), &mut io::sink());
            }
            answer
        },
    )?;
    let connections = counted(served.connections, "connection");
    say(format!("stopped after {connections}"));
    Ok(())
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The database's, and taken from nobody.
    #[serde(skip_deserializing)]
    id: i64,
    title: String,
    #[serde(default)]
    done: bool,
}

/// The status of a request that is not done, and why.
struct Refusal(StatusCode, String);

impl From<NotJson> for Refusal {
    fn from(error: NotJson) -> Refusal {
        Refusal(error.status(), error.to_string())
    }
}

fn told(Refusal(status, why): Refusal) -> Response<Reply> {
    (status, Json(json!({ "error": why }))).into_response()
}

fn answer(notes: &Notes, request: &mut Request<Body>) -> Result<Response<Reply>, Refusal> {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    match (path.as_slice(), method.as_str()) {
        (["notes"], "GET" | "HEAD") => {
            let newest = "SELECT * FROM notes ORDER BY id DESC LIMIT 1000";
            Ok(Json(notes.query(newest, &[])?).into_response())
        }
        (["notes"], "POST") => {
            let Json(Note { title, done, .. }) = Json::of(request, LONGEST)?;
            let made = notes.query(INSERT, &[&title, &done])?;
            let place = format!("/notes/{}", made[0].id);
            let made = (StatusCode::CREATED, Json(&made[0])).into_response();
            Ok(with(header::LOCATION, &place, made))
        }
        (["notes"], "PUT") => {
            let Json(all) = Json::<Vec<Note>>::of(request, LONGEST)?;
            Ok(Json(notes.replace(&all)?).into_response())
        }
        (["notes", id], method @ ("GET" | "HEAD" | "PUT" | "DELETE")) => {
            // No note has the number 0.
            let number = id.parse::<i64>().unwrap_or(0);
            let found = match method {
                "PUT" => {
                    let Json(Note { title, done, .. }) = Json::of(request, LONGEST)?;
                    let change = "UPDATE notes SET title = $2, done = $3 WHERE id = $1 RETURNING *";
                    notes.query(change, &[&number, &title, &done])
                }
                "DELETE" => notes.query("DELETE FROM notes WHERE id = $1 RETURNING *", &[&number]),
                _ => notes.query("SELECT * FROM notes WHERE id = $1", &[&number]),
            }?;
            match found.first() {
                None => Err(Refusal(
                    StatusCode::NOT_FOUND,
                    format!("there is no note {id}"),
                )),
                Some(_) if method == "DELETE" => Ok(StatusCode::NO_CONTENT.into_response()),
                Some(note) => Ok(Json(note).into_response()),
            }
        }
        (["notes"], _) => Ok(not_allowed(&method, "GET, HEAD, POST, PUT")),
        (["notes", _], _) => Ok(not_allowed(&method, "GET, HEAD, PUT, DELETE")),
        _ => {
            let why = format!("there is nothing at {}", uri.path());
            Err(Refusal(StatusCode::NOT_FOUND, why))
        }
    }
}

fn not_allowed(method: &Method, allow: &str) -> Response<Reply> {
    let why = format!("{method} is none of {allow}");
    let refused = told(Refusal(StatusCode::METHOD_NOT_ALLOWED, why));
    with(header::ALLOW, allow, refused)
}

fn with(name: HeaderName, value: &str, mut response: Response<Reply>) -> Response<Reply> {
    let value = HeaderValue::try_from(value).expect("made here, of what a header may have");
    response.headers_mut().insert(name, value);
    response
}
