//! The handlers of COMMAND.
//!
//! Only commands that the server can run are listed. Replies are in the order of the table, by
//! name; clients must not rely on an order, for the reference has a random one.
//! Source: Valkey command reference, COMMAND.

use resp::Reply;

use super::describe;
use crate::commands::Family;
use crate::state::ServerState;
use commandtable::Names;
use commandtable::{AclCategories, CommandInfo, Flags, KeyRef, keys};
use commandtable::{Error, Outcome};
use words::glob::{self, Case};

pub(crate) static COMMANDS: Family = &[
    ("command", |x, _| {
        all(&knows(x.state), x.out);
        Ok(())
    }),
    ("command|count", |x, _| {
        count(&knows(x.state), x.out);
        Ok(())
    }),
    ("command|docs", |x, args| {
        docs(&knows(x.state), &x.state.names, &args[2..], x.out);
        Ok(())
    }),
    ("command|getkeys", |x, args| {
        getkeys(&knows(x.state), &x.state.names, &args[2..], x.out)
    }),
    ("command|getkeysandflags", |x, args| {
        getkeysandflags(&knows(x.state), &x.state.names, &args[2..], x.out)
    }),
    ("command|help", |x, _| {
        x.reply_help("COMMAND", HELP);
        Ok(())
    }),
    ("command|info", |x, args| {
        info(&knows(x.state), &x.state.names, &args[2..], x.out);
        Ok(())
    }),
    ("command|list", |x, args| {
        list(&knows(x.state), &args[2..], x.out)
    }),
];

/// True for commands that the server can run, and for containers of such; for none of our own, so that whoever compares
/// servers finds the reference's commands.
type Knows<'a> = &'a dyn Fn(&CommandInfo) -> bool;

fn knows(state: &ServerState) -> impl Fn(&CommandInfo) -> bool {
    |command| state.registry.knows(command) && state.names.reach(command) && !command.docs.own
}

static HELP: &[&str] = &[
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands in this server.",
    "LIST",
    "    Return a list of all commands in this server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full command.",
];

/// `COMMAND`: describes all commands.
///
/// Reply: array with an entry of COMMAND INFO for each command.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn all(knows: Knows<'_>, reply: &mut Reply) {
    reply.array(known(knows).count());
    for command in known(knows) {
        describe::info(reply, command, knows);
    }
}

/// `COMMAND COUNT`: counts the commands, not the subcommands.
///
/// Reply: integer.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn count(knows: Knows<'_>, reply: &mut Reply) {
    reply.uint(known(knows).count());
}

/// `COMMAND INFO [name ...]`: describes the named commands, or all.
///
/// Reply: array with an entry for each name, null for names that no command has.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn info(knows: Knows<'_>, names: &Names, wanted: &[&[u8]], reply: &mut Reply) {
    if wanted.is_empty() {
        return all(knows, reply);
    }
    reply.array(wanted.len());
    for name in wanted {
        match names.find_full(name).filter(|command| knows(command)) {
            Some(command) => describe::info(reply, command, knows),
            None => reply.null(),
        }
    }
}

