//! CLIENT: who is connected, and what one connection may say about itself and others.

mod kill;
mod list;
mod tracking;

pub(crate) use kill::cut_off;
pub use list::describe;
pub(crate) use list::memory_of;

use super::Family;
use crate::blocking::WaitFor;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::state::{Pause, PauseBy, PauseKind};
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("client|id", id),
    ("client|info", list::info),
    ("client|list", list::list),
    ("client|setname", set_name),
    ("client|getname", get_name),
    ("client|setinfo", set_info),
    ("client|kill", kill::kill),
    ("client|reply", reply),
    ("client|pause", pause),
    ("client|unpause", unpause),
    ("client|unblock", unblock),
    ("client|no-evict", no_evict),
    ("client|no-touch", no_touch),
    ("client|getredir", tracking::get_redir),
    ("client|trackinginfo", tracking::info),
    ("client|tracking", tracking::tracking),
    ("client|caching", tracking::caching),
    ("client|capa", capa),
    ("client|help", help),
];

/// True for bytes that keep a line of CLIENT LIST readable by its spaces.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// Refuses names that would break the lines of CLIENT LIST.
///
/// # Errors
/// [`Error::CLIENT_NAME`].
pub(crate) fn check_name(name: &[u8]) -> Result<(), Error> {
    if is_plain(name) {
        Ok(())
    } else {
        Err(Error::CLIENT_NAME)
    }
}

/// `CLIENT ID`.
///
/// Reply: the number of this connection.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT ID (since 5.0.0).
fn id(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.int(x.client.id as i64);
    Ok(())
}

/// `CLIENT SETNAME name`; an empty one takes the name away.
///
/// Reply: OK.
/// Errors: a name with spaces or the like.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT SETNAME (since 2.6.9).
fn set_name(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    check_name(args[2])?;
    x.client.name = args[2].to_vec();
    x.out.ok();
    Ok(())
}

/// `CLIENT GETNAME`.
///
/// Reply: the name, null without one.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT GETNAME (since 2.6.9).
fn get_name(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let name = Some(x.client.name.as_slice()).filter(|name| !name.is_empty());
    x.out.bulk_or_null(name);
    Ok(())
}

/// `CLIENT SETINFO LIB-NAME|LIB-VER value`.
///
/// Reply: OK.
/// Errors: another attribute; a value with spaces or the like.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT SETINFO (since 7.2.0).
fn set_info(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (attribute, slot) = if args[2].eq_ignore_ascii_case(b"lib-name") {
        ("lib-name", &mut x.client.lib_name)
    } else if args[2].eq_ignore_ascii_case(b"lib-ver") {
        ("lib-ver", &mut x.client.lib_ver)
    } else {
        return Err(Error::client_info_option(args[2]));
    };
    if !is_plain(args[3]) {
        return Err(Error::client_info_value(attribute));
    }
    *slot = args[3].to_vec();
    x.out.ok();
    Ok(())
}

/// `CLIENT REPLY ON|OFF|SKIP`: whether commands are answered.
///
/// Reply: OK for ON, nothing otherwise. What EXEC is in the midst of saying is said to its end.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT REPLY (since 3.2.0).
fn reply(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let flags = &mut x.client.flags;
    if args[2].eq_ignore_ascii_case(b"on") {
        flags
            .clear(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT);
        x.out.ok();
    } else if args[2].eq_ignore_ascii_case(b"off") {
        flags.set(ClientFlags::REPLY_OFF);
    } else if args[2].eq_ignore_ascii_case(b"skip") {
        if !flags.has(ClientFlags::REPLY_OFF) {
            flags.set(ClientFlags::REPLY_SKIP_NEXT);
        }
    } else {
        return Err(Error::SYNTAX);
    }
    Ok(())
}

