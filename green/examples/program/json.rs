//! What a program that speaks JSON takes and gives.

use std::io;

use green::http::request::Parts;
use green::http::{
    Body, HeaderName, HeaderValue, IntoResponse, Reply, Response, StatusCode, header,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest body of a request.
const LONGEST: usize = 16 * 1024;

/// The status of a request that is not done, and why.
pub struct Refusal(pub StatusCode, pub String);

/// What a request brings.
pub fn read<T: DeserializeOwned>(head: &Parts, body: &mut Body) -> Result<T, Refusal> {
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let why = format!("the content type is '{kind}', not application/json");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let too_long = || {
        let why = format!("the body is longer than {LONGEST} bytes");
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
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

pub fn told(Refusal(status, why): Refusal) -> Response<Reply> {
    json(status, &serde_json::json!({ "error": why }))
}

pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Reply> {
    let text = serde_json::to_vec(value).expect("nothing here has no form in JSON");
    let mut response = text.into_response();
    *response.status_mut() = status;
    with(header::CONTENT_TYPE, "application/json", response)
}

pub fn with(name: HeaderName, value: &str, mut response: Response<Reply>) -> Response<Reply> {
    let value = HeaderValue::try_from(value).expect("made here, of what a header may have");
    response.headers_mut().insert(name, value);
    response
}
