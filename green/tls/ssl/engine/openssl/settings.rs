//! A context's settings in OpenSSL's form.

use std::io;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{AlpnError, SslContextBuilder, SslMethod, SslMode, SslOptions, SslVerifyMode};
use openssl::x509::X509;

use super::connection::refusal;
use super::factory::OpenSslFactory;
use super::server_name::choose_by_name;
use super::versions::to_openssl;
use crate::ssl::engine::{ChooseByName, Factory};
use crate::ssl::refusal::{malformed, refused};
use crate::ssl::settings::{Identity, Purpose, Settings, VerifyMode};

/// Ciphers of TLS 1.2 with forward secrecy and authenticated encryption only.
const AES_12: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                      ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
const CHACHA_12: &str = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
const AES_13: &str = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
const CHACHA_13: &str = "TLS_CHACHA20_POLY1305_SHA256";

/// Builds OpenSSL's context from `settings`.
pub(crate) fn factory(
    settings: &Settings,
    choose: Option<&ChooseByName>,
) -> io::Result<Arc<dyn Factory>> {
    let mut builder = base(settings).map_err(refused)?;
    if let Some(identity) = &settings.identity {
        set_identity(&mut builder, identity)?;
    }
    set_trust(&mut builder, settings).map_err(refused)?;
    set_alpn(&mut builder, settings).map_err(refused)?;
    if let Some(choose) = choose {
        let (choose, refusal) = (Arc::clone(choose), refusal().map_err(refused)?);
        builder.set_servername_callback(move |ssl, alert| {
            choose_by_name(&choose, refusal, ssl, alert)
        });
    }
    Ok(Arc::new(OpenSslFactory {
        context: builder.build(),
        purpose: settings.purpose,
        check_hostname: settings.check_hostname,
    }))
}

fn base(settings: &Settings) -> Result<SslContextBuilder, ErrorStack> {
    let server = settings.purpose == Purpose::ClientAuth;
    let mut builder = SslContextBuilder::new(if server {
        SslMethod::tls_server()
    } else {
        SslMethod::tls_client()
    })?;
    // OpenSSL's buffers are released while idle; a write is done when one record is.
    builder.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    // The server's order counts, except that a client without AES in its hardware gets its ChaCha20.
    builder.set_options(
        SslOptions::ALL
            | SslOptions::NO_COMPRESSION
            | SslOptions::SINGLE_ECDH_USE
            | SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::PRIORITIZE_CHACHA,
    );
    // The bio reports the end of the transport as an error, so OpenSSL must not smooth it over.
    builder.clear_options(SslOptions::IGNORE_UNEXPECTED_EOF);
    builder.set_min_proto_version(settings.minimum_version.map(to_openssl))?;
    builder.set_max_proto_version(settings.maximum_version.map(to_openssl))?;
    let (first_12, then_12, first_13, then_13) = if aes_in_hardware() {
        (AES_12, CHACHA_12, AES_13, CHACHA_13)
    } else {
        (CHACHA_12, AES_12, CHACHA_13, AES_13)
    };
    match &settings.ciphers {
        Some(ciphers) => builder.set_cipher_list(ciphers)?,
        None => builder.set_cipher_list(&format!("{first_12}:{then_12}"))?,
    }
    builder.set_ciphersuites(&format!("{first_13}:{then_13}"))?;
    if server {
        // Sessions of a server that asks for certificates must name what they belong to.
        builder.set_session_id_context(b"green")?;
    }
    Ok(builder)
}

fn set_trust(builder: &mut SslContextBuilder, settings: &Settings) -> Result<(), ErrorStack> {
    builder.set_verify(verify_mode(settings));
    if settings.verify_mode == VerifyMode::None {
        return Ok(());
    }
    if settings.default_roots {
        builder.set_default_verify_paths()?;
        // A vendored OpenSSL looks in its own folders only; these are the system's.
        let found = openssl_probe::probe();
        if let Some(file) = found.cert_file {
            builder
                .load_verify_locations(Some(&file), None)
                .unwrap_or_else(drop);
        }
        for folder in found.cert_dir {
            builder
                .load_verify_locations(None, Some(&folder))
                .unwrap_or_else(drop);
        }
    }
    for root in &settings.roots {
        let root = X509::from_der(root.der())?;
        if settings.purpose == Purpose::ClientAuth {
            builder.add_client_ca(&root)?;
        }
        builder.cert_store_mut().add_cert(root)?;
    }
    Ok(())
}

