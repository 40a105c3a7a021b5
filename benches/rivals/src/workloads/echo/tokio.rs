//! The echo server on tokio: on the runtime's one thread, or on its workers.

use std::io;

use program::{Arguments, BUFFER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub fn serve(arguments: &Arguments) -> io::Result<()> {
    let runtime = crate::workloads::tokio_runtime(arguments.workers)?;
    let limit = arguments.read_timeout;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        program::announce(listener.local_addr()?)?;
        // A task of its own, as tokio advises: with workers, the future given
        // to `block_on` runs outside them.
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                match limit {
                    None => tokio::spawn(echo(stream)),
                    Some(limit) => tokio::spawn(echo_guarded(stream, limit)),
                };
            }
        });
        accepting.await.map_err(io::Error::other)?
    })
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn echo_guarded(mut stream: TcpStream, limit: std::time::Duration) {
    let mut buffer = [0; BUFFER];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(limit, stream.read(&mut buffer)).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
