//! Certificates and keys: where they come from, and how they are changed while serving.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A folder of this test's own, removed with everything in it when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("green-ssl-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn certificates_come_from_files_folders_and_memory() {
    let folder = Folder::new("files");
    let leaf = AUTHORITY.leaf("localhost");
    let chain = folder.write("chain.pem", &leaf.chain);
    let key = folder.write("key.pem", &leaf.key);
    let both = folder.write("both.pem", &format!("{}{}", leaf.chain, leaf.key));
    let trust = Folder::new("trust");
    let authority = trust.write("authority.crt", &AUTHORITY.pem);
    trust.write("notes.txt", "no certificate");
    for engine in [OpenSsl, NativeTls] {
        let server = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
        for locations in [
            VerifyLocation::File(&authority),
            VerifyLocation::Folder(&trust.0),
        ] {
            for key in [Some(&*key), None] {
                let certificate = if key.is_some() { &chain } else { &both };
                server.load_cert_chain(certificate, key, None).unwrap();
                let client = SslContext::with_engine(Purpose::ServerAuth, engine).unwrap();
                client.load_verify_locations(locations).unwrap();
                Pair::new(&client, &server).handshake().unwrap();
            }
        }
        assert_eq!(
            kind(server.load_verify_locations(VerifyLocation::Bytes(b"nothing"))),
            ErrorKind::InvalidData
        );
        assert_eq!(
            kind(server.load_verify_locations(VerifyLocation::Bytes(b"0rubbish"))),
            ErrorKind::InvalidData
        );
    }
}

#[test]
fn an_error_names_the_file_and_says_what_is_missing_there() {
    use ErrorKind::{InvalidData, NotFound};
    let folder = Folder::new("mistakes");
    let (leaf, other) = (AUTHORITY.leaf("localhost"), AUTHORITY.leaf("localhost"));
    let chain = &*folder.write("chain.pem", &leaf.chain);
    let key = &*folder.write("key.pem", &leaf.key);
    let foreign = &*folder.write("foreign.pem", &other.key);
    let missing = &*folder.0.join("missing.pem");
    for engine in [OpenSsl, NativeTls] {
        let empty = Folder::new(&format!("empty-{engine:?}"));
        let context = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
        let identity = |cert: &Path, key| context.load_cert_chain(cert, key, None);
        let trust = |location| context.load_verify_locations(location);
        let absent = "No such file or directory";
        let no_certificate = "there is no certificate in";
        for (result, kind, file, reason) in [
            (identity(missing, None), NotFound, missing, absent),
            (identity(chain, Some(missing)), NotFound, missing, absent),
            (
                identity(chain, None),
                InvalidData,
                chain,
                "there is no private key in PEM form",
            ),
            (
                identity(chain, Some(foreign)),
                InvalidData,
                foreign,
                "the key is not the certificate's",
            ),
            (identity(key, None), InvalidData, key, no_certificate),
            (
                trust(VerifyLocation::File(missing)),
                NotFound,
                missing,
                absent,
            ),
            (
                trust(VerifyLocation::Folder(missing)),
                NotFound,
                missing,
                absent,
            ),
            (
                trust(VerifyLocation::File(key)),
                InvalidData,
                key,
                no_certificate,
            ),
            (
                trust(VerifyLocation::Folder(&empty.0)),
                InvalidData,
                &empty.0,
                no_certificate,
            ),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), kind, "{engine:?}: {error}");
            let expected = format!("{}: {reason}", file.display());
            assert!(
                error.to_string().starts_with(&expected),
                "{engine:?}: {error}"
            );
        }
    }
}

#[test]
fn keys_may_be_of_every_usual_form() {
    use openssl::pkey::PKey;
    use openssl::symm::Cipher;
    let leaf = AUTHORITY.leaf("localhost");
    let key = PKey::private_key_from_pem(leaf.key.as_bytes()).unwrap();
    let sec1 = key.ec_key().unwrap().private_key_to_pem().unwrap();
    let encrypted = key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"sesame")
        .unwrap();
    let client = client_context(OpenSsl);
    for (key, password) in [
        (leaf.key.as_bytes(), None),
        (&sec1[..], None),
        (&encrypted[..], Some("sesame")),
    ] {
        let server = SslContext::with_engine(Purpose::ClientAuth, OpenSsl).unwrap();
        server
            .load_cert_chain_bytes(leaf.chain.as_bytes(), key, password)
            .unwrap();
        Pair::new(&client, &server).handshake().unwrap();
    }
    // A wrong password, or none, is an error and never a question at the terminal.
    let server = SslContext::with_engine(Purpose::ClientAuth, OpenSsl).unwrap();
    for password in [Some("wrong"), None] {
        let result = server.load_cert_chain_bytes(leaf.chain.as_bytes(), &encrypted, password);
        assert_eq!(kind(result), ErrorKind::InvalidData);
    }
}

#[test]
fn pkcs12_archives_are_read() {
    use openssl::pkcs12::Pkcs12;
    use openssl::pkey::PKey;
    use openssl::x509::X509;
    let leaf = AUTHORITY.leaf("localhost");
    let key = PKey::private_key_from_pem(leaf.key.as_bytes()).unwrap();
    let certificate = X509::from_pem(leaf.chain.as_bytes()).unwrap();
    let archive = Pkcs12::builder()
        .pkey(&key)
        .cert(&certificate)
        .build2("sesame")
        .unwrap()
        .to_der()
        .unwrap();
    for engine in [OpenSsl, NativeTls] {
        let server = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
        assert_eq!(
            kind(server.load_pkcs12(&archive, "wrong")),
            ErrorKind::InvalidData
        );
        assert_eq!(
            kind(server.load_pkcs12(b"rubbish", "sesame")),
            ErrorKind::InvalidData
        );
        server.load_pkcs12(&archive, "sesame").unwrap();
        Pair::new(&client_context(engine), &server)
            .handshake()
            .unwrap();
    }
}

