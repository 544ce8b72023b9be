//! XGROUP: making, moving and removing consumer groups and their consumers.

use super::id::{self, Missing};
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::stream::{Group, Log};
use keyspace::{Stream, StreamId};

/// Where a group is to begin, of which the log decides what `$` is.
enum Position {
    End,
    Behind(StreamId),
}

/// A way of reading ids.
type ReadId = fn(&[u8], Missing) -> Result<StreamId, Error>;

impl Position {
    fn parse(arg: &[u8], read: ReadId) -> Result<Self, Error> {
        match arg {
            b"$" => Ok(Position::End),
            _ => Ok(Position::Behind(read(arg, Missing::First)?)),
        }
    }

    fn in_log(&self, log: &Log) -> StreamId {
        match self {
            Position::End => log.last_id(),
            Position::Behind(id) => *id,
        }
    }
}

/// Words that the options of CREATE and SETID may have: MKSTREAM, ENTRIESREAD and its value.
const OPTION_WORDS_MAX: usize = 3;

/// The options of CREATE and SETID.
struct Options {
    make: bool,
    entries_read: Option<u64>,
}

fn parse(args: Args<'_>, makes: bool) -> Result<Options, Error> {
    let mut options = Options {
        make: false,
        entries_read: None,
    };
    let mut rest = &args[5..];
    while let Some((option, more)) = rest.split_first() {
        rest = more;
        if makes && option.eq_ignore_ascii_case(b"mkstream") {
            options.make = true;
        } else if option.eq_ignore_ascii_case(b"entriesread")
            && let Some((value, more)) = more.split_first()
        {
            options.entries_read = match number::int(value)? {
                -1 => None,
                read => Some(u64::try_from(read).map_err(|_| Error::ENTRIES_READ)?),
            };
            rest = more;
        } else {
            return Err(Error::subcommand_syntax(args));
        }
    }
    // More can only be repetitions.
    if args.len() > 5 + OPTION_WORDS_MAX {
        return Err(Error::subcommand_syntax(args));
    }
    Ok(options)
}

/// The stream at the key of an XGROUP command.
fn stream<'x>(x: &'x mut Call<'_>, key: &[u8]) -> Result<&'x mut Stream, Error> {
    x.keys.stream_mut(key)?.ok_or(Error::XGROUP_NO_KEY)
}

/// The group that an XGROUP command names.
fn group_in<'s>(stream: &'s mut Stream, key: &[u8], name: &[u8]) -> Result<&'s mut Group, Error> {
    let group = stream.groups.get_mut(name);
    group.ok_or_else(|| Error::no_group(key, name))
}

/// `XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]`.
///
/// Reply: OK.
/// Errors: WRONGTYPE, BUSYGROUP, syntax, a bad id, no such key and no MKSTREAM.
/// Propagates: itself.
/// Source: Valkey command reference, XGROUP CREATE (since 5.0.0).
pub(super) fn create(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[2], args[3]);
    let options = parse(args, true)?;
    let is_new = x.keys.stream_mut(key)?.is_none();
    if is_new && !options.make {
        return Err(Error::XGROUP_NO_KEY);
    }
    let position = Position::parse(args[4], id::parse)?;
    x.keys.looked_up();
    let (stream, _) = x.keys.stream_or_new(key)?;
    if stream.groups.contains_key(name) {
        return Err(Error::BUSY_GROUP);
    }
    let group = Group::new(position.in_log(&stream.log), options.entries_read);
    stream.groups.insert(name.into(), group);
    let event = Event::stream("xgroup-create");
    if is_new {
        x.keys.changed(key, event, 1);
    } else {
        x.keys.changed_around_entries(key, event, 1);
    }
    x.out.ok();
    Ok(())
}

/// `XGROUP SETID key group id | $ [ENTRIESREAD entries-read]`; `-` and `+` are ids here.
///
/// Reply: OK.
/// Errors: WRONGTYPE, NOGROUP, syntax, a bad id, no such key.
/// Propagates: itself.
/// Source: Valkey command reference, XGROUP SETID (since 5.0.0).
pub(super) fn setid(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[2], args[3]);
    let options = parse(args, false)?;
    let stream = stream(x, key)?;
    group_in(stream, key, name)?;
    let last_id = Position::parse(args[4], id::parse_or_end)?.in_log(&stream.log);
    let group = group_in(stream, key, name)?;
    group.last_id = last_id;
    group.entries_read = options.entries_read;
    x.keys
        .changed_around_entries(key, Event::stream("xgroup-setid"), 1);
    x.out.ok();
    Ok(())
}

/// `XGROUP DESTROY key group`: clients that wait for the group are told that it is gone.
///
/// Reply: 1, or 0 when there was no such group.
/// Errors: WRONGTYPE, no such key.
/// Propagates: itself when there was such a group.
/// Source: Valkey command reference, XGROUP DESTROY (since 5.0.0).
pub(super) fn destroy(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[2], args[3]);
    let destroyed = stream(x, key)?.groups.remove(name).is_some();
    if destroyed {
        x.keys
            .changed_around_entries(key, Event::stream("xgroup-destroy"), 1);
        x.keys.signal_ready(x.keys.origin.db, key);
    }
    x.out.int(destroyed.into());
    Ok(())
}

/// `XGROUP CREATECONSUMER key group consumer`.
///
/// Reply: 1, or 0 when there was one of this name.
/// Errors: WRONGTYPE, NOGROUP, no such key.
/// Propagates: itself when the consumer is new.
/// Source: Valkey command reference, XGROUP CREATECONSUMER (since 6.2.0).
pub(super) fn createconsumer(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name, consumer) = (args[2], args[3], args[4]);
    let now_ms = x.now_ms();
    let group = group_in(stream(x, key)?, key, name)?;
    let created = group.add_consumer(consumer, now_ms, None);
    if created {
        x.keys
            .changed_around_entries(key, Event::stream("xgroup-createconsumer"), 1);
    }
    x.out.int(created.into());
    Ok(())
}

/// `XGROUP DELCONSUMER key group consumer`: what the consumer had pending is forgotten.
///
/// Reply: the number of entries it had pending.
/// Errors: WRONGTYPE, NOGROUP, no such key.
/// Propagates: itself when there was such a consumer.
/// Source: Valkey command reference, XGROUP DELCONSUMER (since 5.0.0).
pub(super) fn delconsumer(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name, consumer) = (args[2], args[3], args[4]);
    let removed = group_in(stream(x, key)?, key, name)?.remove_consumer(consumer);
    if removed.is_some() {
        x.keys
            .changed_around_entries(key, Event::stream("xgroup-delconsumer"), 1);
    }
    x.out.uint(removed.unwrap_or(0));
    Ok(())
}

/// `XGROUP HELP`.
///
/// Reply: lines of text.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, XGROUP HELP (since 5.0.0).
pub(super) fn help(x: &mut Call<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "XGROUP",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    );
    Ok(())
}
