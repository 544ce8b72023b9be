//! Keys whatever they hold: remove, look for, rename, copy, move.

use crate::call::{Args, Call, OnTimeout};
use crate::commands::Family;
use crate::notify::Event;
use crate::number;
use crate::origin::{Expiry, Source};
use commandtable::{Error, Outcome};
use keyspace::Type;
use words::glob::{self, Case};

pub(in crate::commands) static COMMANDS: Family = &[
    ("del", |x, args| {
        let lazy = x.keys.lazy.user_del;
        delete(x, args, lazy)
    }),
    ("unlink", |x, args| delete(x, args, true)),
    ("exists", exists),
    ("touch", touch),
    ("type", type_),
    ("keys", keys),
    ("randomkey", randomkey),
    ("rename", |x, args| rename(x, args, Existing::Replace)),
    ("renamenx", |x, args| rename(x, args, Existing::Keep)),
    ("copy", copy),
    ("move", move_),
];

const RENAME_FROM: Event = Event::generic("rename_from");
const RENAME_TO: Event = Event::generic("rename_to");
const COPY_TO: Event = Event::generic("copy_to");
const MOVE_FROM: Event = Event::generic("move_from");
const MOVE_TO: Event = Event::generic("move_to");

/// Keys RANDOMKEY looks at on a replica whose keys have all expired, before it shows one of them.
const RANDOM_TRIES_MAX: usize = 100;

/// What becomes of a key that stands where another one goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replace,
    Keep,
}

/// `DEL key [key ...]`, `UNLINK key [key ...]`: removes keys; UNLINK frees large values in the background.
///
/// Reply: how many there were; a replica counts the expired ones that it still holds.
/// Errors: none.
/// Propagates: itself, if there was any.
/// Source: Valkey command reference, DEL (since 1.0.0), UNLINK (since 4.0.0).
fn delete(x: &mut Call<'_>, args: Args<'_>, lazy: bool) -> Outcome {
    let mut deleted = 0;
    for key in &args[1..] {
        x.keys.expire_seen(x.keys.origin.db, key);
        deleted += usize::from(x.keys.delete(key, lazy));
    }
    x.out.uint(deleted);
    Ok(())
}

/// `EXISTS key [key ...]`.
///
/// Reply: how many exist; a key given twice counts twice.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, EXISTS (since 1.0.0).
fn exists(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let mut found = 0;
    for key in &args[1..] {
        found += usize::from(x.keys.inspect(key).is_some());
    }
    x.out.uint(found);
    Ok(())
}

/// `TOUCH key [key ...]`: refreshes the access clocks, also for a client that said NO-TOUCH.
///
/// Reply: how many exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, TOUCH (since 3.2.1).
fn touch(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let refused = std::mem::replace(&mut x.keys.origin.no_touch, false);
    let mut found = 0;
    for key in &args[1..] {
        found += usize::from(x.keys.read(key).is_some());
    }
    x.keys.origin.no_touch = refused;
    x.out.uint(found);
    Ok(())
}

/// `TYPE key`.
///
/// Reply: the type's name, `none` when `key` does not exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, TYPE (since 1.0.0).
fn type_(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let type_ = x.keys.inspect(args[1]).map(|entry| entry.type_());
    x.out.simple(type_.map_or("none", Type::name).as_bytes());
    Ok(())
}

/// `KEYS pattern`.
///
/// Reply: the keys that match, in no order. Expired ones are left out, and left for others to delete.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, KEYS (since 1.0.0).
fn keys(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let pattern = args[1];
    // The empty key is among all keys, but below no other pattern.
    let all = pattern == b"*";
    let mark = x.out.mark();
    let mut count = 0;
    for entry in x.keys.current().iter() {
        let key = entry.key();
        if (all || glob::matches(pattern, key, Case::Sensitive)) && !x.keys.is_gone(&entry) {
            x.out.bulk(key);
            count += 1;
        }
    }
    x.out.insert_at(mark, |out| out.array(count));
    Ok(())
}

/// `RANDOMKEY`.
///
/// Reply: a key; null when there is none.
/// Errors: none.
/// Propagates: nothing, but for expired keys it came across.
/// Source: Valkey command reference, RANDOMKEY (since 1.0.0).
fn randomkey(x: &mut Call<'_>, _args: Args<'_>) -> Outcome {
    let keys = &mut *x.keys;
    for tries in 1.. {
        let Some(entry) = keys.dbs[keys.origin.db].random(&mut keys.rng) else {
            break;
        };
        let all_expire = keys.current().expires_len() == keys.current().len();
        if !keys.is_gone(&entry)
            || (keys.origin.expiry == Expiry::Hide && all_expire && tries >= RANDOM_TRIES_MAX)
        {
            x.out.bulk(entry.key());
            return Ok(());
        }
        if keys.origin.expiry == Expiry::Delete {
            let key: Box<[u8]> = entry.key().into();
            keys.delete_expired(keys.origin.db, &key);
        }
    }
    x.out.null();
    Ok(())
}

