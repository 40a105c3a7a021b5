//! Why a request has not brought JSON.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why [`Json::of`](super::Json::of) has no value. A handler that returns it as its `Err` answers with its status.
///
/// ```
/// use green::http::{Body, IntoResponse, Json, Reply, Request, Response};
/// use serde_json::{Value, json};
///
/// /// Says what was wrong in JSON, too.
/// fn echo(mut request: Request<Body>) -> Response<Reply> {
///     match Json::<Value>::of(&mut request, 16 * 1024) {
///         Ok(value) => value.into_response(),
///         Err(error) => {
///             let why = json!({ "error": error.to_string() });
///             (error.status(), Json(why)).into_response()
///         }
///     }
/// }
/// # use std::io::{Read, Write};
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let mut client = green::connect(listener.local_addr()?)?;
/// # green::thread::spawn(|| green::http::serve(listener, echo));
/// # client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.ends_with(r#"{"error":"the content type is '', not application/json"}"#), "{answer}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NotJson {
    status: StatusCode,
    why: String,
}

impl NotJson {
    pub(super) fn new(status: StatusCode, why: impl fmt::Display) -> NotJson {
        NotJson {
            status,
            why: why.to_string(),
        }
    }

    /// 415 for another content type, 413 for a body that is too long, 408 for one that did not come in time, and 400 for
    /// one that ended early, is no JSON, or is no such value.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Error for NotJson {}
