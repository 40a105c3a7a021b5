//! JSON that requests bring and handlers return.

use std::collections::HashMap;

use green::http::{Body, IntoResponse, Json, NotJson, Reply, Request, Response, StatusCode};
use serde_json::Value;

use crate::{Served, bounded, nobody_is_left};

#[test]
fn json_is_read_by_its_content_type_and_an_error_has_its_status() {
    bounded("JSON of requests", || {
        let served = Served::new(
            |mut request: Request<Body>| -> Result<(StatusCode, Json<Value>), NotJson> {
                let Json(value) = Json::<Value>::of(&mut request, 8)?;
                Ok((StatusCode::ACCEPTED, Json(value)))
            },
        );
        let cases = [
            ("application/json", "[1, 2]", 202),
            ("Application/JSON ; charset=utf-8", "[1, 2]", 202),
            ("application/problem+json", "{}", 202),
            ("application/jsonp", "{}", 415),
            ("text/plain;application/json", "{}", 415),
            ("\u{ff}", "{}", 415),
            ("application/json", "12345678", 202),
            ("application/json", "123456789", 413),
            ("application/json", "", 400),
            ("application/json", "[1", 400),
            ("application/json", "[1] 2", 400),
        ];
        for (kind, body, status) in cases {
            let length = body.len();
            let chunks = match length {
                0 => "0\r\n\r\n".to_owned(),
                _ => format!("{length:x}\r\n{body}\r\n0\r\n\r\n"),
            };
            let announced = format!("content-length: {length}\r\n\r\n{body}");
            for rest in [
                announced,
                format!("transfer-encoding: chunked\r\n\r\n{chunks}"),
            ] {
                let answer = served.ask(&format!(
                    "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\n{rest}"
                ));
                let begin = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(&begin), "{kind} {rest}: {answer}");
                let is_json = answer.contains("\r\ncontent-type: application/json\r\n");
                assert_eq!(is_json, status == 202, "{answer}");
            }
        }
        nobody_is_left();
        served.stop();
    });
}

#[test]
fn a_value_that_has_no_form_in_json_is_500() {
    bounded("no JSON", || {
        let served = Served::new(|_: Request<Body>| -> Response<Reply> {
            let unnamed = HashMap::from([([1, 2], 3)]);
            Json(unnamed).into_response()
        });
        let answer = served.ask("GET / HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.0 500 "), "{answer}");
        served.stop();
    });
}
