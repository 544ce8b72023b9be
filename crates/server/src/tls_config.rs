//! TLS as the parameters want it: what new connections are made from, and how many are on their way.
//!
//! Files are read when a parameter is set, and only while something uses TLS. A change that fails leaves everything as it was;
//! connections keep what they were made from.

use crate::logging;
use config::{Config, Param};
use engine::host::Level;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tls::{AuthClients, ClientContext, Contexts, KeyPair, ServerContext, Settings};

/// What a client is told of a change that failed.
const CANNOT_UPDATE: &str = "Unable to update TLS configuration. Check server logs.";

/// The contexts in force.
#[derive(Default)]
pub(crate) struct TlsConfig {
    contexts: Mutex<Option<Contexts>>,
    /// `tls-cluster`, which MIGRATE asks for where the engine's lock may be held.
    cluster: AtomicBool,
    /// Connections whose handshake is not over.
    pub(crate) handshakes: AtomicUsize,
}

impl TlsConfig {
    /// Reads the files, if anything uses TLS.
    ///
    /// # Errors
    /// They cannot be used; why is in the log.
    pub(crate) fn load(&self, config: &Config) -> Result<(), ()> {
        self.cluster.store(config.tls_cluster, Ordering::Relaxed);
        if !is_used(config) {
            return Ok(());
        }
        match Contexts::load(&settings(config), &Disk) {
            Ok(contexts) => {
                *self.contexts.lock() = Some(contexts);
                Ok(())
            }
            Err(error) => {
                logging::log(Level::Warning, &error.to_string());
                Err(())
            }
        }
    }

    /// A parameter has been set.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn apply(&self, config: &Config, parameter: Param) -> Result<(), String> {
        // The port needs contexts, but none that are new.
        if parameter == Param::TlsPort && self.contexts.lock().is_some() {
            return Ok(());
        }
        self.load(config).map_err(|()| CANNOT_UPDATE.to_owned())
    }

    /// For a connection that is being accepted.
    pub(crate) fn server(&self, config: &Config) -> Option<ServerContext> {
        let auth_clients = match config.tls_auth_clients {
            config::TlsAuthClients::No => AuthClients::No,
            config::TlsAuthClients::Yes => AuthClients::Yes,
            config::TlsAuthClients::Optional => AuthClients::Optional,
        };
        let contexts = self.contexts.lock();
        contexts
            .as_ref()
            .map(|contexts| contexts.server(auth_clients).clone())
    }

    /// For a connection of MIGRATE, if that is to use TLS.
    pub(crate) fn migrate(&self) -> Option<ClientContext> {
        let wanted = self.cluster.load(Ordering::Relaxed);
        wanted.then(|| self.client()).flatten()
    }

    /// For a connection that is being made.
    pub(crate) fn client(&self) -> Option<ClientContext> {
        let contexts = self.contexts.lock();
        contexts.as_ref().map(|contexts| contexts.client().clone())
    }
}

/// True for the parameters that [`TlsConfig::apply`] is to be told of.
pub(crate) fn concerns(parameter: Param) -> bool {
    matches!(
        parameter,
        Param::TlsPort
            | Param::TlsReplication
            | Param::TlsCluster
            | Param::TlsCertFile
            | Param::TlsKeyFile
            | Param::TlsKeyFilePass
            | Param::TlsClientCertFile
            | Param::TlsClientKeyFile
            | Param::TlsClientKeyFilePass
            | Param::TlsCaCertFile
            | Param::TlsCaCertDir
            | Param::TlsProtocols
            | Param::TlsCiphers
            | Param::TlsCiphersuites
            | Param::TlsPreferServerCiphers
            | Param::TlsSessionCaching
            | Param::TlsSessionCacheSize
            | Param::TlsSessionCacheTimeout
            | Param::TlsDhParamsFile
            | Param::TlsStrictCertificates
    )
}

fn is_used(config: &Config) -> bool {
    config.tls_port != 0 || config.tls_replication || config.tls_cluster
}

fn settings(config: &Config) -> Settings {
    let path = |text: &[u8]| PathBuf::from(OsStr::from_bytes(text));
    let pair = |cert: &[u8], key: &[u8], pass: &[u8]| KeyPair {
        cert_file: path(cert),
        key_file: path(key),
        key_file_pass: pass.to_vec(),
    };
    Settings {
        own: pair(
            &config.tls_cert_file,
            &config.tls_key_file,
            &config.tls_key_file_pass,
        ),
        client: pair(
            &config.tls_client_cert_file,
            &config.tls_client_key_file,
            &config.tls_client_key_file_pass,
        ),
        ca_cert_file: path(&config.tls_ca_cert_file),
        ca_cert_dir: path(&config.tls_ca_cert_dir),
        verifies: config.tls_auth_clients != config::TlsAuthClients::No
            || config.tls_replication
            || config.tls_cluster,
        protocols: config.tls_protocols.lossy().into_owned(),
        ciphers: config.tls_ciphers.lossy().into_owned(),
        ciphersuites: config.tls_ciphersuites.lossy().into_owned(),
        prefer_server_ciphers: config.tls_prefer_server_ciphers,
        session_caching: config.tls_session_caching,
        session_cache_size: usize::try_from(config.tls_session_cache_size).unwrap_or(0),
        session_cache_timeout_s: u64::from(config.tls_session_cache_timeout.unsigned_abs()),
        dh_params_file: path(&config.tls_dh_params_file),
        strict_certificates: config.tls_strict_certificates,
    }
}

/// Files and time, as they are.
struct Disk;

impl tls::Outside for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }

    fn clock(&self) -> fn() -> u64 {
        || crate::clock::unix_us() / 1_000_000
    }
}
