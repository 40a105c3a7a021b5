//! A service that speaks JSON: notes, which are made, read, changed and deleted, and kept in memory.
//!
//! ```sh
//! cargo run --release -p green-std --features http --example json_service -- 127.0.0.1:8080
//! curl -H 'content-type: application/json' -d '{"title": "milk"}' http://127.0.0.1:8080/notes
//! ```
//!
//! It answers HTTP/1.1 and HTTP/2. What goes wrong is said in JSON too: `{"error":"there is no note 7"}`.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::ExitCode;

mod program;
#[path = "program/serving.rs"]
mod serving;

use green::http::{
    Body, HeaderName, HeaderValue, IntoResponse, Reply, Request, Response, StatusCode, header,
    request::Parts,
};
use green::sync::Mutex;
use serde::{Deserialize, Serialize};

use program::{Program, counted};
use serving::{Bounds, Serving, say};

const PROGRAM: Program = Program {
    name: "json_service",
    usage: "\
Usage: json_service ADDRESS

  ADDRESS   where to listen, such as 127.0.0.1:8080

  GET    /notes      all notes
  POST   /notes      makes one of {\"title\": \"milk\", \"done\": false}, whose done
                     may be left out
  GET    /notes/ID   one note
  PUT    /notes/ID   puts another one in its place
  DELETE /notes/ID   deletes it

A note has at most 16 KiB, and there are at most 10,000. Ctrl-C or SIGTERM stops
it once the requests under way are answered.",
};

/// The longest body of a request.
const LONGEST: usize = 16 * 1024;
/// How much of a body that nobody wants is received all the same.
const MOST_UNREAD: u64 = 1024 * 1024;
const MOST_NOTES: usize = 10_000;

fn main() -> ExitCode {
    PROGRAM.run_words(|words| match words {
        [address] => Some(run(address)),
        _ => None,
    })
}

fn run(address: &str) -> io::Result<()> {
    let notes = Mutex::new(Notes::default());
    let served = Serving::at(address).run(
        // No limit of a body: it would be told without JSON.
        &Bounds::default(),
        |url| say(format!("notes on {url}notes")),
        move |request: Request<Body>| {
            let (head, mut body) = request.into_parts();
            let answer = answer(&notes, &head, &mut body).unwrap_or_else(told);
            // There are clients that miss an answer which comes while they send, unless they wait for a go-ahead.
            if !head.headers.contains_key(header::EXPECT) {
                let _ = io::copy(&mut body.take(MOST_UNREAD), &mut io::sink());
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
    /// Given here, and taken from nobody.
    #[serde(skip_deserializing)]
    id: u64,
    title: String,
    #[serde(default)]
    done: bool,
}

#[derive(Default)]
struct Notes {
    by_id: BTreeMap<u64, Note>,
    last: u64,
}

/// The status of a request that is not done, and why.
struct Refusal(StatusCode, String);

fn answer(notes: &Mutex<Notes>, head: &Parts, body: &mut Body) -> Result<Response<Reply>, Refusal> {
    let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    match (path.as_slice(), head.method.as_str()) {
        (["notes"], "GET" | "HEAD") => {
            let notes = notes.lock().unwrap();
            Ok(json(StatusCode::OK, &Vec::from_iter(notes.by_id.values())))
        }
        (["notes"], "POST") => {
            let mut note = read_note(head, body)?;
            let mut notes = notes.lock().unwrap();
            if notes.by_id.len() == MOST_NOTES {
                let why = format!("there are {MOST_NOTES} notes already");
                return Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, why));
            }
            notes.last += 1;
            note.id = notes.last;
            let mut made = json(StatusCode::CREATED, &note);
            set(&mut made, header::LOCATION, &format!("/notes/{}", note.id));
            notes.by_id.insert(note.id, note);
            Ok(made)
        }
        (["notes", id], method @ ("GET" | "HEAD" | "PUT" | "DELETE")) => {
            // Read before the lock is taken: it may take its time.
            let new = match method {
                "PUT" => Some(read_note(head, body)?),
                _ => None,
            };
            let mut notes = notes.lock().unwrap();
            let known = id.parse().ok().filter(|id| notes.by_id.contains_key(id));
            let unknown = || Refusal(StatusCode::NOT_FOUND, format!("there is no note {id}"));
            let id = known.ok_or_else(unknown)?;
            if method == "DELETE" {
                notes.by_id.remove(&id);
                return Ok(StatusCode::NO_CONTENT.into_response());
            }
            if let Some(new) = new {
                notes.by_id.insert(id, Note { id, ..new });
            }
            Ok(json(StatusCode::OK, &notes.by_id[&id]))
        }
        (["notes"], _) => Ok(not_allowed(head, "GET, HEAD, POST")),
        (["notes", _], _) => Ok(not_allowed(head, "GET, HEAD, PUT, DELETE")),
        _ => {
            let why = format!("there is nothing at {}", head.uri.path());
            Err(Refusal(StatusCode::NOT_FOUND, why))
        }
    }
}

fn not_allowed(head: &Parts, allow: &str) -> Response<Reply> {
    let why = format!("{} is none of {allow}", head.method);
    let mut response = told(Refusal(StatusCode::METHOD_NOT_ALLOWED, why));
    set(&mut response, header::ALLOW, allow);
    response
}

/// The note that a request brings.
fn read_note(head: &Parts, body: &mut Body) -> Result<Note, Refusal> {
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let why = format!("the content type is '{kind}', not application/json");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    // Of one that says its length nothing need be read.
    if body.length().is_some_and(|length| length > LONGEST as u64) {
        return Err(too_long());
    }
    let text = body.read_all(LONGEST).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => too_long(),
        io::ErrorKind::TimedOut => Refusal(StatusCode::REQUEST_TIMEOUT, error.to_string()),
        _ => Refusal(StatusCode::BAD_REQUEST, error.to_string()),
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

fn too_long() -> Refusal {
    let why = format!("the body is longer than {LONGEST} bytes");
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn told(Refusal(status, why): Refusal) -> Response<Reply> {
    json(status, &serde_json::json!({ "error": why }))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Reply> {
    let text = serde_json::to_vec(value).expect("nothing here has no form in JSON");
    let mut response = text.into_response();
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

fn set(response: &mut Response<Reply>, name: HeaderName, value: &str) {
    let value = HeaderValue::try_from(value).expect("made here, of what a header may have");
    response.headers_mut().insert(name, value);
}