/// `RENAME key newkey`, `RENAMENX key newkey`.
///
/// Reply: OK; of RENAMENX 1, or 0 when `newkey` exists.
/// Errors: no such key.
/// Propagates: itself, if anything was renamed.
/// Source: Valkey command reference, RENAME and RENAMENX (since 1.0.0).
fn rename(x: &mut Call<'_>, args: Args<'_>, existing: Existing) -> Outcome {
    let (from, to) = (args[1], args[2]);
    if x.keys.write(from).is_none() {
        return Err(Error::NO_SUCH_KEY);
    }
    let renamed = from != to && {
        x.keys.expire_now(x.keys.origin.db, to);
        existing == Existing::Replace || x.keys.write(to).is_none()
    };
    if renamed {
        let lazy = x.keys.lazy.server_del;
        x.keys.remove(to, lazy);
        let db = x.keys.origin.db;
        relocate(x, from, db, to);
        x.keys.changed(from, RENAME_FROM, 0);
        x.keys.changed(to, RENAME_TO, 1);
    }
    match existing {
        Existing::Replace => x.out.ok(),
        Existing::Keep => x.out.int(i64::from(renamed)),
    }
    Ok(())
}

/// Moves an entry to a place where nothing is, with its expiry time. Its access clock starts anew.
fn relocate(x: &mut Call<'_>, from: &[u8], to_db: usize, to: &[u8]) {
    let Some(entry) = x.keys.current_mut().remove(from) else {
        return;
    };
    let expire_at_ms = entry.expire_at_ms();
    x.keys.put_in(to_db, to, entry.into_value(), expire_at_ms);
}

/// A database's number.
fn database(x: &Call<'_>, text: &[u8]) -> Result<usize, Error> {
    usize::try_from(number::int32(text)?)
        .ok()
        .filter(|index| *index < x.keys.dbs.len())
        .ok_or(Error::DB_OUT_OF_RANGE)
}

/// True when there is a key where another one is to go.
fn is_taken(x: &mut Call<'_>, to_db: usize, to: &[u8]) -> bool {
    let db = std::mem::replace(&mut x.keys.origin.db, to_db);
    let taken = x.keys.write(to).is_some();
    x.keys.origin.db = db;
    taken
}

