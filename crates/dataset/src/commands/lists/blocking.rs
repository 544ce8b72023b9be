//! The forms that wait for an element. A waiting client's command runs again when one of its keys has changed.

use super::moving::{PopMany, move_element};
use super::{parse_end, pop_name, pop_one};
use crate::call::OnTimeout;
use crate::call::{Args, Call};
use crate::number::deadline_from_seconds;
use commandtable::{Error, Outcome};
use keyspace::list::End;

/// The first of `keys` that holds a list.
///
/// A client that waits goes on waiting when a key turns up with another type; what it asked for may still come. Only
/// if there is a list behind that key does the command fail, as it would have if it had been sent just now.
fn first_list<'a>(x: &mut Call<'_>, keys: Args<'a>) -> Result<Option<&'a [u8]>, Error> {
    let again = x.runs_again();
    let mut wrong_type = None;
    for key in keys {
        match x.keys.list_mut(key) {
            Ok(None) => {}
            Ok(Some(_)) => return wrong_type.map_or(Ok(Some(*key)), Err),
            Err(error) if again => wrong_type = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// `BLPOP key [key ...] timeout`, `BRPOP key [key ...] timeout`.
///
/// Reply: an array of the key and the element; null when the time is up.
/// Errors: WRONGTYPE, a bad timeout.
/// Propagates: `LPOP key` or `RPOP key`.
/// Source: Valkey command reference, BLPOP, BRPOP (since 2.0.0).
pub(super) fn pop(x: &mut Call<'_>, args: Args<'_>, end: End) -> Outcome {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    let deadline_ms = deadline_from_seconds(timeout, x.now_ms())?;
    let Some(key) = first_list(x, keys)? else {
        x.wait_for_keys(keys, deadline_ms, OnTimeout::NullArray);
        return Ok(());
    };
    x.keys.looked_up();
    let Some((mut list, limits)) = x.keys.list_and_limits(key)? else {
        return Ok(());
    };
    x.out.array(2);
    x.out.bulk(key);
    let popped = pop_one(x.out, &mut list, limits, end);
    drop(list);
    popped.announce(x.keys, key);
    x.propagate_as(&[pop_name(end), key]);
    Ok(())
}

/// `BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
///
/// Reply: an array of the key and an array of the elements; null when the time is up.
/// Errors: WRONGTYPE, syntax, a bad timeout, a count that is not positive.
/// Propagates: `LPOP key count` or `RPOP key count` with the number of elements removed.
/// Source: Valkey command reference, BLMPOP (since 7.0.0).
pub(super) fn blmpop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = PopMany::parse(&args[2..])?;
    let deadline_ms = deadline_from_seconds(args[1], x.now_ms())?;
    match first_list(x, request.keys)? {
        Some(key) => request.run(x, key),
        None => {
            x.wait_for_keys(request.keys, deadline_ms, OnTimeout::NullArray);
            Ok(())
        }
    }
}

/// `BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout`.
///
/// Reply: the element; null when the time is up.
/// Errors: WRONGTYPE, syntax, a bad timeout.
/// Propagates: `LMOVE` with the same four words.
/// Source: Valkey command reference, BLMOVE (since 6.2.0).
pub(super) fn blmove(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (parse_end(args[3])?, parse_end(args[4])?);
    if move_or_wait(x, args, args[5], from, to)? {
        x.propagate_as(&[b"LMOVE", args[1], args[2], args[3], args[4]]);
    }
    Ok(())
}

/// `BRPOPLPUSH source destination timeout`.
///
/// Reply: the element; null when the time is up.
/// Errors: WRONGTYPE, a bad timeout.
/// Propagates: `RPOPLPUSH source destination`.
/// Source: Valkey command reference, BRPOPLPUSH (since 2.2.0).
pub(super) fn brpoplpush(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    if move_or_wait(x, args, args[3], End::Back, End::Front)? {
        x.propagate_as(&[b"RPOPLPUSH", args[1], args[2]]);
    }
    Ok(())
}

/// Moves an element and says true, or waits for one.
fn move_or_wait(
    x: &mut Call<'_>,
    args: Args<'_>,
    timeout: &[u8],
    from: End,
    to: End,
) -> Result<bool, Error> {
    let (source, destination) = (args[1], args[2]);
    let deadline_ms = deadline_from_seconds(timeout, x.now_ms())?;
    if first_list(x, &[source])?.is_some() {
        return move_element(x, source, destination, from, to);
    }
    if x.must_not_wait() {
        // Unlike the null that comes when the time is up, this one is not of an array.
        x.out.null();
    } else {
        x.wait_for_keys(&[source], deadline_ms, OnTimeout::NullArray);
    }
    Ok(false)
}
