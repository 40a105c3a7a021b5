//! The page by hyper alone, over green streams as futures.

use std::io;

use green::aio::Async;
use green::future::spawn_local;
use green::http::GreenExecutor;
use green::net::{TcpListener, TcpStream};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use program::Arguments;

#[path = "../../services/page.rs"]
mod page;

use page::answer;

pub fn http1(_: &Arguments) -> io::Result<()> {
    serve(|stream| async {
        http1::Builder::new()
            .serve_connection(Async::new(stream), service_fn(answer))
            .await
    })
}

pub fn http2(_: &Arguments) -> io::Result<()> {
    serve(|stream| async {
        http2::Builder::new(GreenExecutor)
            .serve_connection(Async::new(stream), service_fn(answer))
            .await
    })
}

fn serve<F>(connection: fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = hyper::Result<()>> + 'static,
{
    green::run(move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        program::announce(listener.local_addr()?)?;
        for stream in listener.incoming() {
            let stream = stream?;
            stream.set_nodelay(true)?;
            drop(spawn_local(connection(stream)));
        }
        Ok(())
    })
}