/// `COMMAND DOCS [name ...]`: documents the named commands, or all.
///
/// Reply: map from name to documentation; names that no command has are left out.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn docs(knows: Knows<'_>, names: &Names, wanted: &[&[u8]], reply: &mut Reply) {
    let document = |command: &CommandInfo, reply: &mut Reply| {
        describe::docs(reply, command, knows);
    };
    if wanted.is_empty() {
        reply.map(known(knows).count());
        for command in known(knows) {
            document(command, reply);
        }
        return;
    }
    let found = || {
        let named = wanted.iter().filter_map(|name| names.find_full(name));
        named.filter(|command| knows(command))
    };
    reply.map(found().count());
    for command in found() {
        document(command, reply);
    }
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`: names commands and
/// subcommands.
///
/// Reply: array of bulk strings.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn list(knows: Knows<'_>, options: &[&[u8]], reply: &mut Reply) -> Outcome {
    let accepts: Box<dyn Fn(&CommandInfo) -> bool + '_> = match *options {
        [] => Box::new(|_| true),
        [filter_by, kind, value] if filter_by.eq_ignore_ascii_case(b"filterby") => {
            if kind.eq_ignore_ascii_case(b"module") {
                // There are no modules to have brought a command.
                Box::new(|_| false)
            } else if kind.eq_ignore_ascii_case(b"aclcat") {
                match AclCategories::by_name(value) {
                    Some(category) => Box::new(move |command| command.acl.contains(category)),
                    None => Box::new(|_| false),
                }
            } else if kind.eq_ignore_ascii_case(b"pattern") {
                Box::new(move |command| {
                    glob::matches(value, command.full_name.as_bytes(), Case::Insensitive)
                })
            } else {
                return Err(Error::SYNTAX);
            }
        }
        _ => return Err(Error::SYNTAX),
    };
    let listed = || {
        known(knows)
            .flat_map(|command| std::iter::once(command).chain(command.subcommands))
            .filter(|command| knows(command) && accepts(command))
    };
    reply.array(listed().count());
    for command in listed() {
        reply.bulk(command.full_name.as_bytes());
    }
    Ok(())
}

/// `COMMAND GETKEYS command [arg ...]`: finds the keys of a command line.
///
/// Reply: array of bulk strings.
/// Errors: the command is unknown, takes no keys, or the line does not fit it.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn getkeys(knows: Knows<'_>, names: &Names, line: &[&[u8]], reply: &mut Reply) -> Outcome {
    let found = keys_of(knows, names, line)?;
    reply.array(found.len());
    for key in found {
        reply.bulk(line[key.index]);
    }
    Ok(())
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]`: finds the keys of a command line and what the
/// command would do to each.
///
/// Reply: array of pairs, the key and a set of flags.
/// Errors: the command is unknown, takes no keys, or the line does not fit it.
/// Propagates: nothing.
/// Source: Valkey command reference, COMMAND.
fn getkeysandflags(knows: Knows<'_>, names: &Names, line: &[&[u8]], reply: &mut Reply) -> Outcome {
    let found = keys_of(knows, names, line)?;
    reply.array(found.len());
    for KeyRef { index, flags } in found {
        reply.array(2);
        reply.bulk(line[index]);
        describe::key_flags(reply, flags);
    }
    Ok(())
}

fn keys_of(
    knows: Knows<'_>,
    names: &Names,
    line: &[&[u8]],
) -> Result<commandtable::KeyRefs, Error> {
    let command = lookup(names, line)
        .filter(|command| knows(command))
        .ok_or(Error::GETKEYS_COMMAND)?;
    if !command.takes_keys() {
        return Err(Error::GETKEYS_NO_KEYS);
    }
    if !command.accepts(line.len()) {
        return Err(Error::GETKEYS_ARITY);
    }
    let found = keys(command, line).unwrap_or_default();
    if found.is_empty() && !command.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(Error::GETKEYS_ARGUMENTS);
    }
    Ok(found)
}

/// The command that a command line would run; a container when it stands alone.
pub(in crate::commands) fn lookup(names: &Names, line: &[&[u8]]) -> Option<&'static CommandInfo> {
    let command = names.find(line.first()?)?;
    match line.get(1) {
        Some(name) if command.is_container() => command.subcommand(name),
        _ => Some(command),
    }
}

