//! Certificates that rustls' verifier cannot judge and users have all the same.
//!
//! - Certificates of X.509 version 1, as OpenSSL makes them when nothing is said of extensions. One is good if a trusted
//!   authority has signed it and this is within its time. A chain is not followed: a certificate of this version can neither
//!   name its purpose nor say that it may sign, so the authority itself has to have signed it.
//! - `nsCertType`, an extension of Netscape's that limits a certificate to clients or servers. OpenSSL obeys it.
//!
//! Signatures are checked by the algorithms of rustls' own verifier; bytes are parsed by `x509-cert`. The first part is off
//! with `tls-strict-certificates yes`; the second only ever refuses, and stays.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{CertificateError, DigitallySignedStruct, OtherError};
use std::sync::Arc;
use webpki::RawPublicKeyEntity;
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode};
use x509_cert::time::Validity;

/// The extension `nsCertType`.
const NS_CERT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1");

/// Whose certificate it is. The value is the bit of `nsCertType` that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Side {
    Client = 0x80,
    Server = 0x40,
}

/// A certificate, if it is of version 1.
pub(crate) fn version_1(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(certificate)
        .ok()
        .filter(|parsed| parsed.tbs_certificate().version() == Version::V1)
}

/// The public key of a certificate, as DER.
pub(crate) fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    parsed
        .tbs_certificate()
        .subject_public_key_info()
        .to_der()
        .ok()
}

/// Those who may have signed a certificate of version 1.
#[derive(Debug)]
pub(crate) struct Authorities {
    trusted: Vec<Certificate>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Authorities {
    /// Those among `certificates` that can be read.
    pub(crate) fn new(
        certificates: &[CertificateDer<'_>],
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let parsed = certificates
            .iter()
            .filter_map(|one| Certificate::from_der(one).ok());
        Authorities {
            trusted: parsed.collect(),
            algorithms,
        }
    }

    /// Judges a certificate of version 1.
    ///
    /// # Errors
    /// Nobody who is trusted has signed it, or its time is not now.
    pub(crate) fn judge(
        &self,
        certificate: &Certificate,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let body = certificate.tbs_certificate();
        if body.extensions().is_some() || body.signature() != certificate.signature_algorithm() {
            return Err(CertificateError::BadEncoding);
        }
        within(body.validity(), now)?;
        let mut problem = CertificateError::UnknownIssuer;
        for authority in &self.trusted {
            let signer = authority.tbs_certificate();
            if signer.subject() != body.issuer() {
                continue;
            }
            match within(signer.validity(), now)
                .and_then(|()| self.is_signed(certificate, authority))
            {
                Ok(()) => return Ok(()),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn is_signed(
        &self,
        certificate: &Certificate,
        by: &Certificate,
    ) -> Result<(), CertificateError> {
        let bad = |_| CertificateError::BadEncoding;
        let message = certificate.tbs_certificate().to_der().map_err(bad)?;
        let signature = certificate
            .signature()
            .as_bytes()
            .ok_or(CertificateError::BadEncoding)?;
        let algorithm = certificate.signature_algorithm().to_der().map_err(bad)?;
        let algorithm = AnyRef::from_der(&algorithm).map_err(bad)?.value();
        let key = by
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .map_err(bad)?;
        let fitting = |one: &&&dyn SignatureVerificationAlgorithm| {
            one.signature_alg_id().as_ref() == algorithm
        };
        verify(
            &key,
            self.algorithms.all.iter().filter(fitting).copied(),
            &message,
            signature,
        )
    }

    /// Checks what the peer has signed in a handshake of TLS 1.2 with the key of a certificate of version 1.
    ///
    /// # Errors
    /// It has not.
    pub(crate) fn check_tls12(
        &self,
        certificate: &Certificate,
        message: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = certificate
            .tbs_certificate()
            .subject_public_key_info()
            .to_der();
        let key = key.map_err(|_| CertificateError::BadEncoding)?;
        let schemes = self
            .algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = schemes.flat_map(|(_, algorithms)| algorithms.iter().copied());
        verify(&key, algorithms, message, signed.signature())?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

/// Checks a signature with whichever of the algorithms is for this kind of key.
fn verify(
    key: &[u8],
    algorithms: impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CertificateError> {
    let key = SubjectPublicKeyInfoDer::from(key);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    for algorithm in algorithms {
        match key.verify_signature(algorithm, message, signature) {
            Ok(()) => return Ok(()),
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Err(CertificateError::BadSignature),
        }
    }
    Err(CertificateError::BadSignature)
}

fn within(validity: &Validity, now: UnixTime) -> Result<(), CertificateError> {
    let now_s = now.as_secs();
    if now_s < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet);
    }
    if now_s > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Refuses a certificate whose `nsCertType` does not allow what it is used for.
///
/// # Errors
/// It is meant for something else.
pub(crate) fn check_purpose(
    certificate: &CertificateDer<'_>,
    side: Side,
) -> Result<(), CertificateError> {
    let Ok(parsed) = Certificate::from_der(certificate) else {
        return Err(CertificateError::BadEncoding);
    };
    let extensions = parsed.tbs_certificate().extensions();
    let Some(found) = extensions.and_then(|all| all.iter().find(|one| one.extn_id == NS_CERT_TYPE))
    else {
        return Ok(());
    };
    let allowed = BitStringRef::from_der(found.extn_value.as_bytes())
        .map_err(|_| CertificateError::BadEncoding)?;
    if allowed
        .raw_bytes()
        .first()
        .is_some_and(|bits| bits & side as u8 != 0)
    {
        return Ok(());
    }
    Err(CertificateError::Other(OtherError(Arc::new(WrongPurpose(
        side,
    )))))
}

/// `nsCertType` names other purposes.
#[derive(Debug)]
struct WrongPurpose(Side);

impl std::fmt::Display for WrongPurpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "unsuitable certificate purpose: nsCertType does not allow {:?}",
            self.0
        )
    }
}

impl std::error::Error for WrongPurpose {}
