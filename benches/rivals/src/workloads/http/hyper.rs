//! The page by hyper on tokio: on the runtime's one thread, or on its workers.

use std::io;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use program::Arguments;
use tokio::net::{TcpListener, TcpStream};

#[path = "../../../services/page.rs"]
mod page;

use page::answer;

pub fn http1(arguments: &Arguments) -> io::Result<()> {
    serve(arguments, |stream| async {
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await
    })
}

pub fn http2(arguments: &Arguments) -> io::Result<()> {
    serve(arguments, |stream| async {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await
    })
}

fn serve<F>(arguments: &Arguments, connection: fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = hyper::Result<()>> + Send + 'static,
{
    let runtime = crate::workloads::tokio_runtime(arguments.workers)?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        program::announce(listener.local_addr()?)?;
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(connection(stream));
            }
        });
        accepting.await.map_err(io::Error::other)?
    })
}