fn verify_mode(settings: &Settings) -> SslVerifyMode {
    match settings.verify_mode {
        VerifyMode::None => SslVerifyMode::NONE,
        VerifyMode::Optional => SslVerifyMode::PEER,
        VerifyMode::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    }
}

fn set_identity(builder: &mut SslContextBuilder, identity: &Identity) -> io::Result<()> {
    let (chain, key) = parse(identity)?;
    builder.set_certificate(&chain[0]).map_err(refused)?;
    for issuer in chain.into_iter().skip(1) {
        builder.add_extra_chain_cert(issuer).map_err(refused)?;
    }
    builder.set_private_key(&key).map_err(refused)
}

/// The certificates, our own first, and the key, if they can be used together.
pub(crate) fn parse(identity: &Identity) -> io::Result<(Vec<X509>, PKey<Private>)> {
    let (chain, key) = parse_parts(identity)?;
    let leaf = chain
        .first()
        .ok_or_else(|| malformed("there is no certificate"))?;
    if !leaf.public_key().map_err(refused)?.public_eq(&key) {
        return Err(malformed("the key is not the certificate's"));
    }
    Ok((chain, key))
}

fn parse_parts(identity: &Identity) -> io::Result<(Vec<X509>, PKey<Private>)> {
    match identity {
        Identity::Pem {
            chain,
            key,
            password,
        } => {
            let chain = X509::stack_from_pem(chain).map_err(refused)?;
            Ok((chain, private_key(key, password.as_deref())?))
        }
        Identity::Pkcs12 { der, password } => {
            let parsed = Pkcs12::from_der(der)
                .and_then(|archive| archive.parse2(password))
                .map_err(refused)?;
            let key = parsed
                .pkey
                .ok_or_else(|| malformed("the archive holds no private key"))?;
            // OpenSSL gives the further certificates in reverse.
            let issuers = parsed.ca.into_iter().flatten().rev();
            Ok((parsed.cert.into_iter().chain(issuers).collect(), key))
        }
    }
}

fn private_key(pem: &[u8], password: Option<&str>) -> io::Result<PKey<Private>> {
    // The end of every label that one may have. Where there is none OpenSSL says no more than "unsupported".
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    if !pem.windows(LABEL.len()).any(|window| window == LABEL) {
        return Err(malformed("there is no private key in PEM form"));
    }
    // Without a password OpenSSL would ask for one at the terminal.
    let password = password.unwrap_or_default();
    PKey::private_key_from_pem_passphrase(pem, password.as_bytes()).map_err(refused)
}

fn set_alpn(builder: &mut SslContextBuilder, settings: &Settings) -> Result<(), ErrorStack> {
    if settings.alpn.is_empty() {
        return Ok(());
    }
    if settings.purpose == Purpose::ServerAuth {
        let wire: Vec<u8> = settings
            .alpn
            .iter()
            .flat_map(|name| [&[name.len() as u8], &name[..]].concat())
            .collect();
        return builder.set_alpn_protos(&wire);
    }
    let ours = settings.alpn.clone();
    builder.set_alpn_select_callback(move |_, theirs| {
        ours.iter()
            .find_map(|wanted| offered(theirs).find(|name| name == wanted))
            .ok_or(AlpnError::ALERT_FATAL)
    });
    Ok(())
}

/// The names in a client's list, each led by its length.
fn offered(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = list.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        list = rest;
        Some(name)
    })
}

/// Whether AES is fast here; without its instructions ChaCha20 is several times faster.
fn aes_in_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
}
