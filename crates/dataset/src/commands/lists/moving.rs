//! LMOVE, RPOPLPUSH and LMPOP.

use super::{parse_end, pop_event, pop_many, pop_name, push_event};
use crate::call::{Args, Call};
use commandtable::{Error, Outcome};
use keyspace::list::End;

/// `LMOVE source destination LEFT | RIGHT LEFT | RIGHT`.
///
/// Reply: the element, null when there is none.
/// Errors: WRONGTYPE, syntax.
/// Propagates: itself when an element was moved.
/// Source: Valkey command reference, LMOVE (since 6.2.0).
pub(super) fn lmove(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (parse_end(args[3])?, parse_end(args[4])?);
    if !move_element(x, args[1], args[2], from, to)? {
        x.out.null();
    }
    Ok(())
}

/// `RPOPLPUSH source destination`.
///
/// Reply: the element, null when there is none.
/// Errors: WRONGTYPE.
/// Propagates: itself when an element was moved.
/// Source: Valkey command reference, RPOPLPUSH (since 1.2.0).
pub(super) fn rpoplpush(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    if !move_element(x, args[1], args[2], End::Back, End::Front)? {
        x.out.null();
    }
    Ok(())
}

/// Moves an element from the `from` end of `source` to the `to` end of `destination`, replying with it; false when
/// there is no source.
pub(super) fn move_element(
    x: &mut Call<'_>,
    source: &[u8],
    destination: &[u8],
    from: End,
    to: End,
) -> Result<bool, Error> {
    if x.keys.list_mut(source)?.is_none() {
        return Ok(false);
    }
    x.keys.list_mut(destination)?;
    x.keys.looked_up();
    let Some((mut list, limits)) = x.keys.list_and_limits(source)? else {
        return Ok(false);
    };
    let Some(element) = list.pop_with(from, |element| element.to_vec()) else {
        return Ok(false);
    };
    if source != destination {
        list.shrink(&limits.list);
    }
    drop(list);
    let (mut list, limits) = x.keys.list_or_new(destination)?;
    list.push_all(to, std::iter::once(element.as_slice()), &limits.list);
    if source == destination {
        list.shrink(&limits.list);
    }
    drop(list);
    x.out.bulk(&element);
    x.keys.changed(destination, push_event(to), 0);
    x.keys.changed(source, pop_event(from), 1);
    x.keys.delete_if_empty(source);
    Ok(true)
}

/// What LMPOP and BLMPOP are asked, behind the timeout.
pub(super) struct PopMany<'a> {
    pub(super) keys: Args<'a>,
    pub(super) end: End,
    pub(super) count: usize,
}

impl<'a> PopMany<'a> {
    /// Parses `numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
    pub(super) fn parse(words: Args<'a>) -> Result<Self, Error> {
        let positive = |text: &[u8]| {
            words::int::parse_i64(text)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
        };
        let (key_count, rest) = words.split_first().ok_or(Error::SYNTAX)?;
        let key_count = positive(key_count).ok_or(Error::NUMKEYS_NOT_POSITIVE)?;
        let (keys, rest) = rest.split_at_checked(key_count).ok_or(Error::SYNTAX)?;
        let (end, rest) = rest.split_first().ok_or(Error::SYNTAX)?;
        let end = parse_end(end)?;
        let count = match rest {
            [] => 1,
            [name, count, rest @ ..] if name.eq_ignore_ascii_case(b"count") => {
                let count = positive(count).ok_or(Error::COUNT_NOT_POSITIVE)?;
                if !rest.is_empty() {
                    return Err(Error::SYNTAX);
                }
                count
            }
            _ => return Err(Error::SYNTAX),
        };
        Ok(PopMany { keys, end, count })
    }

    /// Pops off `key`, which holds a list: replies with the key and the elements, propagates the LPOP or RPOP.
    pub(super) fn run(&self, x: &mut Call<'_>, key: &[u8]) -> Outcome {
        x.keys.looked_up();
        let Some((mut list, limits)) = x.keys.list_and_limits(key)? else {
            return Ok(());
        };
        x.out.array(2);
        x.out.bulk(key);
        let popped = pop_many(x.out, &mut list, limits, self.end, self.count);
        drop(list);
        popped.announce(x.keys, key);
        let mut digits = itoa::Buffer::new();
        let count = digits.format(popped.count).as_bytes();
        x.propagate_as(&[pop_name(self.end), key, count]);
        Ok(())
    }
}

/// `LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]`: pops off the first list that exists.
///
/// Reply: an array of the key and an array of the elements; null when no list exists.
/// Errors: WRONGTYPE, syntax, a count that is not positive.
/// Propagates: `LPOP key count` or `RPOP key count` with the number of elements removed.
/// Source: Valkey command reference, LMPOP (since 7.0.0).
pub(super) fn lmpop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = PopMany::parse(&args[1..])?;
    for key in request.keys {
        if x.keys.list_mut(key)?.is_some() {
            return request.run(x, key);
        }
    }
    x.out.null_array();
    Ok(())
}
