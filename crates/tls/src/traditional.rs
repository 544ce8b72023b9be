//! Private keys that are encrypted in OpenSSL's traditional form: lines within the PEM block name the cipher and what it starts
//! with.
//!
//! ```text
//! -----BEGIN RSA PRIVATE KEY-----
//! Proc-Type: 4,ENCRYPTED
//! DEK-Info: AES-256-CBC,<16 bytes in hexadecimal digits>
//!
//! <base64 of the encrypted key>
//! -----END RSA PRIVATE KEY-----
//! ```
//!
//! The cipher's key is one round of MD5 over the passphrase: whoever has the file tries passphrases fast, which is why OpenSSL
//! writes PKCS#8 by now. Files of before are read all the same, as the reference reads them.
//!
//! Source: RFC 1421, 4.6; the manual pages of OpenSSL's `PEM_read_bio_PrivateKey` and `EVP_BytesToKey`.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use md5::{Digest, Md5};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// The line that says that the block is encrypted.
const ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";
/// The line that says how.
const CIPHER: &str = "DEK-Info:";
/// Bytes of what a cipher starts with that salt its key.
const SALT_BYTES: usize = 8;

/// Whether there is such a key in a PEM text.
pub(crate) fn is_in(text: &str) -> bool {
    text.contains(ENCRYPTED)
}

/// The first private key of a PEM text, which is such a one.
///
/// # Errors
/// The passphrase is wrong, the cipher is none that we have, or it is no key.
pub(crate) fn private_key(text: &str, pass: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if pass.is_empty() {
        return Err("the key is encrypted, and no passphrase is configured".to_owned());
    }
    let cipher = text
        .lines()
        .find_map(|line| line.strip_prefix(CIPHER))
        .ok_or("it does not say how the key is encrypted")?;
    let (cipher, start) = cipher
        .trim()
        .split_once(',')
        .ok_or("it does not say how the key is encrypted")?;
    let start = bytes(start.trim()).ok_or("bad encoding of what the cipher starts with")?;
    // Only the lines that say how it is encrypted have a colon.
    let block: String = text
        .lines()
        .filter(|line| !line.contains(':'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let key = PrivateKeyDer::from_pem_slice(block.as_bytes()).map_err(|error| error.to_string())?;
    let encrypted = key.secret_der();
    let decrypted = match cipher {
        "AES-128-CBC" => decrypt::<aes::Aes128Dec>(encrypted, pass, &start),
        "AES-192-CBC" => decrypt::<aes::Aes192Dec>(encrypted, pass, &start),
        "AES-256-CBC" => decrypt::<aes::Aes256Dec>(encrypted, pass, &start),
        "DES-EDE3-CBC" => decrypt::<des::TdesEde3>(encrypted, pass, &start),
        _ => {
            return Err(format!(
                "the key is encrypted with {cipher}, which is not supported"
            ));
        }
    };
    let decrypted = decrypted.ok_or("bad decrypt: the passphrase is wrong")?;
    Ok(match key {
        PrivateKeyDer::Pkcs1(_) => PrivateKeyDer::Pkcs1(decrypted.into()),
        PrivateKeyDer::Sec1(_) => PrivateKeyDer::Sec1(decrypted.into()),
        _ => PrivateKeyDer::Pkcs8(decrypted.into()),
    })
}

/// What a cipher makes of the bytes; `None` if that is not padded as it should be, or `start` is not as long as it should be.
fn decrypt<C: BlockCipherDecrypt + KeyInit>(
    encrypted: &[u8],
    pass: &[u8],
    start: &[u8],
) -> Option<Vec<u8>> {
    let key = key(pass, start.get(..SALT_BYTES)?, C::key_size());
    let cipher = cbc::Decryptor::<C>::new_from_slices(&key, start).ok()?;
    let mut buffer = encrypted.to_vec();
    let decrypted = cipher.decrypt_padded::<Pkcs7>(&mut buffer).ok()?;
    // One wrong passphrase in 256 gives something that seems to be padded.
    pkcs8::Document::try_from(decrypted).ok()?;
    Some(decrypted.to_vec())
}

/// A cipher's key of so many bytes: MD5 over the passphrase and the salt, then over that and both again, until it is long enough.
fn key(pass: &[u8], salt: &[u8], count: usize) -> Vec<u8> {
    let mut key = Vec::new();
    let mut last = Vec::new();
    while key.len() < count {
        last = Md5::new()
            .chain_update(&last)
            .chain_update(pass)
            .chain_update(salt)
            .finalize()
            .to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(count);
    key
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}
