//! A context in OpenSSL's form.

use std::any::Any;
use std::io;
use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::ssl::{self, Ssl, SslRef};
use openssl::x509::verify::X509CheckFlags;

use super::connection::OpenSslEngine;
use super::session::OpenSslSession;
use crate::ssl::engine::bio::Bio;
use crate::ssl::engine::{Engine, Factory};
use crate::ssl::refusal::refused;
use crate::ssl::session::SslSession;
use crate::ssl::settings::Purpose;

pub(super) struct OpenSslFactory {
    pub(super) context: ssl::SslContext,
    pub(super) purpose: Purpose,
    pub(super) check_hostname: bool,
}

impl Factory for OpenSslFactory {
    fn engine(
        &self,
        server_name: Option<&str>,
        session: Option<&SslSession>,
        bio: Bio,
    ) -> io::Result<Box<dyn Engine>> {
        let mut ssl = Ssl::new(&self.context).map_err(refused)?;
        match self.purpose {
            Purpose::ClientAuth => ssl.set_accept_state(),
            Purpose::ServerAuth => {
                ssl.set_connect_state();
                if let Some(name) = server_name {
                    self.set_server_name(&mut ssl, name).map_err(refused)?;
                }
            }
        }
        if let Some(session) = session {
            self.resume(&mut ssl, session, server_name)?;
        }
        let server_name = server_name.map(str::to_owned);
        let engine = OpenSslEngine::new(ssl, bio, self.context.clone(), server_name);
        Ok(Box::new(engine.map_err(refused)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl OpenSslFactory {
    fn set_server_name(&self, ssl: &mut SslRef, name: &str) -> Result<(), ErrorStack> {
        let address: Option<IpAddr> = name.parse().ok();
        if address.is_none() {
            ssl.set_hostname(name)?;
        }
        if !self.check_hostname {
            return Ok(());
        }
        let parameters = ssl.param_mut();
        parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match address {
            Some(address) => parameters.set_ip(address),
            None => parameters.set_host(name),
        }
    }

    /// Offers an earlier session, if it is of the same settings and the same server.
    fn resume(
        &self,
        ssl: &mut SslRef,
        session: &SslSession,
        server_name: Option<&str>,
    ) -> io::Result<()> {
        let Some(session) = session.inner.downcast_ref::<OpenSslSession>() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the session is of another engine",
            ));
        };
        session.offer(ssl, server_name).map_err(refused)
    }
}
