//! Services of tower, such as axum's `Router`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use greenhub::future::block_on;
use greenhub::{catch_panic, discard_panic};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tower_service::Service;

use super::body::{Body, BoxError};
use super::handler::{Answer, Handler, Place};
use super::named::Named;
use super::reply::{IntoResponse, Reply};

/// A service of tower as a [`Handler`], such as axum's `Router`.
///
/// An `async fn` in it may call functions that park green threads: it holds up only its own connection, or its own
/// stream of HTTP/2. Code that needs tokio's own sockets or timers does not work; see [`aio`](crate::aio).
///
/// The service reads the request's [`Body`] by http-body's trait of that name, within [`Server::read_timeout`](super::Server::read_timeout)
/// and [`Server::max_body`](super::Server::max_body). What it makes of an error is its own matter: axum's extractors answer 413 to what is
/// too long, and 400 to all else. If it returns that error, or one whose source it is, the answer is the one that a function's gets: 408, 413 or 400.
///
/// ```no_run
/// use std::convert::Infallible;
///
/// use green::http::{self, Body, Request, Response, Tower};
///
/// # #[derive(Clone)]
/// # struct Router;
/// # impl tower_service::Service<Request<Body>> for Router {
/// #     type Response = Response<String>;
/// #     type Error = Infallible;
/// #     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: Request<Body>) -> Self::Future {
/// #         std::future::ready(Ok(Response::new("routed".to_owned())))
/// #     }
/// # }
/// let router = Router; // axum::Router::new().route("/", get(|| async { "routed" }))
/// http::serve(green::listen("127.0.0.1:8080")?, Tower(router))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tower<S>(pub S);

impl<S, B> Handler for Tower<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn answer(self: &Arc<Self>, request: Request<Incoming>, place: &Place) -> Answer {
        let service = self.0.clone();
        let request = Body::of(request, place.limits);
        if request.version() == Version::HTTP_2 || request.body().is_end_stream() {
            return Answer::later(call(service, request));
        }
        // Somewhere in it somebody may wait for the body, which the connection's own thread receives.
        let crew = place.crew.clone();
        Answer::later(async move {
            let (sender, receiver) = oneshot::channel();
            crew.start("http request", move || {
                let _ = sender.send(block_on(call(service, request)));
            });
            let gone = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
            receiver.await.unwrap_or_else(gone)
        })
    }
}

async fn call<S, B>(mut service: S, request: Request<Body>) -> Response<Reply>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let named = Named::of(&request);
    let mut answer = pin!(async {
        poll_fn(|context| service.poll_ready(context)).await?;
        service.call(request).await
    });
    let answer = poll_fn(|context| {
        let polled = catch_panic(|| answer.as_mut().poll(context));
        let polled = polled.map_err(discard_panic);
        polled.map_or_else(|()| std::task::Poll::Ready(None), |polled| polled.map(Some))
    });
    match answer.await {
        Some(Ok(response)) => response.map(Reply::boxed),
        Some(Err(error)) => Err::<(), _>(error).map(|()| StatusCode::OK).into_response(),
        None => {
            log::error!("{named}: the service panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
