//! The parameters, and what is needed of the world outside.

use std::io;
use std::path::{Path, PathBuf};

/// Whether clients show a certificate: `tls-auth-clients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthClients {
    /// None is asked for.
    No,
    /// One that verifies.
    Yes,
    /// None, or one that verifies.
    Optional,
}

/// A certificate and its key.
#[derive(Clone, Default)]
pub struct KeyPair {
    /// PEM; the certificate comes first, others of its chain may follow. Empty if not set.
    pub cert_file: PathBuf,
    /// PEM. Empty if not set.
    pub key_file: PathBuf,
    /// Opens the key, if it is encrypted. Empty if not set.
    pub key_file_pass: Vec<u8>,
}

impl KeyPair {
    /// True when both files are named.
    pub fn is_set(&self) -> bool {
        !self.cert_file.as_os_str().is_empty() && !self.key_file.as_os_str().is_empty()
    }
}

/// The parameters named `tls-…`. Texts are as they were set; empty means not set.
#[derive(Clone, Default)]
pub struct Settings {
    /// `tls-cert-file`, `tls-key-file`, `tls-key-file-pass`.
    pub own: KeyPair,
    /// `tls-client-cert-file` and so on: shown by outgoing links instead of [`Self::own`].
    pub client: KeyPair,
    /// `tls-ca-cert-file`.
    pub ca_cert_file: PathBuf,
    /// `tls-ca-cert-dir`.
    pub ca_cert_dir: PathBuf,
    /// Somebody's certificate is to be verified: `tls-auth-clients`, `tls-replication` or `tls-cluster` is on.
    pub verifies: bool,
    /// `tls-protocols`.
    pub protocols: String,
    /// `tls-ciphers`, in the words of OpenSSL.
    pub ciphers: String,
    /// `tls-ciphersuites`.
    pub ciphersuites: String,
    /// `tls-prefer-server-ciphers`.
    pub prefer_server_ciphers: bool,
    /// `tls-session-caching`.
    pub session_caching: bool,
    /// `tls-session-cache-size`: sessions; 0 stands for 2^20.
    pub session_cache_size: usize,
    /// `tls-session-cache-timeout`, in seconds.
    pub session_cache_timeout_s: u64,
    /// `tls-dh-params-file`.
    pub dh_params_file: PathBuf,
    /// `tls-strict-certificates`: nothing is accepted that rustls' own verifier refuses.
    pub strict_certificates: bool,
}

/// What is needed of the world outside.
pub trait Outside: Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files of a folder.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// A function that tells the time, in seconds since 1970.
    fn clock(&self) -> fn() -> u64;
}
