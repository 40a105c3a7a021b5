//! Another context for a server's connection, by the name that the client asks for.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use greenhub::{discard_panic, on_green_thread, panic_message, without_waiting};
use openssl::ex_data::Index;
use openssl::ssl::{NameType, SniError, Ssl, SslAlert, SslRef, SslVerifyMode, SslVersion};

use super::factory::OpenSslFactory;
use crate::ssl::engine::ChooseByName;
use crate::ssl::error::{Reason, SslError};
use crate::ssl::refusal::{malformed, unsupported};

/// Lets the user's callback put another context under a new connection, which keeps at `refusal` why it has none. C calls
/// this, so no panic may leave it.
pub(super) fn choose_by_name(
    choose: &ChooseByName,
    refusal: Index<Ssl, SslError>,
    ssl: &mut SslRef,
    alert: &mut SslAlert,
) -> Result<(), SniError> {
    let name = ssl.servername(NameType::HOST_NAME).map(str::to_owned);
    // The pipe's lock is held, and a C frame is below: nobody may be parked here.
    const WHY: &str = "a TLS server-name callback must not wait";
    let chosen = catch_unwind(AssertUnwindSafe(|| {
        // The user's error is read and dropped in there as well.
        let chosen = on_green_thread(|| {
            without_waiting(WHY, || {
                choose(name.as_deref()).map_err(|error| error.to_string())
            })
        });
        let Some(make) = chosen? else {
            return Ok(());
        };
        let switched = make().and_then(|factory| {
            let Some(factory) = factory.as_any().downcast_ref::<OpenSslFactory>() else {
                return Err(unsupported("the chosen context is of another engine"));
            };
            switch(ssl, factory)
        });
        switched.map_err(|error| error.to_string())
    }));
    match chosen {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => {
            *alert = SslAlert::UNRECOGNIZED_NAME;
            let message = format!("the server-name callback refused the name: {why}");
            ssl.set_ex_data(refusal, SslError::new(Reason::NameRefused, message));
            Err(SniError::ALERT_FATAL)
        }
        Err(panic) => {
            *alert = SslAlert::INTERNAL_ERROR;
            let message = match panic_message(&*panic) {
                Some(words) => format!("the server-name callback panicked: {words}"),
                None => "the server-name callback panicked".to_owned(),
            };
            on_green_thread(|| without_waiting(WHY, || discard_panic(panic)));
            ssl.set_ex_data(refusal, SslError::new(Reason::NameRefused, message));
            Err(SniError::ALERT_FATAL)
        }
    }
}

/// Puts another context under a new connection.
///
/// OpenSSL has resumed a session before it comes here, and then asks for no certificate. So a session made
/// under a lax context must not open a strict one.
fn switch(ssl: &mut SslRef, factory: &OpenSslFactory) -> io::Result<()> {
    let verify = factory.context.verify_mode();
    if verify.contains(SslVerifyMode::PEER) {
        // In TLS 1.3 any name may be asked for with any session. So a strict context, when chosen by name,
        // gives out no sessions, and whoever comes with one has it from elsewhere. In older versions a
        // session keeps its name; there it is enough that it holds a certificate.
        let tls13 = ssl.version2() == Some(SslVersion::TLS1_3);
        let required = verify.contains(SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        if ssl.session_reused() && (tls13 || required && ssl.peer_certificate().is_none()) {
            return Err(malformed("the session is not of this context"));
        }
        ssl.set_num_tickets(0)?;
    }
    ssl.set_ssl_context(&factory.context)?;
    // OpenSSL takes the certificate, the roots and the protocols from there, but not this.
    ssl.set_verify(verify);
    Ok(())
}
