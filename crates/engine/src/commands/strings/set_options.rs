//! The options of SET and GETEX.

use crate::error::Error;
use crate::exec::{Args, Exec};

/// Whether the key must or must not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum When {
    #[default]
    Always,
    IfAbsent,
    IfPresent,
}

/// What becomes of the expiry time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Expire {
    #[default]
    No,
    Keep,
    Persist,
    /// An absolute time in Unix milliseconds, and whether it was given as PXAT.
    At {
        ms: i64,
        as_pxat: bool,
    },
}

/// The options of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetOptions {
    pub(super) when: When,
    pub(super) expire: Expire,
    pub(super) get: bool,
}

impl SetOptions {
    /// Options behind the value of SET.
    pub(super) fn parse_set(words: &[&[u8]], now_ms: i64, command: &str) -> Result<Self, Error> {
        let mut options = SetOptions::default();
        let mut rest = words;
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            match word.to_ascii_lowercase().as_slice() {
                b"nx" if options.when != When::IfPresent => options.when = When::IfAbsent,
                b"xx" if options.when != When::IfAbsent => options.when = When::IfPresent,
                b"get" => options.get = true,
                b"keepttl" if matches!(options.expire, Expire::No | Expire::Keep) => {
                    options.expire = Expire::Keep
                }
                other => rest = options.expire_option(other, rest, now_ms, command)?,
            }
        }
        Ok(options)
    }

    /// Options of GETEX.
    pub(super) fn parse_getex(words: &[&[u8]], now_ms: i64) -> Result<Self, Error> {
        let mut options = SetOptions::default();
        let mut rest = words;
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            match word.to_ascii_lowercase().as_slice() {
                b"persist" if options.expire == Expire::No => options.expire = Expire::Persist,
                other => rest = options.expire_option(other, rest, now_ms, "getex")?,
            }
        }
        Ok(options)
    }

    fn expire_option<'a>(
        &mut self,
        word: &[u8],
        rest: &'a [&'a [u8]],
        now_ms: i64,
        command: &str,
    ) -> Result<&'a [&'a [u8]], Error> {
        let (Expire::No, Some((value, tail))) = (self.expire, rest.split_first()) else {
            return Err(Error::SYNTAX);
        };
        // The grammar is judged before the number: with a time already given, any word but these is an error.
        let is_open = |word: &[u8]| {
            [&b"nx"[..], b"xx", b"get"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        };
        if !tail.iter().all(|word| command == "set" && is_open(word)) {
            return Err(Error::SYNTAX);
        }
        self.expire = match word {
            b"ex" => relative(value, 1000, now_ms, command)?,
            b"px" => relative(value, 1, now_ms, command)?,
            b"exat" => absolute(value, 1000, command)?,
            b"pxat" => absolute(value, 1, command)?,
            _ => return Err(Error::SYNTAX),
        };
        Ok(tail)
    }

    /// Sends the command with its expiry made absolute.
    pub(super) fn propagate(
        &self,
        x: &mut Exec<'_>,
        args: Args<'_>,
        key: &[u8],
        value: &[u8],
        ms: i64,
    ) {
        if matches!(self.expire, Expire::At { as_pxat: true, .. }) && x.meta.name == "set" {
            x.propagate_as(args);
            return;
        }
        let mut digits = itoa::Buffer::new();
        let mut words: Vec<&[u8]> = vec![b"SET", key, value];
        words.extend_from_slice(&[b"PXAT", digits.format(ms).as_bytes()]);
        x.propagate_as(&words);
    }
}

fn invalid(command: &str) -> Error {
    Error::Built(format!("ERR invalid expire time in '{command}' command"))
}

/// An expiry so many units of `unit_ms` from now.
pub(super) fn relative(
    value: &[u8],
    unit_ms: i64,
    now_ms: i64,
    command: &str,
) -> Result<Expire, Error> {
    let ms = positive_ms(value, unit_ms, command)?;
    let ms = ms.checked_add(now_ms).ok_or_else(|| invalid(command))?;
    Ok(Expire::At { ms, as_pxat: false })
}

fn absolute(value: &[u8], unit_ms: i64, command: &str) -> Result<Expire, Error> {
    Ok(Expire::At {
        ms: positive_ms(value, unit_ms, command)?,
        as_pxat: unit_ms == 1,
    })
}

fn positive_ms(value: &[u8], unit_ms: i64, command: &str) -> Result<i64, Error> {
    let value = crate::number::int(value)?;
    if value <= 0 {
        return Err(invalid(command));
    }
    value.checked_mul(unit_ms).ok_or_else(|| invalid(command))
}