fn known(knows: Knows<'_>) -> impl Iterator<Item = &'static CommandInfo> {
    commandtable::COMMANDS
        .iter()
        .filter(|command| knows(command))
}

#[cfg(test)]
mod tests {
    use resp::Protocol;

    use super::*;

    const ALL: Knows<'static> = &|_| true;

    fn text(protocol: Protocol, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        String::from_utf8_lossy(&reply.output().to_vec()).replace("\r\n", " ")
    }

    #[test]
    fn an_entry_is_the_reference_s_in_both_protocols() {
        let mut names: Vec<&[u8]> = vec![b"ZADD", b"nosuch"];
        assert_eq!(
            text(Protocol::V3, |reply| info(
                ALL,
                &Names::default(),
                &names,
                reply
            )),
            "*2 *10 $4 zadd :-4 ~3 +write +denyoom +fast :1 :1 :1 ~3 +@write +@sortedset +@fast ~0 ~1 \
             %3 $5 flags ~2 +RW +update $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 \
             $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0 _ "
        );
        names = vec![b"config|Get"];
        assert_eq!(
            text(Protocol::V2, |reply| info(
                ALL,
                &Names::default(),
                &names,
                reply
            )),
            "*1 *10 $10 config|get :-3 *4 +admin +noscript +loading +stale :0 :0 :0 \
             *3 +@admin +@slow +@dangerous *0 *0 *0 "
        );
    }

    #[test]
    fn documentation_holds_what_there_is_to_say() {
        assert_eq!(
            text(Protocol::V3, |reply| docs(
                ALL,
                &Names::default(),
                &[b"nosuch", b"getset"],
                reply
            )),
            "%1 $6 getset %8 $7 summary $39 Set a string and return the one before. $5 since $5 1.0.0 \
             $5 group $6 string $10 complexity $4 O(1) $9 doc_flags ~1 +deprecated \
             $16 deprecated_since $5 6.2.0 $11 replaced_by $30 `SET` with the `!GET` argument \
             $9 arguments *2 %4 $4 name $3 key $4 type $3 key $12 display_text $3 key \
             $14 key_spec_index :0 %3 $4 name $5 value $4 type $6 string $12 display_text $5 value "
        );
    }

    #[test]
    fn what_the_server_cannot_run_is_not_listed() {
        let all = text(Protocol::V2, |reply| count(ALL, reply));
        assert_eq!(all, format!(":{} ", commandtable::COMMANDS.len()));
        let fewer = text(Protocol::V2, |reply| {
            count(&|command: &CommandInfo| command.name != "get", reply)
        });
        assert_eq!(fewer, format!(":{} ", commandtable::COMMANDS.len() - 1));

        let without = |command: &CommandInfo| command.full_name != "object|freq";
        let described = text(Protocol::V2, |reply| {
            info(&without, &Names::default(), &[b"object"], reply)
        });
        assert!(
            !described.contains("object|freq") && described.contains("*4 *10"),
            "{described}"
        );
        assert_eq!(
            text(Protocol::V2, |reply| info(
                &without,
                &Names::default(),
                &[b"object|freq"],
                reply
            )),
            "*1 $-1 "
        );
    }

    #[test]
    fn lists_are_filtered() {
        let listed = |options: &[&[u8]]| {
            let mut reply = Reply::new(Protocol::V2);
            list(ALL, options, &mut reply)
                .map(|()| String::from_utf8_lossy(&reply.output().to_vec()).replace("\r\n", " "))
        };
        assert_eq!(
            listed(&[b"FILTERBY", b"aclcat", b"TRANSACTION"]).as_deref(),
            Ok("*5 $7 discard $4 exec $5 multi $7 unwatch $5 watch ")
        );
        assert_eq!(
            listed(&[b"filterby", b"PATTERN", b"XI*O|[h]elp"]).as_deref(),
            Ok("*1 $10 xinfo|help ")
        );
        for none in [
            [&b"FILTERBY"[..], b"module", b"x"],
            [b"FILTERBY", b"ACLCAT", b"@string"],
        ] {
            assert_eq!(listed(&none).as_deref(), Ok("*0 "));
        }
        for bad in [
            &[&b"FILTERBY"[..]][..],
            &[b"x"],
            &[b"FILTERBY", b"name", b"x"],
        ] {
            assert_eq!(listed(bad), Err(Error::SYNTAX));
        }
    }

    #[test]
    fn keys_are_found_or_the_reason_is_told() {
        let found = |line: &str| {
            let line: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let mut reply = Reply::new(Protocol::V3);
            getkeysandflags(ALL, &Names::default(), &line, &mut reply)
                .map(|()| String::from_utf8_lossy(&reply.output().to_vec()).replace("\r\n", " "))
        };
        assert_eq!(
            found("rename a b").as_deref(),
            Ok("*2 *2 $1 a ~3 +RW +access +delete *2 $1 b ~2 +OW +update ")
        );
        assert_eq!(found("memory usage k").as_deref(), Ok("*1 *2 $1 k ~1 +RO "));
        assert_eq!(found("eval script 0").as_deref(), Ok("*0 "));
        assert_eq!(found("foo"), Err(Error::GETKEYS_COMMAND));
        assert_eq!(found("config foo"), Err(Error::GETKEYS_COMMAND));
        assert_eq!(found("memory"), Err(Error::GETKEYS_NO_KEYS));
        assert_eq!(found("spublish c m"), Err(Error::GETKEYS_NO_KEYS));
        assert_eq!(found("get"), Err(Error::GETKEYS_ARITY));
        assert_eq!(found("zunion 2 a"), Err(Error::GETKEYS_ARGUMENTS));
        assert_eq!(
            found("xread count 1 block 0"),
            Err(Error::GETKEYS_ARGUMENTS)
        );
    }
}
