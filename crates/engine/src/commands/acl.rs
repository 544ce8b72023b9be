//! ACL, as far as there is one user: `default`, with `requirepass` as its password.

use super::Family;
use crate::command::meta::{self, AclCategories};
use crate::config::Config;
use crate::error::{Error, Outcome};
use crate::exec::{Args, Exec};

pub(super) static COMMANDS: Family = &[
    ("acl|whoami", whoami),
    ("acl|users", users),
    ("acl|list", list),
    ("acl|cat", cat),
];

/// The words of ACL LIST for the default user, `user` left out.
fn default_user(config: &Config) -> Vec<u8> {
    use sha2::Digest;
    let password = config.requirepass.as_bytes();
    let login = if password.is_empty() {
        "nopass sanitize-payload".to_owned()
    } else {
        let mut login = String::from("sanitize-payload #");
        for byte in sha2::Sha256::digest(password) {
            login.push_str(&format!("{byte:02x}"));
        }
        login
    };
    format!("default on {login} ~* &* +@all").into_bytes()
}

/// `ACL WHOAMI`.
///
/// Reply: the name of the connection's user.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL WHOAMI (since 6.0.0).
fn whoami(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.bulk(b"default");
    Ok(())
}

/// `ACL USERS`.
///
/// Reply: the names of all users.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL USERS (since 6.0.0).
fn users(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.array(1);
    x.out.bulk(b"default");
    Ok(())
}

/// `ACL LIST`.
///
/// Reply: all users with their rules, as a configuration file has them.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL LIST (since 6.0.0).
fn list(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let line = [b"user ".as_slice(), &default_user(&x.core.config)].concat();
    x.out.array(1);
    x.out.bulk(&line);
    Ok(())
}

/// `ACL CAT [category]`.
///
/// Reply: all categories, or the commands of one.
/// Errors: no such category; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL CAT (since 6.0.0).
fn cat(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let name = match args {
        [_, _] => {
            x.out.array(AclCategories::ALL.len());
            for (_, name) in AclCategories::ALL {
                x.out.bulk(name.as_bytes());
            }
            return Ok(());
        }
        [_, _, name] => *name,
        _ => return Err(Error::subcommand_syntax("acl", args[1])),
    };
    let category = AclCategories::by_name(name).ok_or_else(|| Error::unknown_category(name))?;
    let members: Vec<_> = meta::COMMANDS
        .iter()
        .filter(|meta| meta.acl.contains(category) && !meta.is_container())
        .collect();
    x.out.array(members.len());
    for meta in members {
        x.out.bulk(meta.full_name.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn there_is_one_user() {
        check(
            r#"
            > ACL WHOAMI
            < "default"
            > ACL LIST
            < 1) "user default on nopass sanitize-payload ~* &* +@all"
            > CONFIG SET requirepass x
            < OK
            > ACL LIST
            < 1) "user default on sanitize-payload #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ~* &* +@all"
            > ACL CAT nothing
            < (error) ERR Unknown category 'nothing'
            "#,
        );
    }
}