#[test]
fn certificates_are_reloaded_while_serving() {
    for engine in [OpenSsl, NativeTls] {
        let (old, new) = (
            AUTHORITY.leaf("localhost"),
            AUTHORITY.leaf_with("new.example", |params| {
                params
                    .subject_alt_names
                    .push(rcgen::SanType::DnsName("localhost".try_into().unwrap()));
            }),
        );
        let server = server_context_with(engine, &old);
        let client = client_context(engine);
        let mut begun = Pair::new(&client, &server);
        // One that cannot be used changes nothing: a key of another certificate, no certificate.
        let refused = server.load_cert_chain_bytes(new.chain.as_bytes(), old.key.as_bytes(), None);
        assert_eq!(kind(refused), ErrorKind::InvalidData, "{engine:?}");
        assert_eq!(
            kind(server.load_cert_chain_bytes(b"", new.key.as_bytes(), None)),
            ErrorKind::InvalidData
        );
        let mut pair = Pair::new(&client, &server);
        pair.handshake().unwrap();
        assert_eq!(shown_name(&pair), "localhost", "{engine:?}");
        // One that can is shown to whoever comes next, through every clone of the context.
        server
            .clone()
            .load_cert_chain_bytes(new.chain.as_bytes(), new.key.as_bytes(), None)
            .unwrap();
        let mut pair = Pair::new(&client, &server);
        pair.handshake().unwrap();
        assert_eq!(shown_name(&pair), "new.example", "{engine:?}");
        begun.handshake().unwrap();
        assert_eq!(shown_name(&begun), "localhost", "{engine:?}");
    }
}

#[test]
fn both_ends_see_the_same_channel_binding_and_certificate() {
    for setup in SETUPS {
        let mut pair = Pair::of(setup);
        assert!(pair.client.tls_server_end_point().unwrap().is_none());
        pair.handshake().unwrap();
        let binding = pair
            .client
            .tls_server_end_point()
            .unwrap()
            .expect("a binding");
        assert_eq!(binding.len(), 32, "{setup:?}");
        assert_eq!(
            pair.server.tls_server_end_point().unwrap(),
            Some(binding),
            "{setup:?}"
        );
        let certificate = pair
            .client
            .peer_certificate()
            .unwrap()
            .expect("a certificate");
        let details = certificate.details().unwrap();
        assert!(
            details
                .subject
                .contains(&("commonName".to_owned(), "localhost".to_owned())),
            "{details:?}"
        );
        assert!(
            details
                .issuer
                .contains(&("commonName".to_owned(), "green test authority".to_owned()))
        );
        assert_eq!(details.dns_names, ["localhost"]);
        assert_eq!(details.version, 3);
        assert!(details.not_before.ends_with("GMT") && details.not_after.ends_with("GMT"));
        assert!(pair.server.peer_certificate().unwrap().is_none());
    }
}

#[test]
fn settings_change_while_connections_are_made() {
    let server = server_context(OpenSsl);
    let client = client_context(OpenSsl);
    let leaves = [AUTHORITY.leaf("localhost"), AUTHORITY.leaf("localhost")];
    std::thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            for round in 0..200 {
                let leaf = &leaves[round % 2];
                server
                    .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
                    .unwrap();
            }
        });
        let mut met = 0;
        while met < 50 || !reloading.is_finished() {
            let mut pair = Pair::new(&client, &server);
            pair.handshake().unwrap();
            assert_eq!(pair.client.handshake().unwrap(), Progress::Done(()));
            met += 1;
        }
    });
}

#[test]
fn a_server_without_a_certificate_is_told_so() {
    let told = |client: &SslContext, server: &SslContext| {
        let mut pair = Pair::new(client, server);
        let error = pair.handshake().unwrap_err();
        assert_eq!(reason(&error), Reason::NothingInCommon, "{error}");
        let heard = pair.client.handshake().unwrap_err();
        assert_eq!(reason(&heard), Reason::Alert(40));
        error.to_string()
    };
    let bare = SslContext::with_engine(Purpose::ClientAuth, OpenSsl).unwrap();
    let chosen = bare.clone();
    let choosing = server_context(OpenSsl);
    choosing
        .set_server_name_callback(move |_| Ok(Some(chosen.clone())))
        .unwrap();
    let client = client_context(OpenSsl);
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        client.set_maximum_version(version).unwrap();
        for server in [&bare, &choosing] {
            let told = told(&client, server);
            assert!(
                told.contains("the server's context has no certificate"),
                "{told}"
            );
        }
    }
    // It is not blamed for what has another cause, nor where there is one.
    let mut other = Pair::new(&client, &bare);
    other.server.feed(b"GET / HTTP/1.1\r\n\r\n");
    let error = other.server.handshake().unwrap_err();
    assert!(!error.to_string().contains("certificate"), "{error}");
    client.set_maximum_version(TlsVersion::Tls12).unwrap();
    client.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    let error = told(&client, &server_context(OpenSsl));
    assert!(!error.contains("certificate"), "{error}");
}
