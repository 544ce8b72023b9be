//! OBJECT: how a value is held and how it is used.

use crate::call::{Args, Call};
use crate::commands::Family;
use crate::{AccessClock, Eviction};
use commandtable::{Error, Outcome};
use keyspace::{Encoding, Entry, EntryRef};

pub(in crate::commands) static COMMANDS: Family = &[
    ("object|encoding", encoding),
    ("object|freq", freq),
    ("object|help", |x, _| {
        x.reply_help("OBJECT", HELP);
        Ok(())
    }),
    ("object|idletime", idletime),
    ("object|refcount", refcount),
];

const HELP: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

/// Integers below this are shared by all keys of the reference, whose references it does not count.
const SHARED_INTEGERS: i64 = 10_000;
/// What the reference says of a shared value.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;
/// The access clock wraps after 24 bits of seconds.
const CLOCK_MASK: u32 = 0xff_ffff;

/// Looks a key up without using it: neither its access clock nor a `keymiss` event tells of it.
fn look<'x>(x: &'x mut Call<'_>, key: &[u8]) -> Option<EntryRef<'x>> {
    x.keys.expire_seen(x.keys.origin.db, key);
    let found = x.keys.peek(key).is_some();
    x.keys.stats.hits += u64::from(found);
    x.keys.stats.misses += u64::from(!found);
    x.keys.peek(key)
}

/// `OBJECT ENCODING key`.
///
/// Reply: the encoding's name; null when `key` does not exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, OBJECT ENCODING (since 2.2.3).
fn encoding(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let name = look(x, args[2]).map(|entry| entry.encoding().name());
    x.out.bulk_or_null(name.map(str::as_bytes));
    Ok(())
}

/// `OBJECT REFCOUNT key`.
///
/// Reply: 1, or for small integers what the reference says of values it shares; null when `key` does not exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, OBJECT REFCOUNT (since 2.2.3).
fn refcount(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let shares =
        x.keys.settings.memory_unlimited || x.keys.settings.eviction == Eviction::Unclocked;
    let is_shared = |entry: &Entry| {
        // Text that looks like a number is not one: APPEND has left it there, or SETRANGE, or INCRBYFLOAT.
        entry.encoding() == Encoding::Int
            && entry
                .as_int()
                .is_some_and(|number| (0..SHARED_INTEGERS).contains(&number))
    };
    let count = look(x, args[2]).map(|entry| {
        if shares && is_shared(&entry) {
            SHARED_REFCOUNT
        } else {
            1
        }
    });
    reply_or_null(x, count);
    Ok(())
}

/// `OBJECT IDLETIME key`.
///
/// Reply: seconds since the last use; null when `key` does not exist.
/// Errors: an LFU policy is in force.
/// Propagates: nothing.
/// Source: Valkey command reference, OBJECT IDLETIME (since 2.2.3).
fn idletime(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let counts_uses = x.keys.settings.eviction == Eviction::Lfu;
    let now = match x.keys.access {
        // The clock that uses are stamped with, so that a key just used has been idle for no time.
        AccessClock::Lru(seconds) => seconds,
        AccessClock::Lfu { .. } => 0,
    };
    let idle = look(x, args[2]).map(|entry| now.wrapping_sub(entry.clock()) & CLOCK_MASK);
    if idle.is_some() && counts_uses {
        return Err(Error::NO_LRU);
    }
    reply_or_null(x, idle.map(i64::from));
    Ok(())
}

/// `OBJECT FREQ key`.
///
/// Reply: the logarithmic counter of uses; null when `key` does not exist.
/// Errors: no LFU policy is in force.
/// Propagates: nothing.
/// Source: Valkey command reference, OBJECT FREQ (since 4.0.0).
fn freq(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let counts_uses = x.keys.settings.eviction == Eviction::Lfu;
    let access = x.keys.access;
    let freq = look(x, args[2]).map(|entry| access.decayed(entry.clock()));
    if freq.is_some() && !counts_uses {
        return Err(Error::NO_LFU);
    }
    reply_or_null(x, freq.map(i64::from));
    Ok(())
}

fn reply_or_null(x: &mut Call<'_>, value: Option<i64>) {
    match value {
        Some(value) => x.out.int(value),
        None => x.out.null(),
    }
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn objects_tell_about_themselves() {
        check(
            "
            > MSET n 5 big 123456 s hello
            < OK
            ~ MSET n 5 big 123456 s hello
            > OBJECT ENCODING n
            < \"int\"
            > OBJECT ENCODING s
            < \"embstr\"
            > OBJECT ENCODING nokey
            < (nil)
            > OBJECT REFCOUNT n
            < (integer) 2147483647
            > OBJECT REFCOUNT big
            < (integer) 1
            > OBJECT IDLETIME s
            < (integer) 0
            + 3000
            > OBJECT IDLETIME s
            < (integer) 3
            > TTL s
            < (integer) -1
            > OBJECT IDLETIME s
            < (integer) 3
            > TOUCH s
            < (integer) 1
            > OBJECT IDLETIME s
            < (integer) 0
            > OBJECT FREQ nokey
            < (nil)
            > OBJECT FREQ s
            < (error) ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
            > OBJECT foo
            < (error) ERR unknown subcommand 'foo'. Try OBJECT HELP.
            > OBJECT ENCODING
            < (error) ERR wrong number of arguments for 'object|encoding' command
            ",
        );
    }
}
