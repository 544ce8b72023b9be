//! Handshakes between sessions of ours, with certificates that `utils/gen-test-certs.sh` makes.
#![allow(
    clippy::disallowed_methods,
    reason = "certificates are of today, and so must the clock be"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;
use tls::{AuthClients, Contexts, Error, Failure, KeyPair, Outside, Progress, Session, Settings};

/// The folder with the certificates.
fn certificates() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../utils/gen-test-certs.sh");
        let made = Command::new(script)
            .arg(&folder)
            .status()
            .expect("the script runs");
        assert!(made.success());
        folder
    })
}

fn now_s() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs())
}

struct Disk;

impl Outside for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }

    fn clock(&self) -> fn() -> u64 {
        now_s
    }
}

fn pair(cert: &str, key: &str) -> KeyPair {
    KeyPair {
        cert_file: certificates().join(cert),
        key_file: certificates().join(key),
        key_file_pass: Vec::new(),
    }
}

/// What the Valkey suite's servers are given.
fn usual() -> Settings {
    Settings {
        own: pair("server.crt", "server.key"),
        client: pair("client.crt", "client.key"),
        ca_cert_file: certificates().join("ca.crt"),
        verifies: true,
        session_caching: true,
        session_cache_size: 20480,
        session_cache_timeout_s: 300,
        dh_params_file: certificates().join("valkey.dh"),
        ..Settings::default()
    }
}

