//! Whole databases: count, empty, swap.

use crate::commands::Family;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};
use keyspace::{Db, Resize};

pub(super) static COMMANDS: Family = &[
    ("dbsize", dbsize),
    ("flushdb", flushdb),
    ("flushall", flushall),
    ("swapdb", swapdb),
];

/// `DBSIZE`.
///
/// Reply: the number of keys, expired ones included as long as they are there.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, DBSIZE (since 1.0.0).
fn dbsize(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.current().len());
    Ok(())
}

/// Who frees the keys of an emptied database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Free {
    Here,
    InBackground,
}

fn parse_free(x: &Exec<'_>, args: Args<'_>) -> Result<Free, Error> {
    match args {
        [_] if x.state.config.lazyfree_lazy_user_flush => Ok(Free::InBackground),
        [_] => Ok(Free::Here),
        [_, word] if word.eq_ignore_ascii_case(b"sync") => Ok(Free::Here),
        [_, word] if word.eq_ignore_ascii_case(b"async") => Ok(Free::InBackground),
        _ => Err(Error::SYNTAX),
    }
}

/// `FLUSHDB [ASYNC | SYNC]`: removes all keys of the selected database.
///
/// Reply: OK.
/// Errors: syntax.
/// Propagates: itself, even if there was no key.
/// Source: Valkey command reference, FLUSHDB (since 1.0.0).
fn flushdb(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let free = parse_free(x, args)?;
    empty(x, x.keys.origin.db..x.keys.origin.db + 1, free);
    x.propagate_always();
    x.out.ok();
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]`: removes all keys. A snapshot under way is stopped; where save points are set the empty
/// dataset is saved at once.
///
/// Reply: OK.
/// Errors: syntax.
/// Propagates: itself, even if there was no key.
/// Source: Valkey command reference, FLUSHALL (since 1.0.0).
fn flushall(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let free = parse_free(x, args)?;
    empty(x, 0..x.keys.dbs.len(), free);
    x.state.expire.own.clear();
    crate::repl::kill_snapshot(x.state);
    if !x.state.config.save.rules().is_empty() {
        // A failure is logged and remembered; the keys are gone all the same.
        let _ = crate::saving::save_now(x.keys, x.state);
    }
    x.propagate_always();
    x.out.ok();
    Ok(())
}

/// Empties databases; every key is one change.
fn empty(x: &mut Exec<'_>, range: std::ops::Range<usize>, free: Free) {
    x.keys.all_stale();
    let mut emptied: Vec<Db> = Vec::new();
    for index in range {
        if x.keys.dbs[index].is_empty() {
            continue;
        }
        x.keys.touch_all_watchers(index, None);
        let db = x.keys.dbs[index].clear();
        if x.state.has_child() {
            x.keys.dbs[index].set_resize_policy(Resize::Avoid);
        }
        x.keys.dirty += db.len() as u64;
        if free == Free::InBackground {
            x.keys.stats.lazy_freed += db.len() as u64;
        }
        emptied.push(db);
        x.keys.signal_all_ready(index);
    }
    if !emptied.is_empty() {
        x.state.host.free_databases(emptied, free == Free::Here);
    }
}

/// `SWAPDB index1 index2`: clients of one database see the other's keys from now on.
///
/// Reply: OK.
/// Errors: an index that is none or out of range.
/// Propagates: itself.
/// Source: Valkey command reference, SWAPDB (since 4.0.0).
fn swapdb(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let index = |text: &[u8], error: Error| {
        words::int::parse_i64(text)
            .filter(|index| i32::try_from(*index).is_ok())
            .ok_or(error)
    };
    let first = index(args[1], Error::INVALID_FIRST_DB)?;
    let second = index(args[2], Error::INVALID_SECOND_DB)?;
    let databases = x.keys.dbs.len();
    let known = |index: i64| {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < databases)
            .ok_or(Error::DB_OUT_OF_RANGE)
    };
    let (first, second) = (known(first)?, known(second)?);
    if first != second {
        x.keys.swap(first, second);
    }
    x.keys.dirty += 1;
    x.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn flushing_always_travels() {
        check(
            "
            > SET a 1
            < OK
            ~ SET a 1
            > DBSIZE
            < (integer) 1
            > FLUSHDB
            < OK
            ~ FLUSHDB
            > FLUSHDB async
            < OK
            ~ FLUSHDB async
            > FLUSHALL foo
            < (error) ERR syntax error
            > FLUSHALL SYNC ASYNC
            < (error) ERR syntax error
            > FLUSHALL SYNC
            < OK
            ~ FLUSHALL SYNC
            > DBSIZE
            < (integer) 0
            ",
        );
    }

    #[test]
    fn flushing_breaks_watches_of_keys_that_were_there() {
        check(
            "
            > SET a 1
            < OK
            ~ SET a 1
            > WATCH a
            < OK
            1> FLUSHALL
            < OK
            ~ FLUSHALL
            > MULTI
            < OK
            > EXEC
            < (nil)
            > WATCH a
            < OK
            1> FLUSHALL
            < OK
            ~ FLUSHALL
            > MULTI
            < OK
            > EXEC
            < (empty array)
            ",
        );
    }

    #[test]
    fn swapping_exchanges_keys_and_breaks_watches() {
        check(
            "
            > SET a 1
            < OK
            ~ SET a 1
            > WATCH a
            < OK
            > SWAPDB 0 1
            < OK
            ~ SWAPDB 0 1
            > MULTI
            < OK
            > EXEC
            < (nil)
            > DBSIZE
            < (integer) 0
            > SELECT 1
            < OK
            > DBSIZE
            < (integer) 1
            > SWAPDB 1 1
            < OK
            ~ SWAPDB 1 1
            > SWAPDB a 1
            < (error) ERR invalid first DB index
            > SWAPDB 1 a
            < (error) ERR invalid second DB index
            > SWAPDB 0 16
            < (error) ERR DB index is out of range
            ",
        );
    }
}
