//! TLS on tokio: tokio-native-tls on the runtime's one thread, or on its workers.

use std::io;

use program::bulk::{BLOCK, HEAD, Request};
use program::{Arguments, BUFFER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_native_tls::{TlsAcceptor, TlsStream};

type Tls = TlsStream<TcpStream>;

/// Returns what it is given.
pub fn echo(arguments: &Arguments) -> io::Result<()> {
    serve(arguments, converse_echo)
}

/// Takes and sends as much as it is told.
pub fn bulk(arguments: &Arguments) -> io::Result<()> {
    serve(arguments, converse_bulk)
}

async fn converse_echo(mut tls: Tls) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match tls.read(&mut buffer).await? {
            0 => return tls.shutdown().await,
            length => tls.write_all(&buffer[..length]).await?,
        }
    }
}

async fn converse_bulk(mut tls: Tls) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    loop {
        let mut head = [0; HEAD];
        tls.read_exact(&mut head).await?;
        let request = Request::from_head(head);
        let mut left = request.up;
        while left > 0 {
            let most = left.min(BLOCK);
            match tls.read(&mut buffer[..most]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => left -= length,
            }
        }
        for length in request.writes() {
            tls.write_all(&buffer[..length]).await?;
        }
        tls.write_all(&head).await?;
    }
}

fn serve<F>(arguments: &Arguments, converse: fn(Tls) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(super::acceptor()?);
    let runtime = crate::workloads::tokio_runtime(arguments.workers)?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        program::announce(listener.local_addr()?)?;
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let acceptor = acceptor.clone();
                // A connection that fails is the generator's to report.
                tokio::spawn(async move {
                    if let Ok(tls) = acceptor.accept(stream).await {
                        drop(converse(tls).await);
                    }
                });
            }
        });
        accepting.await.map_err(io::Error::other)?
    })
}
