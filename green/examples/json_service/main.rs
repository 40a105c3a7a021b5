//! A service that speaks JSON: notes, which are made, read, changed and deleted, and kept in PostgreSQL.
//!
//! ```sh
//! cargo run --release -p green-std --features json,tokio-io --example json_service -- \
//!     127.0.0.1:8080 postgres://me:secret@127.0.0.1/notes
//! curl -H 'content-type: application/json' -d '{"title": "milk"}' http://127.0.0.1:8080/notes
//! ```
//!
//! What goes wrong is said in JSON too: `{"error":"there is no note 7"}`.

use std::io::{self, Read};
use std::process::ExitCode;

mod database;
#[path = "../program/mod.rs"]
mod program;
#[path = "../program/serving.rs"]
mod serving;

use green::http::{Body, IntoResponse, Json, Method, Reply, Request, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use database::{INSERT, Notes, Refusal};
use program::{Program, counted};
use serving::{Bounds, Serving, say};

const PROGRAM: Program = Program {
    name: "json_service",
    usage: "\
Usage: json_service ADDRESS DATABASE

  ADDRESS            where to listen, such as 127.0.0.1:8080
  DATABASE           such as postgres://me:secret@127.0.0.1/notes, or
                     'host=/run/postgresql user=me dbname=notes'

  GET /notes         the newest thousand notes
  POST /notes        makes one of {\"title\": \"milk\", \"done\": false}, whose
                     done may be left out
  PUT /notes         puts a list of them in place of all, each or none
  GET /notes/ID      one note; PUT puts another one in its place, DELETE
                     deletes it

A body has at most 16 KiB. Ctrl-C or SIGTERM stops it once the requests under
way are answered.",
};

/// The longest body of a request.
const LONGEST: usize = 16 * 1024;

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

fn main() -> ExitCode {
    PROGRAM.run_words(|words| match words {
        [address, database] => Some(run(address, database)),
        _ => None,
    })
}

fn run(address: &str, database: &str) -> io::Result<()> {
    let notes = Notes::open(database)?;
    let served = Serving::at(address).run(
        &Bounds::default(),
        |url| say(format!("notes on {url}notes")),
        move |mut request: Request<Body>| {
            let answer = answer(&notes, &mut request).unwrap_or_else(IntoResponse::into_response);
            // There are clients that miss an answer which comes while they send, unless they wait for a go-ahead.
            if !request.headers().contains_key(header::EXPECT) {
                let _ = io::copy(&mut request.into_body().take(1 << 20), &mut io::sink());
            }
            answer
        },
    )?;
    let connections = counted(served.connections, "connection");
    say(format!("stopped after {connections}"));
    Ok(())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Reply> {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn answer(notes: &Notes, request: &mut Request<Body>) -> Result<Response<Reply>, Refusal> {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    Ok(match (path.as_slice(), method.as_str()) {
        (["notes"], "GET" | "HEAD") => {
            let newest = "SELECT * FROM notes ORDER BY id DESC LIMIT 1000";
            Json(notes.query(newest, &[])?).into_response()
        }
        (["notes"], "POST") => {
            let Json(Note { title, done, .. }) = Json::of(request, LONGEST)?;
            let made = &notes.query(INSERT, &[&title, &done])?[0];
            let place = [(header::LOCATION, format!("/notes/{}", made.id))];
            (StatusCode::CREATED, place, Json(made)).into_response()
        }
        (["notes"], "PUT") => {
            let Json(all) = Json::<Vec<Note>>::of(request, LONGEST)?;
            Json(notes.replace(&all)?).into_response()
        }
        (["notes", id], "GET" | "HEAD") => {
            let found = notes.query("SELECT * FROM notes WHERE id = $1", &[&number(id)])?;
            one(found, id)?.into_response()
        }
        (["notes", id], "PUT") => {
            let Json(Note { title, done, .. }) = Json::of(request, LONGEST)?;
            let change = "UPDATE notes SET title = $2, done = $3 WHERE id = $1 RETURNING *";
            one(notes.query(change, &[&number(id), &title, &done])?, id)?.into_response()
        }
        (["notes", id], "DELETE") => {
            let gone = notes.query(
                "DELETE FROM notes WHERE id = $1 RETURNING *",
                &[&number(id)],
            )?;
            one(gone, id)?;
            StatusCode::NO_CONTENT.into_response()
        }
        (["notes"], _) => not_allowed(&method, "GET, HEAD, POST, PUT"),
        (["notes", _], _) => not_allowed(&method, "GET, HEAD, PUT, DELETE"),
        _ => {
            let why = format!("there is nothing at {}", uri.path());
            return Err(Refusal(StatusCode::NOT_FOUND, why));
        }
    })
}

/// No note has the number 0.
fn number(id: &str) -> i64 {
    id.parse().unwrap_or(0)
}

fn one(found: Vec<Note>, id: &str) -> Result<Json<Note>, Refusal> {
    let missing = || Refusal(StatusCode::NOT_FOUND, format!("there is no note {id}"));
    found.into_iter().next().map(Json).ok_or_else(missing)
}

fn not_allowed(method: &Method, allow: &str) -> Response<Reply> {
    let why = format!("{method} is none of {allow}");
    let refused = Refusal(StatusCode::METHOD_NOT_ALLOWED, why);
    (refused.0, [(header::ALLOW, allow)], refused).into_response()
}
