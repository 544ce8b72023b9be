//! ACL, as far as there is one user: `default`, with `requirepass` as its password.

mod help;
mod log;

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::{AclCategories, Meta};
use commandtable::{Error, Outcome};
use config::Config;

pub(super) static COMMANDS: Family = &[
    ("acl|whoami", whoami),
    ("acl|users", users),
    ("acl|list", list),
    ("acl|cat", cat),
    ("acl|getuser", get_user),
    ("acl|genpass", generate_password),
    ("acl|dryrun", dry_run),
    ("acl|log", log::log),
    ("acl|save", no_file),
    ("acl|load", no_file),
    ("acl|help", help::help),
];

/// Bits of a password that ACL GENPASS makes: what is usual, and the most.
const PASSWORD_BITS: i64 = 256;
const PASSWORD_BITS_MAX: i64 = 4096;

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The default user's password as it is shown: a digest. `None` without one.
fn password_digest(config: &Config) -> Option<String> {
    use sha2::Digest;
    let password = config.requirepass.as_bytes();
    (!password.is_empty()).then(|| hex(&sha2::Sha256::digest(password)))
}

/// The words of ACL LIST for the default user, `user` left out.
pub(super) fn default_user(config: &Config) -> Vec<u8> {
    let login = match password_digest(config) {
        None => "nopass sanitize-payload".to_owned(),
        Some(digest) => format!("sanitize-payload #{digest}"),
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
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let category = AclCategories::by_name(name).ok_or_else(|| Error::unknown_category(name))?;
    let members: Vec<&Meta> = commandtable::COMMANDS
        .iter()
        .flat_map(|meta| std::iter::once(meta).chain(meta.subcommands))
        .filter(|meta| meta.acl.contains(category) && x.core.registry.knows(meta))
        .collect();
    x.out.array(members.len());
    for meta in members {
        x.out.bulk(meta.full_name.as_bytes());
    }
    Ok(())
}

/// `ACL GETUSER username`.
///
/// Reply: a map of what the user may do; null for a user nobody knows.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL GETUSER (since 6.0.0).
fn get_user(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args[2] != b"default" {
        x.out.null();
        return Ok(());
    }
    let digest = password_digest(&x.core.config);
    let out = &mut *x.out;
    out.map(6);
    out.bulk(b"flags");
    out.set(if digest.is_none() { 3 } else { 2 });
    out.bulk(b"on");
    if digest.is_none() {
        out.bulk(b"nopass");
    }
    out.bulk(b"sanitize-payload");
    out.bulk(b"passwords");
    out.array(usize::from(digest.is_some()));
    if let Some(digest) = digest {
        out.bulk(digest.as_bytes());
    }
    for (name, rules) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        out.bulk(name.as_bytes());
        out.bulk(rules.as_bytes());
    }
    out.bulk(b"selectors");
    out.array(0);
    Ok(())
}

/// `ACL GENPASS [bits]`: a password nobody can guess.
///
/// Reply: hexadecimal digits, as many as hold the bits.
/// Errors: a number of bits that is none, or out of range; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL GENPASS (since 6.0.0).
fn generate_password(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let bits = match args {
        [_, _] => PASSWORD_BITS,
        [_, _, bits] => dataset::number::int(bits)?,
        _ => return Err(Error::subcommand_syntax(args)),
    };
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(Error::GENPASS_BITS);
    }
    let digits = bits.unsigned_abs().div_ceil(4) as usize;
    let mut password = String::new();
    while password.len() < digits {
        password.push_str(&hex(&x.core.host.random_bytes()));
    }
    x.out.bulk(&password.as_bytes()[..digits]);
    Ok(())
}

/// `ACL DRYRUN username command [arg ...]`: whether the user may run the command. The default user may run all.
///
/// Reply: OK.
/// Errors: no such user or command; a wrong number of arguments.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL DRYRUN (since 7.0.0).
fn dry_run(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args[2] != b"default" {
        return Err(Error::user_not_found(args[2]));
    }
    let line = &args[3..];
    let meta = super::introspect::lookup(&x.core.names, line)
        .filter(|meta| x.core.registry.knows(meta))
        .ok_or_else(|| Error::command_not_found(line[0]))?;
    if !meta.accepts(line.len()) {
        return Err(Error::arity(meta.full_name));
    }
    x.out.ok();
    Ok(())
}

/// `ACL SAVE` and `ACL LOAD`: there is no file of users.
///
/// Reply: none.
/// Errors: always.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL SAVE and ACL LOAD (since 6.0.0).
fn no_file(_x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    Err(Error::NO_ACL_FILE)
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
            > ACL GETUSER somebody
            < (nil)
            > ACL DRYRUN default GET
            < (error) ERR wrong number of arguments for 'get' command
            > ACL DRYRUN default GET k
            < OK
            > ACL DRYRUN default NOTHING
            < (error) ERR Command 'NOTHING' not found
            > ACL DRYRUN somebody GET k
            < (error) ERR User 'somebody' not found
            > ACL GENPASS 0
            < (error) ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
            > ACL CAT nothing
            < (error) ERR Unknown category 'nothing'
            "#,
        );
    }
}
