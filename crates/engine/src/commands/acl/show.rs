//! ACL WHOAMI, USERS, LIST, CAT and GETUSER.

use crate::exec::{Args, Exec};
use acl::Selector;
use commandtable::{AclCategories, CommandInfo, Error, Outcome};
use resp::Reply;

/// `ACL WHOAMI`.
///
/// Reply: the name of the connection's user.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL WHOAMI (since 6.0.0).
pub(super) fn whoami(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.bulk(x.client.user.name());
    Ok(())
}

/// `ACL USERS`.
///
/// Reply: the names of all users, sorted.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL USERS (since 6.0.0).
pub(super) fn users(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let users = x.state.users.iter();
    x.out.array(users.len());
    for user in users {
        x.out.bulk(user.name());
    }
    Ok(())
}

/// `ACL LIST`.
///
/// Reply: all users with their rules, each in a line as files have them.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL LIST (since 6.0.0).
pub(super) fn list(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let users = x.state.users.iter();
    x.out.array(users.len());
    for user in users {
        x.out.bulk(&user.line());
    }
    Ok(())
}

/// `ACL CAT [category]`.
///
/// Reply: all categories, or the commands of one, but for our own: as COMMAND.
/// Errors: no such category; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL CAT (since 6.0.0).
pub(super) fn cat(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
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
    let members: Vec<&CommandInfo> = acl::members(category)
        .filter(|command| x.state.registry.knows(command) && !command.docs.own)
        .collect();
    x.out.array(members.len());
    for command in members {
        x.out.bulk(command.full_name.as_bytes());
    }
    Ok(())
}

/// `ACL GETUSER username`.
///
/// Reply: a map of what the user may do; null for a user nobody knows.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL GETUSER (since 6.0.0).
pub(super) fn get_user(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let out = &mut *x.out;
    let Some(user) = x.state.users.get(args[2]) else {
        out.null();
        return Ok(());
    };
    out.map(6);
    out.bulk(b"flags");
    out.set(user.flags().count());
    for flag in user.flags() {
        out.bulk(flag.as_bytes());
    }
    out.bulk(b"passwords");
    out.array(user.passwords().len());
    for password in user.passwords() {
        out.bulk(password.hex().as_bytes());
    }
    rules(out, user.root());
    out.bulk(b"selectors");
    out.array(user.further_selectors().len());
    for selector in user.further_selectors() {
        out.map(3);
        rules(out, selector);
    }
    Ok(())
}

/// Three entries of a map: commands, keys, channels.
fn rules(out: &mut Reply, selector: &Selector) {
    for (name, rules) in [
        ("commands", selector.commands_text()),
        ("keys", selector.keys_text()),
        ("channels", selector.channels_text()),
    ] {
        out.bulk(name.as_bytes());
        out.bulk(&rules);
    }
}
