//! What can go wrong, in the words of the log.

use std::fmt;
use std::path::PathBuf;

/// Why there are no contexts. Shown as the log tells it; the first words of each text are Valkey's.
#[derive(Debug)]
pub enum Error {
    /// `tls-cert-file` is not set.
    NoCertFile,
    /// `tls-key-file` is not set.
    NoKeyFile,
    /// Somebody is to be verified, and nobody is trusted.
    NoAuthority,
    /// `tls-protocols` has other words than the four.
    Protocols,
    /// `tls-protocols` leaves none that there is.
    NoProtocol,
    /// A certificate's file, and what is wrong.
    Certificate(PathBuf, String),
    /// A key's file, and what is wrong.
    Key(PathBuf, String),
    /// What is wrong with the trusted certificates.
    Authority(String),
    /// `tls-ciphers` leaves nothing.
    Ciphers(String),
    /// `tls-ciphersuites` leaves nothing.
    Ciphersuites(String),
    /// `tls-dh-params-file` cannot be read.
    DhFile(PathBuf, String),
    /// `tls-dh-params-file` is something else.
    DhParams(PathBuf),
    /// Parameters that do not go together.
    Unusable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertFile => f.write_str("No tls-cert-file configured!"),
            Self::NoKeyFile => f.write_str("No tls-key-file configured!"),
            Self::NoAuthority => f.write_str(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or \
                 tls-auth-clients are enabled!",
            ),
            Self::Protocols => f.write_str(
                "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
            ),
            Self::NoProtocol => f.write_str(
                "Invalid tls-protocols specified. 'TLSv1' and 'TLSv1.1' are not available: add 'TLSv1.2' or 'TLSv1.3'.",
            ),
            Self::Certificate(file, why) => {
                write!(f, "Failed to load certificate: {}: {why}", file.display())
            }
            Self::Key(file, why) => {
                write!(f, "Failed to load private key: {}: {why}", file.display())
            }
            Self::Authority(why) => {
                write!(f, "Failed to configure CA certificate(s) file/directory: {why}")
            }
            Self::Ciphers(list) => write!(f, "Failed to configure ciphers: {list}"),
            Self::Ciphersuites(list) => write!(f, "Failed to configure ciphersuites: {list}"),
            Self::DhFile(file, why) => write!(f, "Failed to load {}: {why}", file.display()),
            Self::DhParams(file) => {
                write!(f, "{}: failed to read DH params.", file.display())
            }
            Self::Unusable(why) => write!(f, "Failed to configure TLS: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// Why a session has ended; shown as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer does not speak TLS. It is not to be answered: it would take an alert for an answer.
    NotTls,
    /// The peer sends more than a handshake takes.
    TooLong,
    /// Anything else.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("wrong version number: the peer does not speak TLS"),
            Self::TooLong => f.write_str("excessive message size: the handshake is too long"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

/// What is wrong with a certificate, in OpenSSL's words where it has any.
fn in_words(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    let words = match why {
        E::Expired | E::ExpiredContext { .. } => "certificate has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "certificate is not yet valid",
        E::UnknownIssuer => "unable to get local issuer certificate",
        E::BadSignature => "certificate signature failure",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "unsuitable certificate purpose",
        other => return other.to_string(),
    };
    words.to_owned()
}

impl From<rustls::Error> for Failure {
    fn from(error: rustls::Error) -> Self {
        use rustls::AlertDescription;
        Self::Broken(match error {
            rustls::Error::NoCertificatesPresented => {
                "peer did not return a certificate".to_owned()
            }
            rustls::Error::InvalidCertificate(why) => {
                format!("certificate verify failed: {}", in_words(&why))
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateUnknown) => {
                "the peer refuses our certificate".to_owned()
            }
            other => other.to_string(),
        })
    }
}