fn load(settings: &Settings) -> Contexts {
    Contexts::load(settings, &Disk).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(settings: &Settings) -> String {
    match Contexts::load(settings, &Disk) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Two sessions and what is on its way between them.
struct Line {
    client: Session,
    server: Session,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What each has received.
    client_got: Vec<u8>,
    server_got: Vec<u8>,
}

impl Line {
    fn new(client: &Contexts, server: &Contexts, auth: AuthClients) -> Self {
        Line {
            client: Session::client(client.client(), "127.0.0.1").unwrap(),
            server: Session::server(server.server(auth)).unwrap(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_got: Vec::new(),
            server_got: Vec::new(),
        }
    }

    /// Carries bytes over, `piece` of them at a time, until nobody has any.
    fn carry(&mut self, piece: usize) -> Result<(), (&'static str, Failure)> {
        if self.client.progress() == Progress::Handshake {
            feed(
                &mut self.client,
                &[],
                &mut self.client_got,
                &mut self.to_server,
            )
            .map_err(|failure| ("client", failure))?;
        }
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            let bytes = std::mem::take(&mut self.to_server);
            for bytes in bytes.chunks(piece) {
                feed(
                    &mut self.server,
                    bytes,
                    &mut self.server_got,
                    &mut self.to_client,
                )
                .map_err(|failure| ("server", failure))?;
            }
            let bytes = std::mem::take(&mut self.to_client);
            for bytes in bytes.chunks(piece) {
                feed(
                    &mut self.client,
                    bytes,
                    &mut self.client_got,
                    &mut self.to_server,
                )
                .map_err(|failure| ("client", failure))?;
            }
        }
        Ok(())
    }
}

/// Gives a session bytes as a socket's reader does.
fn feed(
    session: &mut Session,
    bytes: &[u8],
    got: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut input = Vec::new();
    session.resume(&mut input);
    input.extend_from_slice(bytes);
    session.receive(&mut input, got, out)
}

/// How a handshake ends; a few bytes go both ways if it does not fail.
fn shake(
    client: &Settings,
    server: &Settings,
    auth: AuthClients,
) -> Result<String, (&'static str, Failure)> {
    let mut line = Line::new(&load(client), &load(server), auth);
    line.carry(usize::MAX)?;
    line.client
        .send(b"PING\r\n", &mut line.to_server)
        .map_err(|failure| ("client", failure))?;
    line.server
        .send(b"+PONG\r\n", &mut line.to_client)
        .map_err(|failure| ("server", failure))?;
    line.carry(usize::MAX)?;
    assert_eq!(
        (&line.server_got[..], &line.client_got[..]),
        (&b"PING\r\n"[..], &b"+PONG\r\n"[..])
    );
    Ok(line.server.describe())
}

fn with_client(cert: &str, key: &str) -> Settings {
    Settings {
        client: pair(cert, key),
        ..usual()
    }
}

#[test]
fn clients_are_judged_as_the_reference_judges_them() {
    use AuthClients::{No, Optional, Yes};
    let good = [("client.crt", "client.key"), ("valkey.crt", "valkey.key")];
    let bad = [
        ("server.crt", "server.key"),
        ("untrusted.crt", "untrusted.key"),
        ("untrusted-v1.crt", "untrusted-v1.key"),
        ("forged-v1.crt", "forged-v1.key"),
        ("expired.crt", "expired.key"),
        ("expired-v1.crt", "expired-v1.key"),
        ("purpose.crt", "purpose.key"),
    ];
    for protocols in ["TLSv1.2", "TLSv1.3"] {
        let server = Settings {
            protocols: protocols.to_owned(),
            ..usual()
        };
        for (cert, key) in good {
            for auth in [No, Optional, Yes] {
                let described = shake(&with_client(cert, key), &server, auth);
                assert!(
                    described.is_ok(),
                    "{cert} {auth:?} {protocols}: {described:?}"
                );
            }
        }
        for (cert, key) in bad {
            assert!(
                shake(&with_client(cert, key), &server, No).is_ok(),
                "{cert} {protocols}"
            );
            for auth in [Optional, Yes] {
                let (who, failure) = shake(&with_client(cert, key), &server, auth).unwrap_err();
                assert_eq!(who, "server", "{cert} {auth:?} {protocols}");
                let text = failure.to_string();
                assert!(
                    text.starts_with("certificate verify failed: "),
                    "{cert} {auth:?}: {text}"
                );
            }
        }
    }
}

/// A client of rustls' own that does not care whom it talks to.
mod thief {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
        SupportedProtocolVersion,
    };
    use std::path::Path;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ring::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }

    /// It shows a certificate and signs with this key.
    pub(super) fn with(
        cert: &Path,
        key: &Path,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConnection {
        let provider = Arc::new(ring::default_provider());
        let chain = CertificateDer::pem_file_iter(cert).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_cert_resolver(Arc::new(shown));
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
    }
}

/// How our server ends the handshake with such a client.
fn show(
    cert: &str,
    key: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<(), Failure> {
    let folder = certificates();
    let mut client = thief::with(&folder.join(cert), &folder.join(key), version);
    let contexts = load(&usual());
    let mut server = Session::server(contexts.server(AuthClients::Yes)).unwrap();
    loop {
        let mut to_server = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut to_server).unwrap();
        }
        let mut to_client = Vec::new();
        feed(&mut server, &to_server, &mut Vec::new(), &mut to_client)?;
        if server.progress() == Progress::Open {
            return Ok(());
        }
        let mut rest = &to_client[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
}

#[test]
fn who_shows_a_certificate_must_have_its_key() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for cert in ["valkey.crt", "client.crt"] {
            assert_eq!(show(cert, &cert.replace("crt", "key"), version), Ok(()));
            let failure = show(cert, "untrusted.key", version).unwrap_err();
            let told = failure.to_string();
            assert!(
                told.ends_with("certificate signature failure"),
                "{cert}: {told}"
            );
        }
    }
    let stolen = with_client("valkey.crt", "client.key");
    assert!(refusal(&stolen).ends_with("client.key: key values mismatch"));
}

#[test]
fn strict_certificates_leave_out_version_1() {
    let strict = Settings {
        strict_certificates: true,
        ..usual()
    };
    let (who, failure) = shake(
        &with_client("valkey.crt", "valkey.key"),
        &strict,
        AuthClients::Yes,
    )
    .unwrap_err();
    assert_eq!(who, "server");
    assert!(
        failure.to_string().contains("UnsupportedCertVersion"),
        "{failure}"
    );
    assert!(shake(&usual(), &strict, AuthClients::Yes).is_ok());
    assert!(
        shake(
            &with_client("server.crt", "server.key"),
            &strict,
            AuthClients::Yes
        )
        .is_err()
    );
}