/// `CLIENT PAUSE timeout [WRITE|ALL]`: holds commands back for a number of milliseconds.
///
/// Reply: OK.
/// Errors: a timeout that is none, another mode.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT PAUSE (since 3.0.0, modes since 6.2.0).
fn pause(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let kind = match args {
        [_, _, _] => PauseKind::All,
        [_, _, _, mode] if mode.eq_ignore_ascii_case(b"write") => PauseKind::Write,
        [_, _, _, mode] if mode.eq_ignore_ascii_case(b"all") => PauseKind::All,
        [_, _, _, _] => return Err(Error::PAUSE_MODE),
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let until_ms = match dataset::number::deadline_from_ms(args[2], x.now_ms())? {
        0 => x.now_ms(),
        until_ms => until_ms,
    };
    // A pause under way may change its kind, but not end earlier.
    let until_ms = x.state.pauses[PauseBy::Client as usize]
        .map_or(until_ms, |running| running.until_ms.max(until_ms));
    x.state.pause_for(PauseBy::Client, Pause { kind, until_ms });
    x.out.ok();
    Ok(())
}

/// `CLIENT UNPAUSE`.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT UNPAUSE (since 6.2.0).
fn unpause(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.state.unpause(PauseBy::Client);
    x.out.ok();
    Ok(())
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`: ends a client's waiting, as its timeout would or with an error.
///
/// Reply: 1 if the client was waiting, else 0.
/// Errors: an id that is no number, another reason.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT UNBLOCK (since 5.0.0).
fn unblock(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let with_error = match args {
        [_, _, _] => false,
        [_, _, _, reason] if reason.eq_ignore_ascii_case(b"timeout") => false,
        [_, _, _, reason] if reason.eq_ignore_ascii_case(b"error") => true,
        [_, _, _, _] => return Err(Error::UNBLOCK_REASON),
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let id = dataset::number::int(args[2])? as u64;
    let waits = x
        .state
        .clients
        .get(id)
        .and_then(|client| client.blocked.as_deref())
        // What MIGRATE has sent cannot be called back.
        .is_some_and(|blocked| !matches!(blocked.wait, WaitFor::Migration(_) | WaitFor::Script));
    if waits {
        crate::blocking::unblock_with(x.keys, x.state, id, |state, client, out| {
            if with_error {
                state.stats.count_error(Error::UNBLOCKED.code());
                out.error(Error::UNBLOCKED.text().as_bytes());
            } else {
                crate::cron::reply_timeout(state, client, out);
            }
        });
    }
    x.out.int(i64::from(waits));
    Ok(())
}

/// ON or OFF, in any case.
fn switch(word: &[u8]) -> Result<bool, Error> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(Error::SYNTAX)
    }
}

/// `CLIENT NO-EVICT ON|OFF`: the connection is not closed to make room.
///
/// Reply: OK.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT NO-EVICT (since 7.0.0).
fn no_evict(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let on = switch(args[2])?;
    x.client.flags.put(ClientFlags::NO_EVICT, on);
    x.out.ok();
    Ok(())
}

/// `CLIENT NO-TOUCH ON|OFF`: reads do not count as use of a key.
///
/// Reply: OK.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT NO-TOUCH (since 7.2.0).
fn no_touch(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let on = switch(args[2])?;
    x.client.flags.put(ClientFlags::NO_TOUCH, on);
    x.out.ok();
    Ok(())
}

/// `CLIENT CAPA capability [capability ...]`: what the client can deal with; unknown words are ignored.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT CAPA (since 8.0.0).
fn capa(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args[2..]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(b"redirect"))
    {
        x.client.flags.set(ClientFlags::CAN_REDIRECT);
    }
    x.out.ok();
    Ok(())
}

/// `CLIENT HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT HELP (since 5.0.0).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "CLIENT",
        &[
            "CACHING (YES|NO)",
            "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
            "CAPA <option> [options...]",
            "    The client claims its some capability options. Options are:",
            "    * REDIRECT",
            "      The client can handle redirection during primary and replica failover in standalone mode.",
            "GETREDIR",
            "    Return the client ID we are redirecting to when tracking is enabled.",
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections. Options are:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made from the specified address",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made to specified local address",
            "    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)",
            "      Kill connections by type.",
            "    * USER <username>",
            "      Kill connections authenticated by <username>.",
            "    * SKIPME (YES|NO)",
            "      Skip killing current connection (default: yes).",
            "    * ID <client-id>",
            "      Kill connections by client id.",
            "    * MAXAGE <maxage>",
            "      Kill connections older than the specified age.",
            "LIST [options ...]",
            "    Return information about client connections. Options:",
            "    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)",
            "      Return clients of specified type.",
            "UNPAUSE",
            "    Stop the current client pause, resuming traffic.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Suspend all, or just write, clients for <timeout> milliseconds.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "SETINFO <option> <value>",
            "    Set client meta attr. Options are:",
            "    * LIB-NAME: the client lib name.",
            "    * LIB-VER: the client lib version.",
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "    Unblock the specified blocked client.",
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Control server assisted client side caching.",
            "TRACKINGINFO",
            "    Report tracking status for the current connection.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Will not touch LRU/LFU stats when this mode is on.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Driver, check};

    #[test]
    fn a_client_describes_itself() {
        check(
            r#"
            > CLIENT SETNAME "a b"
            < (error) ERR Client names cannot contain spaces, newlines or special characters.
            > CLIENT SETNAME me
            < OK
            > CLIENT GETNAME
            < "me"
            > CLIENT SETINFO lib-ver "1 2"
            < (error) ERR lib-ver cannot contain spaces, newlines or special characters.
            > CLIENT SETINFO LIB-NAME lib
            < OK
            > CLIENT SETINFO x y
            < (error) ERR Unrecognized option 'x'
            > CLIENT ID
            < (integer) 1
            "#,
        );
    }

    #[test]
    fn a_line_has_the_fields_of_the_reference() {
        let mut driver = Driver::new();
        driver.send(0, &[b"SELECT", b"2"]);
        driver.send(0, &[b"CLIENT", b"NO-EVICT", b"on"]);
        let reply = driver.send(0, &[b"CLIENT", b"LIST"]);
        let text = String::from_utf8(reply).expect("text");
        let line = text.lines().nth(1).expect("one client");
        let fields: Vec<(&str, &str)> = line
            .split(' ')
            .map(|field| field.split_once('=').expect("name=value"))
            .collect();
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names.join(" "),
            "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs \
             rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver tot-net-in tot-net-out tot-cmds"
        );
        for field in [
            ("id", "1"),
            ("addr", "127.0.0.1:1"),
            ("flags", "e"),
            ("db", "2"),
            ("multi", "-1"),
            ("cmd", "client|list"),
            ("user", "default"),
            ("resp", "2"),
            ("tot-cmds", "2"),
        ] {
            assert!(fields.contains(&field), "{field:?} in {line}");
        }
    }

    #[test]
    fn lists_and_kills_are_filtered() {
        check(
            r#"
            1> SUBSCRIBE ch
            < 1) "subscribe"
            < 2) "ch"
            < 3) (integer) 1
            > CLIENT LIST TYPE replica
            < ""
            > CLIENT LIST TYPE x
            < (error) ERR Unknown client type 'x'
            > CLIENT LIST ID 7 x
            < (error) ERR Invalid client ID
            > CLIENT LIST ID 7
            < ""
            > CLIENT LIST ID
            < (error) ERR syntax error
            > CLIENT KILL 1.2.3.4:5
            < (error) ERR No such client
            > CLIENT KILL ID 0
            < (error) ERR client-id should be greater than 0
            > CLIENT KILL USER nobody
            < (error) ERR No such user 'nobody'
            > CLIENT KILL MAXAGE 0
            < (error) ERR maxage should be greater than 0
            > CLIENT KILL TYPE pubsub ID 1
            < (integer) 0
            > CLIENT KILL TYPE pubsub SKIPME no
            < (integer) 1
            > CLIENT KILL TYPE pubsub
            < (integer) 0
            > CLIENT KILL ID 1
            < (integer) 0
            > CLIENT KILL ID 1 SKIPME no
            < (integer) 1
            "#,
        );
    }

    #[test]
    fn replies_can_be_turned_off() {
        check(
            r#"
            > CLIENT REPLY SKIP
            <
            > PING
            <
            > PING
            < PONG
            > CLIENT REPLY OFF
            <
            > PING
            <
            > CLIENT REPLY ON
            < OK
            "#,
        );
    }

    #[test]
    fn a_waiting_client_is_unblocked_with_a_null_or_an_error() {
        check(
            r#"
            1> BLPOP k 0
            <
            > CLIENT UNBLOCK 2
            < (integer) 1
            1< (nil)
            1> BLPOP k 0
            <
            > CLIENT UNBLOCK 2 ERROR
            < (integer) 1
            1< (error) UNBLOCKED client unblocked via CLIENT UNBLOCK
            > CLIENT UNBLOCK 2
            < (integer) 0
            "#,
        );
    }

    #[test]
    fn a_pause_holds_writes_back_but_not_reads() {
        check(
            r#"
            > CLIENT PAUSE 100 WRITE
            < OK
            1> GET a
            < (nil)
            1> SET a b
            <
            > CLIENT UNPAUSE
            < OK
            > CLIENT PAUSE x
            < (error) ERR timeout is not an integer or out of range
            > CLIENT PAUSE 1 x
            < (error) ERR CLIENT PAUSE mode must be WRITE or ALL
            "#,
        );
    }
}
