//! JSON: what a handler returns, and what a request brings.

use std::io;

use http::{HeaderValue, Request, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::Body;
use super::not_json::NotJson;
use super::reply::{IntoResponse, Reply};

/// A value as JSON: what a handler returns, or what a request brings. Needs the feature `json`, which brings serde_json.
///
/// A value that has no form in JSON, such as a map whose keys are no text, is logged and answered with 500.
///
/// ```
/// use green::http::{self, Body, Json, NotJson, Request, StatusCode};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Serialize)]
/// struct Note {
///     title: String,
/// }
///
/// fn louder(mut request: Request<Body>) -> Result<(StatusCode, Json<Note>), NotJson> {
///     let Json(note) = Json::<Note>::of(&mut request, 16 * 1024)?;
///     let title = note.title.to_uppercase();
///     Ok((StatusCode::CREATED, Json(Note { title })))
/// }
///
/// # use std::io::{Read, Write};
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # green::thread::spawn(|| http::serve(listener, louder));
/// # let ask = |kind: &str, body: &str| -> std::io::Result<String> {
/// # let mut client = green::connect(address)?;
/// # let length = body.len();
/// # write!(client, "POST / HTTP/1.0\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # Ok(answer) };
/// # let answer = ask("application/json", r#"{"title": "milk"}"#)?;
/// # assert!(answer.starts_with("HTTP/1.0 201 ") && answer.ends_with(r#"{"title":"MILK"}"#), "{answer}");
/// # assert!(ask("application/json", "{}")?.starts_with("HTTP/1.0 400 "));
/// # assert!(ask("text/plain", "{}")?.starts_with("HTTP/1.0 415 "));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Json<T> {
    /// What the body of `request` says, of at most `most` bytes.
    ///
    /// The request's `Content-Type` must be `application/json`, or end in `+json`. So a page of another site cannot
    /// have a browser send it without asking.
    ///
    /// # Errors
    ///
    /// [`NotJson`]; of a body that says that it is longer nothing is read.
    pub fn of(request: &mut Request<Body>, most: usize) -> Result<Json<T>, NotJson> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !is_json(kind) {
            let why = format!("the content type is '{kind}', not application/json");
            return Err(NotJson::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let too_long = || {
            let why = format!("the body is longer than {most} bytes");
            NotJson::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        };
        let body = request.body_mut();
        if body.length().is_some_and(|length| length > most as u64) {
            return Err(too_long());
        }
        let text = body.read_all(most).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => too_long(),
            io::ErrorKind::TimedOut => NotJson::new(StatusCode::REQUEST_TIMEOUT, error),
            _ => NotJson::new(StatusCode::BAD_REQUEST, error),
        })?;
        let value = serde_json::from_slice(&text);
        value
            .map(Json)
            .map_err(|error| NotJson::new(StatusCode::BAD_REQUEST, error))
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Reply> {
        let text = match serde_json::to_vec(&self.0) {
            Ok(text) => text,
            Err(error) => return Err::<StatusCode, _>(error).into_response(),
        };
        let mut response = text.into_response();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