#[test]
fn servers_are_judged_by_links() {
    for (cert, key) in [
        ("valkey.crt", "valkey.key"),
        ("ecdsa.crt", "ecdsa.key"),
        ("chain.crt", "chained.key"),
    ] {
        let server = Settings {
            own: pair(cert, key),
            ..usual()
        };
        for protocols in ["TLSv1.2", "TLSv1.3"] {
            let client = Settings {
                protocols: protocols.to_owned(),
                ..usual()
            };
            let described = shake(&client, &server, AuthClients::Yes);
            assert!(described.is_ok(), "{cert} {protocols}: {described:?}");
        }
    }
    for name in [
        "client",
        "untrusted",
        "untrusted-v1",
        "forged-v1",
        "expired",
        "expired-v1",
        "chained",
    ] {
        let server = Settings {
            own: pair(&format!("{name}.crt"), &format!("{name}.key")),
            ..usual()
        };
        let (who, failure) = shake(&usual(), &server, AuthClients::Yes).unwrap_err();
        assert_eq!(
            (
                who,
                failure
                    .to_string()
                    .starts_with("certificate verify failed: ")
            ),
            ("client", true),
            "{name}"
        );
    }
}

#[test]
fn a_folder_of_authorities_is_read_hashed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let trusting = Settings {
        ca_cert_file: PathBuf::new(),
        ca_cert_dir: folder.path().to_owned(),
        ..usual()
    };
    assert!(
        shake(&usual(), &trusting, AuthClients::Yes).is_err(),
        "nobody is trusted"
    );
    std::fs::write(folder.path().join("README"), "no certificate").unwrap();
    std::fs::copy(
        certificates().join("ca.crt"),
        folder.path().join("whatever.pem"),
    )
    .unwrap();
    assert!(shake(&usual(), &trusting, AuthClients::Yes).is_ok());
}

#[test]
fn protocols_and_suites_are_agreed_upon() {
    let with = |protocols: &str, ciphers: &str, ciphersuites: &str| Settings {
        protocols: protocols.to_owned(),
        ciphers: ciphers.to_owned(),
        ciphersuites: ciphersuites.to_owned(),
        ..usual()
    };
    let agreed = |client: &Settings, server: &Settings| {
        shake(client, server, AuthClients::Yes).unwrap_or_default()
    };
    assert!(agreed(&usual(), &usual()).starts_with("TLSv1_3, "));
    assert!(agreed(&with("TLSv1.2", "", ""), &usual()).starts_with("TLSv1_2, "));
    assert_eq!(
        agreed(&with("TLSv1.2", "", ""), &with("TLSv1.3", "", "")),
        ""
    );
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let described = agreed(&with("", "", suite), &usual());
        assert_eq!(
            described,
            format!("TLSv1_3, {}", suite.replacen("TLS_", "TLS13_", 1))
        );
    }
    let (one, two) = ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384");
    let client = with("TLSv1.2", &format!("{one}:{two}"), "");
    let server = with("TLSv1.2", &format!("{two}:{one}"), "");
    assert!(agreed(&client, &server).ends_with("AES_128_GCM_SHA256"));
    let server = Settings {
        prefer_server_ciphers: true,
        ..server
    };
    assert!(agreed(&client, &server).ends_with("AES_256_GCM_SHA384"));
}

#[test]
fn keys_may_be_encrypted() {
    let with = |key: &str, pass: &str| Settings {
        own: KeyPair {
            key_file_pass: pass.as_bytes().to_vec(),
            ..pair("server.crt", key)
        },
        ..usual()
    };
    assert_eq!(refusal(&with("server-encrypted.key", "valkey")), "accepted");
    assert!(refusal(&with("server-encrypted.key", "")).ends_with("no passphrase is configured"));
    assert!(refusal(&with("server-encrypted.key", "redis")).ends_with("the passphrase is wrong"));
    assert_eq!(refusal(&with("server.key", "needless")), "accepted");
}

#[test]
fn keys_may_be_encrypted_in_the_traditional_form() {
    let with = |cert: &str, key: &str, pass: &str| Settings {
        own: KeyPair {
            key_file_pass: pass.as_bytes().to_vec(),
            ..pair(cert, key)
        },
        ..usual()
    };
    for cipher in ["aes128", "aes192", "aes256", "des3"] {
        let key = format!("traditional-{cipher}.key");
        assert_eq!(
            refusal(&with("server.crt", &key, "valkey")),
            "accepted",
            "{cipher}"
        );
        assert!(refusal(&with("server.crt", &key, "")).ends_with("no passphrase is configured"));
        assert!(refusal(&with("server.crt", &key, "redis")).ends_with("the passphrase is wrong"));
    }
    assert_eq!(
        refusal(&with("ecdsa.crt", "traditional-ecdsa.key", "valkey")),
        "accepted"
    );
}

