//! Expiry times: set, ask, take away.

use crate::call::{Args, Call};
use crate::commands::Family;
use crate::notify::Event;
use crate::number;
use crate::origin::Expiry;
use commandtable::{Error, Outcome};
use smallvec::SmallVec;

pub(in crate::commands) static COMMANDS: Family = &[
    ("expire", |x, args| {
        expire(x, args, From::Now, Unit::Seconds)
    }),
    ("pexpire", |x, args| {
        expire(x, args, From::Now, Unit::Milliseconds)
    }),
    ("expireat", |x, args| {
        expire(x, args, From::Epoch, Unit::Seconds)
    }),
    ("pexpireat", |x, args| {
        expire(x, args, From::Epoch, Unit::Milliseconds)
    }),
    ("ttl", |x, args| ask(x, args, From::Now, Unit::Seconds)),
    ("pttl", |x, args| {
        ask(x, args, From::Now, Unit::Milliseconds)
    }),
    ("expiretime", |x, args| {
        ask(x, args, From::Epoch, Unit::Seconds)
    }),
    ("pexpiretime", |x, args| {
        ask(x, args, From::Epoch, Unit::Milliseconds)
    }),
    ("persist", persist),
];

/// Where a time is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Now,
    Epoch,
}

/// What a time is counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// The conditions of EXPIRE.
#[derive(Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Self, Error> {
        let mut given = Conditions::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => given.nx = true,
                b"xx" => given.xx = true,
                b"gt" => given.gt = true,
                b"lt" => given.lt = true,
                _ => return Err(Error::unsupported_option(word)),
            }
        }
        if given.nx && (given.xx || given.gt || given.lt) {
            return Err(Error::EXPIRE_NX_AND_OTHERS);
        }
        if given.gt && given.lt {
            return Err(Error::EXPIRE_GT_AND_LT);
        }
        Ok(given)
    }

    /// A key that never expires counts as expiring later than any other.
    fn allow(self, old_ms: Option<i64>, new_ms: i64) -> bool {
        let refused = (self.nx && old_ms.is_some())
            || (self.xx && old_ms.is_none())
            || (self.gt && old_ms.is_none_or(|old| new_ms <= old))
            || (self.lt && old_ms.is_some_and(|old| new_ms >= old));
        !refused
    }
}

/// `EXPIRE key seconds [NX | XX | GT | LT]`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`. A time that has passed deletes the key.
///
/// Reply: 1 when the time was set or the key deleted; 0 when `key` does not exist or the condition forbade it.
/// Errors: not an integer, invalid expire time, options that do not go together.
/// Propagates: `PEXPIREAT key ms` with the options as given; DEL or UNLINK for a time that has passed.
/// Source: Valkey command reference, EXPIRE (since 1.0.0; options since 7.0.0).
fn expire(x: &mut Call<'_>, args: Args<'_>, from: From, unit: Unit) -> Outcome {
    let key = args[1];
    let conditions = Conditions::parse(&args[3..])?;
    let invalid = || Error::invalid_expire(x.command.name);
    let mut at_ms = number::int(args[2])?;
    if unit == Unit::Seconds {
        at_ms = at_ms.checked_mul(1000).ok_or_else(invalid)?;
    }
    if from == From::Now {
        at_ms = at_ms
            .checked_add(x.keys.origin.now_ms)
            .ok_or_else(invalid)?;
    }
    // A look at the key is a use of it, whatever comes of it.
    x.keys.write(key);
    let allowed = x
        .keys
        .peek(key)
        .is_some_and(|entry| conditions.allow(entry.expire_at_ms(), at_ms));
    x.out.int(i64::from(allowed));
    if !allowed {
        return Ok(());
    }
    if at_ms <= x.keys.origin.now_ms && x.keys.origin.expiry == Expiry::Delete {
        let lazy = x.keys.lazy.expire;
        x.keys.delete(key, lazy);
        x.propagate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
        return Ok(());
    }
    x.keys.set_expire(key, Some(at_ms));
    x.keys.changed(key, Event::EXPIRE, 1);
    if from == From::Now || unit == Unit::Seconds {
        let mut digits = itoa::Buffer::new();
        let mut words: SmallVec<[&[u8]; 8]> = args.into();
        words[0] = b"PEXPIREAT";
        words[2] = digits.format(at_ms).as_bytes();
        x.propagate_as(&words);
    }
    Ok(())
}

