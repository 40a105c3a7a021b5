//! Why a request that was passed on has no answer.

use std::io;

use greenhub::one_line;
use http::{Response, StatusCode};

use crate::http::reply::{IntoResponse, Reply};

pub(super) enum Failed {
    /// The client's body did not come.
    Client(io::Error),
    Late,
    Behind(Box<dyn std::error::Error + Send + Sync>),
}

impl Failed {
    pub(super) fn into_response(self, asked: &str) -> Response<Reply> {
        match self {
            // 408 where it was late, 400 where it ended early.
            Failed::Client(error) => Err::<StatusCode, _>(error).into_response(),
            Failed::Late => {
                log::warn!("{asked}: it took too long");
                told(StatusCode::GATEWAY_TIMEOUT, "it took too long")
            }
            Failed::Behind(error) => {
                log::warn!("{asked}: {}", one_line(error));
                told(StatusCode::BAD_GATEWAY, "no answer from behind")
            }
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        match crate::is_timeout(&error) {
            true => Failed::Late,
            false => Failed::Behind(error.into()),
        }
    }
}

pub(super) fn told(status: StatusCode, why: &str) -> Response<Reply> {
    let mut response = format!("{status}: {why}\n").into_response();
    *response.status_mut() = status;
    response
}