#[test]
fn damage_of_a_traditional_key_is_told_by_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(certificates().join("traditional-aes256.key")).unwrap();
    let about = text
        .lines()
        .find(|line| line.starts_with("DEK-Info"))
        .unwrap();
    let refused = |text: String| {
        let file = folder.path().join("damaged.key");
        std::fs::write(&file, text).unwrap();
        refusal(&Settings {
            own: KeyPair {
                key_file: file,
                key_file_pass: b"valkey".to_vec(),
                ..pair("server.crt", "server.key")
            },
            ..usual()
        })
    };
    for (line, why) in [
        ("", "it does not say how the key is encrypted"),
        (
            "DEK-Info: AES-256-CBC",
            "it does not say how the key is encrypted",
        ),
        (
            "DEK-Info: SEED-CBC,00",
            "the key is encrypted with SEED-CBC, which is not supported",
        ),
        (
            "DEK-Info: AES-256-CBC,0",
            "bad encoding of what the cipher starts with",
        ),
        (
            "DEK-Info: AES-256-CBC,xx",
            "bad encoding of what the cipher starts with",
        ),
        (
            "DEK-Info: AES-256-CBC,00",
            "bad decrypt: the passphrase is wrong",
        ),
        (
            "DEK-Info: AES-256-CBC,00112233445566778899",
            "bad decrypt: the passphrase is wrong",
        ),
    ] {
        let said = refused(text.replace(about, line));
        assert!(said.ends_with(why), "{line}: {said}");
    }
    // A key of which a part is missing is no multiple of the cipher's blocks, or not padded.
    let lines: Vec<&str> = text.lines().collect();
    let shorter = [&lines[..5], &lines[6..]].concat().join("\n");
    assert!(refused(shorter).ends_with("bad decrypt: the passphrase is wrong"));
}

#[test]
fn what_cannot_be_used_is_refused_in_the_words_of_the_log() {
    let missing = certificates().join("missing");
    let text = |change: fn(&mut Settings, PathBuf)| {
        let mut settings = usual();
        change(&mut settings, missing.clone());
        refusal(&settings).replace(&*certificates().to_string_lossy(), "")
    };
    assert_eq!(
        text(|s, _| s.own.cert_file = PathBuf::new()),
        "No tls-cert-file configured!"
    );
    assert_eq!(
        text(|s, _| s.own.key_file = PathBuf::new()),
        "No tls-key-file configured!"
    );
    assert!(
        text(|s, _| s.ca_cert_file = PathBuf::new())
            .starts_with("Either tls-ca-cert-file or tls-ca-cert-dir must")
    );
    assert_eq!(
        text(|s, m| s.own.cert_file = m),
        "Failed to load certificate: /missing: No such file or directory"
    );
    assert_eq!(
        text(|s, m| s.own.key_file = m),
        "Failed to load private key: /missing: No such file or directory"
    );
    assert_eq!(
        text(|s, m| s.dh_params_file = m),
        "Failed to load /missing: No such file or directory"
    );
    assert!(
        text(|s, m| s.ca_cert_file = m)
            .starts_with("Failed to configure CA certificate(s) file/directory: ")
    );
    assert!(
        text(|s, m| s.ca_cert_dir = m)
            .starts_with("Failed to configure CA certificate(s) file/directory: ")
    );
    assert!(
        text(|s, _| s.own.cert_file = certificates().join("ca.txt"))
            .ends_with("no certificate in the file")
    );
    assert!(
        text(|s, _| s.own.key_file = certificates().join("ca.txt"))
            .starts_with("Failed to load private key: /ca.txt")
    );
    assert_eq!(
        text(|s, _| s.dh_params_file = certificates().join("ca.crt")),
        "/ca.crt: failed to read DH params."
    );
    assert_eq!(
        text(|s, _| s.ciphers = "AES128-SHA256".into()),
        "Failed to configure ciphers: AES128-SHA256"
    );
    assert_eq!(
        text(|s, _| s.ciphersuites = "bogus".into()),
        "Failed to configure ciphersuites: bogus"
    );
    assert!(matches!(
        Contexts::load(
            &Settings {
                protocols: "TLSv1".into(),
                ..usual()
            },
            &Disk
        ),
        Err(Error::NoProtocol)
    ));
}

