//! Whether a peer's certificate is good: signed by whom we trust, through whatever chain, within its time, for its purpose.
//!
//! That is rustls' own verifier's to say; [`legacy`] has the exceptions. Names do not matter: servers are known by the
//! authority that has signed for them.

use crate::legacy::{self, Authorities, Side};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// What peers are verified with, in both directions.
#[derive(Debug)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
    /// The verifier of clients' certificates; `None` when nobody is trusted.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Authorities,
    strict: bool,
}

impl Trust {
    /// Trusts those of `certificates` that can be read.
    pub(crate) fn new(
        certificates: &[CertificateDer<'static>],
        strict: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let roots = Arc::new(roots);
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
        let algorithms = provider.signature_verification_algorithms;
        Trust {
            // The one reason to fail is that there are no roots.
            clients: clients.build().ok(),
            authorities: Authorities::new(certificates, algorithms),
            roots,
            algorithms,
            strict,
        }
    }

    fn version_1(&self, certificate: &CertificateDer<'_>) -> Option<x509_cert::Certificate> {
        if self.strict {
            None
        } else {
            legacy::version_1(certificate)
        }
    }

    /// Judges a certificate of `side`: by `usual`, or as one of version 1.
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
        side: Side,
        usual: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.version_1(certificate) {
            Some(parsed) => self.authorities.judge(&parsed, now)?,
            None => usual()?,
        }
        Ok(legacy::check_purpose(certificate, side)?)
    }

    fn check_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.version_1(certificate) {
            Some(parsed) => self.authorities.check_tls12(&parsed, message, signed),
            None => verify_tls12_signature(message, certificate, signed, &self.algorithms),
        }
    }

    fn check_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.version_1(certificate) {
            Some(_) => {
                let key = legacy::public_key(certificate).ok_or(CertificateError::BadEncoding)?;
                verify_tls13_signature_with_raw_key(message, &key.into(), signed, &self.algorithms)
            }
            None => verify_tls13_signature(message, certificate, signed, &self.algorithms),
        }
    }
}

/// Verifies clients.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) trust: Arc<Trust>,
    pub(crate) mandatory: bool,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust
            .clients
            .as_ref()
            .map_or(&[], |clients| clients.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust.judge(certificate, now, Side::Client, || {
            match &self.trust.clients {
                Some(clients) => clients
                    .verify_client_cert(certificate, intermediates, now)
                    .map(drop),
                None => Err(CertificateError::UnknownIssuer.into()),
            }
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.check_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.check_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Verifies servers.
#[derive(Debug)]
pub(crate) struct Servers(pub(crate) Arc<Trust>);

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.judge(certificate, now, Side::Server, || {
            let parsed = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.0.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.0.roots,
                intermediates,
                now,
                algorithms,
            )
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.check_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.check_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms.supported_schemes()
    }
}
