//! ACL SAVE and LOAD: the file of users.

use crate::exec::{Args, Exec};
use crate::host::Level;
use crate::users;
use acl::Users;
use commandtable::{Error, Outcome};

/// The name of the file of users.
fn name(x: &Exec<'_>) -> Result<Vec<u8>, Error> {
    let name = x.state.config.aclfile.as_bytes();
    match name {
        [] => Err(Error::NO_ACL_FILE),
        name => Ok(name.to_vec()),
    }
}

/// `ACL SAVE`: writes all users to the file of users.
///
/// Reply: OK.
/// Errors: there is no such file, or it cannot be written.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL SAVE (since 6.0.0).
pub(super) fn save(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let name = name(x)?;
    let text = x.state.users.file_text();
    x.state
        .host
        .write_user_file(&name, &text)
        .map_err(|reason| {
            x.state.log(Level::Warning, &reason);
            Error::ACL_SAVE_FAILED
        })?;
    x.out.ok();
    Ok(())
}

/// `ACL LOAD`: takes over the users of the file of users: all of them, or, when something is wrong with one, none.
/// Connections of users that are there no more are closed.
///
/// Reply: OK.
/// Errors: there is no such file, it cannot be read, or everything that is wrong with it.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL LOAD (since 6.0.0).
pub(super) fn load(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let name = name(x)?;
    let text = x.state.host.read_user_file(&name);
    let text = text.map_err(|reason| with_code(users::unreadable(&name, &reason).as_bytes()))?;
    let channels = users::new_channels(&x.state.config);
    let loaded = Users::load(&name, &text, channels).map_err(|errors| with_code(&errors))?;
    x.state.warn_of_deprecated(&loaded.deprecated);
    users::replaced(x, loaded.users);
    x.out.ok();
    Ok(())
}

fn with_code(text: &[u8]) -> Error {
    Error::Raw([b"ERR ", text].concat())
}