#[test]
fn records_may_be_split_anywhere() {
    let contexts = load(&usual());
    for piece in [1, 2, 5, 17, 1000] {
        let mut line = Line::new(&contexts, &contexts, AuthClients::Yes);
        line.carry(piece).unwrap();
        let long: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        line.client.send(&long, &mut line.to_server).unwrap();
        line.server.send(&long, &mut line.to_client).unwrap();
        assert!(line.to_server.len() < long.len() + 7 * 64, "few records");
        line.carry(piece).unwrap();
        assert!(
            line.server_got == long && line.client_got == long,
            "{piece}"
        );
        assert_eq!(
            (line.server.held_bytes(), line.client.held_bytes()),
            (0, 0),
            "idle sessions own no buffer"
        );
    }
}

#[test]
fn a_session_may_be_moved_with_what_it_has_put_out() {
    let contexts = load(&usual());
    let mut line = Line::new(&contexts, &contexts, AuthClients::Yes);
    line.carry(usize::MAX).unwrap();
    let (mut server, mut out) = (line.server, line.to_client);
    let out = std::thread::spawn(move || {
        for _ in 0..3 {
            server.send(b"snapshot", &mut out).unwrap();
        }
        server.close(&mut out).unwrap();
        out
    });
    let out = out.join().unwrap();
    feed(
        &mut line.client,
        &out,
        &mut line.client_got,
        &mut line.to_server,
    )
    .unwrap();
    assert_eq!(line.client_got, b"snapshotsnapshotsnapshot");
    assert_eq!(line.client.progress(), Progress::PeerClosed);
    // It may still answer.
    line.client.close(&mut line.to_server).unwrap();
}

#[test]
fn what_is_no_tls_gets_no_answer() {
    let contexts = load(&usual());
    let mut server = Session::server(contexts.server(AuthClients::No)).unwrap();
    let mut out = Vec::new();
    let failure = feed(&mut server, b"PING\r\n", &mut Vec::new(), &mut out).unwrap_err();
    assert_eq!((failure, &out[..]), (Failure::NotTls, &b""[..]));
    let mut client = Session::client(contexts.client(), "localhost").unwrap();
    feed(&mut client, b"", &mut Vec::new(), &mut out).unwrap();
    out.clear();
    let failure = feed(
        &mut client,
        b"-ERR unknown command\r\n",
        &mut Vec::new(),
        &mut out,
    )
    .unwrap_err();
    assert_eq!((failure, &out[..]), (Failure::NotTls, &b""[..]));
}

#[test]
fn garbage_ends_a_session_and_never_grows_it() {
    let contexts = load(&usual());
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    for _ in 0..200 {
        let mut line = Line::new(&contexts, &contexts, AuthClients::Yes);
        if random() % 2 == 0 {
            line.carry(usize::MAX).unwrap();
        }
        let header = [20 + random() % 5, 3, 3, random() % 65, random()];
        let mut garbage = header.to_vec();
        garbage.extend((0..20_000).map(|_| random()));
        let mut out = Vec::new();
        let result = feed(&mut line.server, &garbage, &mut Vec::new(), &mut out);
        assert!(result.is_err() || line.server.held_bytes() <= 128 * 1024);
        assert!(out.len() < 1024, "an alert at most");
    }
    // A handshake message that never ends, in records that are whole.
    let mut server = Session::server(contexts.server(AuthClients::No)).unwrap();
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    let mut rounds = 0;
    while feed(&mut server, &record, &mut Vec::new(), &mut Vec::new()).is_ok() {
        record = vec![0; 5 + 0x4000];
        record[..5].copy_from_slice(&[22, 3, 1, 0x40, 0]);
        rounds += 1;
        assert!(rounds < 20, "it never ends");
    }
}
