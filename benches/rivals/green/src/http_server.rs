//! The page by `green::http`, whose handler is a function.

use std::io;

use green::http::header::{CONTENT_TYPE, HeaderValue};
use green::http::{Body, Method, Request, Response, Server, StatusCode};
use green::net::TcpListener;
use program::{Arguments, PAGE};

pub fn serve(_: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program::announce(listener.local_addr()?)?;
    let server = Server::new(listener).concurrency(usize::MAX >> 4);
    server.run(answer).map(drop)
}

fn answer(request: Request<Body>) -> Response<&'static str> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/hello") => (StatusCode::OK, PAGE),
        _ => (StatusCode::NOT_FOUND, ""),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
