//! CLIENT: who is connected.

use crate::client::Client;
use crate::error::Error;

/// Refuses names that would break the lines of CLIENT LIST.
///
/// # Errors
/// [`Error::CLIENT_NAME`].
pub(crate) fn check_name(name: &[u8]) -> Result<(), Error> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(())
    } else {
        Err(Error::CLIENT_NAME)
    }
}

/// The client as CLIENT LIST shows it.
#[must_use]
pub fn describe(client: &Client, _hide_user_data: bool) -> String {
    format!("id={} addr={}", client.id, client.peer.addr)
}
