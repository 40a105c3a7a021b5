//! Figures of a running program: what hubs, pools and servers count, for whoever collects it.
//!
//! Whatever counts implements [`Metrics`], and tells its figures to whoever asks: to [`prometheus`], which makes the text
//! that Prometheus reads, or to a closure that hands them to another collector. Asking costs the asker alone.
//!
//! | from | figures |
//! |---|---|
//! | [`report()`](crate::report()) | `green_hubs`, `green_threads` by state, `green_hub_…` for each hub |
//! | [`GreenPool`](crate::pool::GreenPool) | `green_pool_size`, `_running`, `_waiting`, `_started_total` |
//! | [`pools::Pool`](crate::pools::Pool) | `green_resources`, `_max`, `_in_use`, `_waiting`, `_made_total` |
//! | [`convenience::Server::counters`](crate::convenience::Server::counters) | `green_server_connections`, `_max`, `_total` |
//! | `counters` of `http::Server` | the same, `green_http_requests`, and `green_http_responses_total` by the first digit of the status |
//!
//! [`backdoor::Server::metrics`](crate::backdoor::Server::metrics) serves them at `/metrics`.
//!
//! ```
//! use green::metrics::{Metrics, prometheus};
//! use green::pool::GreenPool;
//!
//! let pool = GreenPool::new(20);
//! pool.spawn(|| ()).join().unwrap();
//! let text = prometheus([("", &green::report() as &dyn Metrics), ("resizing", &pool)]);
//! assert!(text.contains("# TYPE green_pool_started_total counter\n"));
//! assert!(text.contains("green_pool_started_total{name=\"resizing\"} 1\n"));
//! ```

mod hubs;
mod text;

#[cfg(feature = "backdoor")]
pub(crate) use hubs::{kind, kinds};
pub use text::prometheus;

/// What keeps figures of itself.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// use green::metrics::{Figure, Metrics, prometheus};
///
/// /// Of a shop.
/// #[derive(Default)]
/// struct Orders {
///     taken: AtomicU64,
/// }
///
/// impl Metrics for Orders {
///     fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
///         let taken = self.taken.load(Relaxed);
///         to(Figure::counter("shop_orders_total", "Orders taken.", taken));
///     }
/// }
///
/// let orders = Orders::default();
/// orders.taken.fetch_add(1, Relaxed);
/// assert!(prometheus([("", &orders as &dyn Metrics)]).ends_with("\nshop_orders_total 1\n"));
/// ```
pub trait Metrics {
    /// Tells each figure, those of one name with the same explanation and kind. Does not wait.
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>));
}

/// One figure.
///
/// ```
/// use green::metrics::{Figure, Kind};
///
/// let figure = Figure::gauge("shop_shelves", "Shelves by what is on them.", 3.0).labelled("of", "tea");
/// assert_eq!((figure.kind, figure.value, figure.label), (Kind::Gauge, 3.0, Some(("of", "tea"))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure<'a> {
    /// In Prometheus's letters: `[a-zA-Z_:][a-zA-Z0-9_:]*`. A counter's ends with `_total`.
    pub name: &'static str,
    /// One line.
    pub help: &'static str,
    /// Whether it can sink.
    pub kind: Kind,
    /// What tells it from others of its name.
    pub label: Option<(&'static str, &'a str)>,
    /// How much.
    pub value: f64,
}

/// Whether a figure can sink.
///
/// ```
/// use green::metrics::{Figure, Kind};
///
/// assert_eq!(Figure::counter("shop_orders_total", "Orders taken.", 7).kind, Kind::Counter);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It counts from the start, and never sinks.
    Counter,
    /// It is as it is now.
    Gauge,
}

impl<'a> Figure<'a> {
    /// One that never sinks.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Figure<'a> {
        Figure {
            kind: Kind::Counter,
            ..Figure::gauge(name, help, value as f64)
        }
    }

    /// One that is as it is now.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Figure<'a> {
        Figure {
            name,
            help,
            kind: Kind::Gauge,
            label: None,
            value,
        }
    }

    /// With what tells it from others of its name.
    #[must_use]
    pub fn labelled(self, key: &'static str, value: &'a str) -> Figure<'a> {
        Figure {
            label: Some((key, value)),
            ..self
        }
    }
}
