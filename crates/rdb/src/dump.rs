//! The frame of a DUMP payload.
//!
//! ```text
//! payload = type byte, value, version u16 LE, crc64 u64 LE over all before it
//! ```

use std::fmt;

use crate::crc64::crc64;
use crate::format::RDB_VERSION;

/// Bytes after the body.
const TRAILER_BYTES: usize = 10;

/// Why a payload is refused. Clients see one text for all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Shorter than its own trailer.
    Short,
    /// Written by a newer version than we read.
    Version(u16),
    /// The checksum differs.
    Checksum,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("payload too short"),
            Self::Version(version) => write!(f, "payload of RDB version {version}"),
            Self::Checksum => f.write_str("wrong payload checksum"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Completes `body` (type byte and value) to a payload.
#[must_use]
pub fn seal(body: Vec<u8>) -> Vec<u8> {
    seal_as(body, RDB_VERSION)
}

/// As [`seal`], for a value in the form of another version.
#[must_use]
pub fn seal_as(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.reserve_exact(TRAILER_BYTES);
    body.extend_from_slice(&version.to_le_bytes());
    let crc = crc64(&body);
    body.extend_from_slice(&crc.to_le_bytes());
    body
}

/// The body of `payload`, to be read with `Reader::over`. Unlike in a file, a checksum of zero is not
/// accepted (neither does Valkey).
///
/// # Errors
/// [`FrameError`] by cause.
pub fn verify(payload: &[u8]) -> Result<&[u8], FrameError> {
    let body = unverified(payload)?;
    let (summed, crc) = payload.split_last_chunk::<8>().ok_or(FrameError::Short)?;
    let crc = u64::from_le_bytes(*crc);
    if crc != crc64(summed) {
        return Err(FrameError::Checksum);
    }
    Ok(body)
}

/// As [`verify`], whatever the checksum.
///
/// # Errors
/// [`FrameError`] by cause.
pub fn unverified(payload: &[u8]) -> Result<&[u8], FrameError> {
    let (summed, _) = payload.split_last_chunk::<8>().ok_or(FrameError::Short)?;
    let (body, version) = summed.split_last_chunk::<2>().ok_or(FrameError::Short)?;
    let version = u16::from_le_bytes(*version);
    if version > RDB_VERSION {
        return Err(FrameError::Version(version));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_body_comes_back() {
        let payload = seal(b"\x00\x03abc".to_vec());
        assert_eq!(verify(&payload), Ok(&b"\x00\x03abc"[..]));
    }

    #[test]
    fn a_payload_of_the_reference_is_accepted() {
        // DUMP of SET k 10 on Valkey 8.0.1.
        let payload = PAYLOAD_OF_TEN;
        assert_eq!(verify(payload), Ok(&b"\x00\xC0\x0A"[..]));
        assert_eq!(seal(b"\x00\xC0\x0A".to_vec()), payload);
    }

    const PAYLOAD_OF_TEN: &[u8] = b"\x00\xC0\n\x0B\x00\x07@\xEA6\xF31\x8A2";

    #[test]
    fn damage_and_newer_versions_are_refused() {
        let payload = seal(b"\x00\x03abc".to_vec());
        for at in 0..payload.len() {
            let mut payload = payload.clone();
            payload[at] ^= 1;
            assert!(verify(&payload).is_err());
            assert!(verify(&payload[..at]).is_err());
        }
        let mut newer = payload.clone();
        newer[5] = 12;
        assert_eq!(verify(&newer), Err(FrameError::Version(12)));
        assert_eq!(verify(b"123456789"), Err(FrameError::Short));
        let mut unchecked = payload;
        unchecked[7..].fill(0);
        assert_eq!(verify(&unchecked), Err(FrameError::Checksum));
        assert_eq!(unverified(&unchecked), Ok(&b"\x00\x03abc"[..]));
        assert_eq!(unverified(&newer), Err(FrameError::Version(12)));
    }
}
