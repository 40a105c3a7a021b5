//! The client: ureq over green sockets.

use http::Response;
use std::sync::OnceLock;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};
use ureq::{Agent, Body, Error};

mod connector;
#[cfg(feature = "tls")]
mod tls;

use connector::{GreenConnector, GreenResolver};

/// An agent of ureq's whose requests park the green thread that makes them: it keeps connections for the next request, follows
/// redirects, and has ureq's settings for limits, proxies and the rest.
///
/// `https` uses [`native_tls`](crate::native_tls) and trusts the certificates that the system trusts; without the
/// feature `tls` it fails. A name is looked up on the blocking pool. Proxies are those for HTTP (`CONNECT`); SOCKS
/// needs ureq's feature.
///
/// ureq logs at level debug under the lock of its pool, which blocks OS threads: a logger of [`log`] that parks its green thread
/// there may hold up the hub. So it must not wait for that level of ureq's, or leave it out.
///
/// ```
/// use std::time::Duration;
///
/// use green::http::{self, ureq};
///
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let page = format!("http://{}/page", listener.local_addr()?);
/// # green::thread::spawn(|| http::serve(listener, |_: http::Request<http::Body>| "hello"));
/// let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10)));
/// let agent = http::agent(config.build());
/// let mut response = agent.get(&page).header("accept", "text/plain").call()?;
/// assert_eq!(response.body_mut().read_to_string()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn agent(config: Config) -> Agent {
    let connector = ().chain(ConnectProxyConnector::default()).chain(GreenConnector);
    #[cfg(feature = "tls")]
    let connector = connector.chain(tls::TlsConnector::default());
    Agent::with_parts(config, connector, GreenResolver)
}

/// Gets what `url` names, by an agent that all such calls share. It has no time limits but the system's:
/// [`timeout`](crate::timeout()) around the call, or an [`agent`].
///
/// # Errors
///
/// ureq's; a status from 400 on is one.
///
/// ```
/// use green::http;
///
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let page = format!("http://{}/page", listener.local_addr()?);
/// # green::thread::spawn(|| http::serve(listener, |_: http::Request<http::Body>| "hello"));
/// let mut response = http::get(&page)?;
/// assert_eq!(response.body_mut().read_to_string()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn get(url: &str) -> Result<Response<Body>, Error> {
    #[cfg(feature = "sim")]
    if crate::sim::is_simulated() {
        // A shared one keeps connections, which would be another simulation's.
        return agent(Config::default()).get(url).call();
    }
    static SHARED: OnceLock<Agent> = OnceLock::new();
    let shared = SHARED.get_or_init(|| agent(Config::default()));
    shared.get(url).call()
}
