//! gRPC by tonic on both sides: its services on the server, and its channel over green streams.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Ready, ready};
use green::aio::Async;
use green::http::{GreenExecutor, Tower, Uri};
use green::net::TcpStream;
use green::{block_on, thread, timeout};
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;

use crate::{Served, bounded, nobody_is_left};

/// Connects a channel, in blocking style.
#[derive(Clone)]
struct Connects(SocketAddr);

impl tower_service::Service<Uri> for Connects {
    type Response = Async<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Async<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(TcpStream::connect(self.0).map(Async::new))
    }
}

fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.executor(GreenExecutor);
    block_on(endpoint.connect_with_connector(Connects(address))).unwrap()
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[test]
fn a_service_of_tonic_is_called_over_its_channel() {
    bounded("tonic", || {
        let (reporter, service) = health_reporter();
        block_on(reporter.set_service_status("notes", Serving));
        let routes = Routes::new(service).prepare();
        let served = Served::new(Tower(routes.into_axum_router()));
        let mut client = HealthClient::new(channel(served.address));
        let known = block_on(client.check(about("notes"))).unwrap();
        assert_eq!(known.into_inner().status, Serving as i32);
        // Told by trailers.
        let unknown = block_on(client.check(about("music"))).unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        // A stream, whose next message has not come yet.
        let watch = block_on(client.watch(about("notes"))).unwrap();
        let mut watch = watch.into_inner();
        let next = block_on(watch.message()).unwrap().unwrap();
        assert_eq!(next.status, Serving as i32);
        assert!(timeout(Duration::from_millis(20), || block_on(watch.message())).is_err());
        let asked: Vec<_> = (0..100)
            .map(|_| {
                let mut client = client.clone();
                thread::spawn(move || block_on(client.check(about("notes"))).is_ok())
            })
            .collect();
        assert!(asked.into_iter().all(|asked| asked.join().unwrap()));
        block_on(reporter.set_service_status("notes", NotServing));
        let next = block_on(watch.message()).unwrap().unwrap();
        assert_eq!(next.status, NotServing as i32);
        drop((client, watch));
        nobody_is_left();
        served.stop();
    });
}