/// `TTL key`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`: when the key expires.
///
/// Reply: the time; -1 when the key never expires, -2 when it does not exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, TTL (since 1.0.0), EXPIRETIME (since 7.0.0).
fn ask(x: &mut Call<'_>, args: Args<'_>, from: From, unit: Unit) -> Outcome {
    let now_ms = x.keys.origin.now_ms;
    let reply = match x.keys.inspect(args[1]).map(|entry| entry.expire_at_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => {
            let ms = match from {
                From::Now => at_ms.saturating_sub(now_ms).max(0),
                From::Epoch => at_ms,
            };
            match unit {
                Unit::Seconds => ms.saturating_add(500) / 1000,
                Unit::Milliseconds => ms,
            }
        }
    };
    x.out.int(reply);
    Ok(())
}

/// `PERSIST key`.
///
/// Reply: 1 when the key expired some day and no longer does, else 0.
/// Errors: none.
/// Propagates: itself, if it changed anything.
/// Source: Valkey command reference, PERSIST (since 2.2.0).
fn persist(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    x.keys.write(key);
    let expires = x
        .keys
        .peek(key)
        .is_some_and(|entry| entry.expire_at_ms().is_some());
    if expires {
        x.keys.set_expire(key, None);
        x.keys.changed(key, Event::PERSIST, 1);
    }
    x.out.int(i64::from(expires));
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn relative_times_leave_as_absolute_ones() {
        check(
            "
            > SET k v
            < OK
            ~ SET k v
            > TTL k
            < (integer) -1
            > EXPIRE k 100
            < (integer) 1
            ~ PEXPIREAT k 1000000100000
            > TTL k
            < (integer) 100
            > PEXPIRE k 1500 LT
            < (integer) 1
            ~ PEXPIREAT k 1000000001500 LT
            > TTL k
            < (integer) 2
            > EXPIRETIME k
            < (integer) 1000000002
            > pexpireat k 1000000007000 XX
            < (integer) 1
            ~ pexpireat k 1000000007000 XX
            > PEXPIRETIME k
            < (integer) 1000000007000
            > PERSIST k
            < (integer) 1
            ~ PERSIST k
            > PERSIST k
            < (integer) 0
            > TTL nokey
            < (integer) -2
            > EXPIRE nokey 1
            < (integer) 0
            ",
        );
    }

    #[test]
    fn conditions_compare_with_the_time_that_was() {
        check(
            "
            > SET k v
            < OK
            ~ SET k v
            > EXPIRE k 100 XX
            < (integer) 0
            > EXPIRE k 100 GT
            < (integer) 0
            > EXPIRE k 100 LT
            < (integer) 1
            ~ PEXPIREAT k 1000000100000 LT
            > EXPIRE k 50 NX
            < (integer) 0
            > EXPIRE k 50 GT
            < (integer) 0
            > EXPIRE k 200 LT
            < (integer) 0
            > EXPIRE k 200 XX GT
            < (integer) 1
            ~ PEXPIREAT k 1000000200000 XX GT
            > EXPIRE k 1 NX GT
            < (error) ERR NX and XX, GT or LT options at the same time are not compatible
            > EXPIRE k 1 GT LT
            < (error) ERR GT and LT options at the same time are not compatible
            > EXPIRE k 1 foo
            < (error) ERR Unsupported option foo
            > EXPIRE k 9223372036854775807
            < (error) ERR invalid expire time in 'expire' command
            > PEXPIRE k 9223372036854775807
            < (error) ERR invalid expire time in 'pexpire' command
            > EXPIRE k a
            < (error) ERR value is not an integer or out of range
            ",
        );
    }

    #[test]
    fn a_time_that_has_passed_deletes() {
        check(
            "
            > SET k v
            < OK
            ~ SET k v
            > EXPIRE k -1 XX
            < (integer) 0
            > EXPIRE k 0
            < (integer) 1
            ~ UNLINK k
            > SET k v
            < OK
            ~ SET k v
            > PEXPIREAT k -9223372036854775808
            < (integer) 1
            ~ UNLINK k
            > EXISTS k
            < (integer) 0
            ",
        );
    }
}
