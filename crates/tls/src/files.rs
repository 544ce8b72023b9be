//! What the files hold: certificates, a key, parameters.

use crate::error::Error;
use crate::legacy;
use crate::settings::{KeyPair, Outside, Settings};
use crate::traditional;
use pkcs8::SecretDocument;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::Path;

/// The lines around an encrypted key.
const ENCRYPTED_BEGINS: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_ENDS: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// The system's words for an error, without Rust's ` (os error N)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A certificate with its chain, and its key.
///
/// # Errors
/// A file cannot be read or holds something else, or the two do not go together.
pub(crate) fn certified_key(
    pair: &KeyPair,
    outside: &dyn Outside,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let wrong_certificate = |why: String| Error::Certificate(pair.cert_file.clone(), why);
    let wrong_key = |why: String| Error::Key(pair.key_file.clone(), why);
    let text = outside
        .read(&pair.cert_file)
        .map_err(|error| wrong_certificate(reason(&error)))?;
    let chain = certificates(&text).map_err(wrong_certificate)?;
    let leaf = chain
        .first()
        .ok_or_else(|| wrong_certificate("no certificate in the file".to_owned()))?;
    let public =
        legacy::public_key(leaf).ok_or_else(|| wrong_certificate("bad encoding".to_owned()))?;
    let text = outside
        .read(&pair.key_file)
        .map_err(|error| wrong_key(reason(&error)))?;
    let key = private_key(&text, &pair.key_file_pass).map_err(wrong_key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| wrong_key(error.to_string()))?;
    if key.public_key().is_some_and(|own| own.as_ref() != public) {
        return Err(wrong_key("key values mismatch".to_owned()));
    }
    Ok(CertifiedKey::new(chain, key))
}

/// All certificates of a PEM text.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// The first private key of a PEM text.
fn private_key(text: &[u8], pass: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let shown = String::from_utf8_lossy(text);
    if traditional::is_in(&shown) {
        return traditional::private_key(&shown, pass);
    }
    match shown.find(ENCRYPTED_BEGINS) {
        Some(start) => decrypt(&shown[start..], pass),
        None => PrivateKeyDer::from_pem_slice(text).map_err(|error| error.to_string()),
    }
}

fn decrypt(text: &str, pass: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let end = text.find(ENCRYPTED_ENDS).ok_or("the key has no end")?;
    if pass.is_empty() {
        return Err("the key is encrypted, and no passphrase is configured".to_owned());
    }
    let (_, document) = SecretDocument::from_pem(&text[..end + ENCRYPTED_ENDS.len()])
        .map_err(|error| error.to_string())?;
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| error.to_string())?;
    let key = encrypted
        .decrypt(pass)
        .map_err(|_| "bad decrypt: the passphrase is wrong")?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// Those who are trusted.
///
/// # Errors
/// A file or folder cannot be read, or holds no certificate.
pub(crate) fn authorities(
    settings: &Settings,
    outside: &dyn Outside,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut found = Vec::new();
    let unreadable =
        |path: &Path, why: String| Error::Authority(format!("{}: {why}", path.display()));
    let file = &settings.ca_cert_file;
    if !file.as_os_str().is_empty() {
        let text = outside
            .read(file)
            .map_err(|error| unreadable(file, reason(&error)))?;
        found.extend(certificates(&text).map_err(|why| unreadable(file, why))?);
        if found.is_empty() {
            return Err(unreadable(file, "no certificate in the file".to_owned()));
        }
    }
    let folder = &settings.ca_cert_dir;
    if !folder.as_os_str().is_empty() {
        let files = outside
            .list(folder)
            .map_err(|error| unreadable(folder, reason(&error)))?;
        for file in files {
            // Whatever else lies there is none of our business.
            let text = outside.read(&file).unwrap_or_default();
            found.extend(certificates(&text).unwrap_or_default());
        }
    }
    Ok(found)
}

/// Checks the file of `tls-dh-params-file`. It has no use: no suite of ours takes parameters from a file.
///
/// # Errors
/// There is no such file, or it holds something else.
pub(crate) fn check_dh_params(file: &Path, outside: &dyn Outside) -> Result<(), Error> {
    if file.as_os_str().is_empty() {
        return Ok(());
    }
    let text = outside
        .read(file)
        .map_err(|error| Error::DhFile(file.to_owned(), reason(&error)))?;
    let text = String::from_utf8_lossy(&text);
    let document = text
        .find("-----BEGIN DH PARAMETERS-----")
        .map(|start| text[start..].trim_end());
    match document.map(pkcs8::Document::from_pem) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Error::DhParams(file.to_owned())),
    }
}