/// `COPY source destination [DB index] [REPLACE]`.
///
/// A large value is copied in slices: the client waits, others are served meanwhile.
///
/// Reply: 1 when copied; 0 when `source` does not exist, or `destination` does and REPLACE is not given.
/// Errors: syntax, no such database, source and destination are the same.
/// Propagates: itself, if it copied.
/// Source: Valkey command reference, COPY (since 6.2.0).
fn copy(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (args[1], args[2]);
    let (mut to_db, mut existing) = (x.keys.origin.db, Existing::Keep);
    let mut rest = &args[3..];
    while let Some((word, tail)) = rest.split_first() {
        rest = tail;
        if word.eq_ignore_ascii_case(b"replace") {
            existing = Existing::Replace;
        } else if let (true, Some((index, tail))) =
            (word.eq_ignore_ascii_case(b"db"), rest.split_first())
        {
            to_db = database(x, index)?;
            rest = tail;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if to_db == x.keys.origin.db && from == to {
        return Err(Error::SAME_OBJECT);
    }
    // Asked again, it is no further use of the key.
    let source = if x.runs_again() {
        x.keys.peek(from)
    } else {
        x.keys.read(from)
    };
    let Some(source) = source else {
        x.keys.forget_copy(x.keys.origin.author);
        x.out.int(0);
        return Ok(());
    };
    let expire_at_ms = source.expire_at_ms();
    let copy = if x.runs_again() {
        x.keys.take_copy()
    } else {
        None
    };
    if is_taken(x, to_db, to) && existing == Existing::Keep {
        if let Some(copy) = copy {
            x.keys.free(copy, true);
        }
        x.out.int(0);
        return Ok(());
    }
    let may_wait = x.keys.origin.source == Source::Client && !x.must_not_wait() && !x.runs_again();
    if may_wait && x.keys.begin_copy(from) {
        x.wait_for_keys(&[], 0, OnTimeout::Null);
        return Ok(());
    }
    let Some(value) = copy.or_else(|| x.keys.peek(from).map(|entry| entry.to_value())) else {
        x.out.int(0);
        return Ok(());
    };
    if let Some(old) = x.keys.dbs[to_db].remove(to) {
        let lazy = x.keys.lazy.server_del;
        x.keys.free(old.into_value(), lazy);
    }
    x.keys.put_in(to_db, to, value, expire_at_ms);
    x.keys.changed_in(to_db, to, COPY_TO, 1);
    x.out.int(1);
    Ok(())
}

/// `MOVE key db`.
///
/// Reply: 1 when moved; 0 when `key` does not exist, or does in `db` as well.
/// Errors: no such database, or the selected one.
/// Propagates: itself, if it moved.
/// Source: Valkey command reference, MOVE (since 1.0.0).
fn move_(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let to_db = database(x, args[2])?;
    if to_db == x.keys.origin.db {
        return Err(Error::SAME_OBJECT);
    }
    if x.keys.write(key).is_none() || is_taken(x, to_db, key) {
        x.out.int(0);
        return Ok(());
    }
    relocate(x, key, to_db, key);
    x.keys.changed(key, MOVE_FROM, 1);
    x.keys.changed_in(to_db, key, MOVE_TO, 0);
    x.out.int(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::notify::Classes;
    use engine::testing::{Driver, check, check_on};

    #[test]
    fn deleting_counts_keys_and_travels_as_it_came() {
        check(
            "
            > MSET a 1 b 2
            < OK
            ~ MSET a 1 b 2
            > DEL a b c a
            < (integer) 2
            ~ DEL a b c a
            > UNLINK a
            < (integer) 0
            > SET a 1
            < OK
            ~ SET a 1
            > EXISTS a a b
            < (integer) 2
            > TOUCH a b
            < (integer) 1
            > TYPE a
            < string
            > TYPE b
            < none
            > UNLINK a b
            < (integer) 1
            ~ UNLINK a b
            ",
        );
    }

    #[test]
    fn renaming_takes_the_expiry_along() {
        check(
            "
            > SET a 1 PX 5000
            < OK
            ~ SET a 1 PXAT 1000000005000
            > SET b 2
            < OK
            ~ SET b 2
            > RENAMENX a b
            < (integer) 0
            > RENAME a b
            < OK
            ~ RENAME a b
            > PTTL b
            < (integer) 5000
            > GET b
            < \"1\"
            > RENAME a b
            < (error) ERR no such key
            > RENAME b b
            < OK
            > RENAMENX b c
            < (integer) 1
            ~ RENAMENX b c
            > KEYS *
            < 1) \"c\"
            > RANDOMKEY
            < \"c\"
            ",
        );
    }

    #[test]
    fn an_expired_target_is_deleted_in_the_same_transaction() {
        let mut driver = Driver::new();
        driver.engine.state.debug.active_expire = false;
        check_on(
            &mut driver,
            "
            > SET e 1 PX 10
            < OK
            ~ SET e 1 PXAT 1000000000010
            > SET k 1
            < OK
            ~ SET k 1
            + 50
            > RENAMENX k e
            < (integer) 1
            ~ MULTI
            ~ UNLINK e
            ~ RENAMENX k e
            ~ EXEC
            > SET e 1 PX 10
            < OK
            ~ SET e 1 PXAT 1000000000060
            + 50
            > SET e 2
            < OK
            ~ MULTI
            ~ UNLINK e
            ~ SET e 2
            ~ EXEC
            ",
        );
    }

    #[test]
    fn copies_and_moves_between_databases() {
        check(
            "
            > SET a 1
            < OK
            ~ SET a 1
            > COPY a a
            < (error) ERR source and destination objects are the same
            > COPY a a DB 1
            < (integer) 1
            ~ COPY a a DB 1
            > COPY a a DB 1
            < (integer) 0
            > COPY a a DB 1 REPLACE
            < (integer) 1
            ~ COPY a a DB 1 REPLACE
            > COPY a b DB 16
            < (error) ERR DB index is out of range
            > COPY a b DB
            < (error) ERR syntax error
            > COPY nokey b
            < (integer) 0
            > MOVE a 1
            < (integer) 0
            > MOVE a 2
            < (integer) 1
            ~ MOVE a 2
            > MOVE a 2
            < (integer) 0
            > MOVE a 0
            < (error) ERR source and destination objects are the same
            > MOVE a x
            < (error) ERR value is not an integer or out of range
            ",
        );
    }

    #[test]
    fn events_tell_both_ends() {
        let mut driver = Driver::new();
        let classes = Classes::KEYEVENT.and(Classes::GENERIC).and(Classes::NEW);
        driver.engine.keys.set_events(classes);
        check_on(
            &mut driver,
            "
            > SET a 1
            < OK
            ~ SET a 1
            1> PSUBSCRIBE __keyevent@*
            < 1) \"psubscribe\"
            < 2) \"__keyevent@*\"
            < 3) (integer) 1
            > RENAME a b
            < OK
            ~ RENAME a b
            1< 1) \"pmessage\"
            1< 2) \"__keyevent@*\"
            1< 3) \"__keyevent@0__:new\"
            1< 4) \"b\"
            1< 1) \"pmessage\"
            1< 2) \"__keyevent@*\"
            1< 3) \"__keyevent@0__:rename_from\"
            1< 4) \"a\"
            1< 1) \"pmessage\"
            1< 2) \"__keyevent@*\"
            1< 3) \"__keyevent@0__:rename_to\"
            1< 4) \"b\"
            ",
        );
    }
}
