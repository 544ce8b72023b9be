//! The options of SET and GETEX.

use crate::call::{Args, Call};
use commandtable::Error;

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

/// What the number behind EX, PX, EXAT, PXAT is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    UnixSeconds,
    UnixMillis,
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
        let mut time = None;
        let mut rest = words;
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            match word.to_ascii_lowercase().as_slice() {
                b"nx" if options.when != When::IfPresent => options.when = When::IfAbsent,
                b"xx" if options.when != When::IfAbsent => options.when = When::IfPresent,
                b"get" => options.get = true,
                b"keepttl" if time.is_none() => options.expire = Expire::Keep,
                other => rest = options.take_time(other, rest, &mut time)?,
            }
        }
        options.set_time(time, now_ms, command)
    }

    /// Options of GETEX.
    pub(super) fn parse_getex(words: &[&[u8]], now_ms: i64) -> Result<Self, Error> {
        let mut options = SetOptions::default();
        let mut time = None;
        let mut rest = words;
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            match word.to_ascii_lowercase().as_slice() {
                b"persist" if time.is_none() => options.expire = Expire::Persist,
                other => rest = options.take_time(other, rest, &mut time)?,
            }
        }
        options.set_time(time, now_ms, "getex")
    }

    /// Takes an option that has a time, and returns the words behind. The same one may come again: the last time counts.
    fn take_time<'a>(
        &self,
        word: &[u8],
        rest: &'a [&'a [u8]],
        time: &mut Option<(Unit, &'a [u8])>,
    ) -> Result<&'a [&'a [u8]], Error> {
        let unit = match word {
            b"ex" => Unit::Seconds,
            b"px" => Unit::Millis,
            b"exat" => Unit::UnixSeconds,
            b"pxat" => Unit::UnixMillis,
            _ => return Err(Error::SYNTAX),
        };
        let another = self.expire != Expire::No || time.is_some_and(|(known, _)| known != unit);
        match rest.split_first() {
            Some((value, tail)) if !another => {
                *time = Some((unit, value));
                Ok(tail)
            }
            _ => Err(Error::SYNTAX),
        }
    }

    /// Reads the number, which is judged only when all words make sense.
    fn set_time(
        mut self,
        time: Option<(Unit, &[u8])>,
        now_ms: i64,
        command: &str,
    ) -> Result<Self, Error> {
        if let Some((unit, value)) = time {
            self.expire = match unit {
                Unit::Seconds => relative(value, 1000, now_ms, command)?,
                Unit::Millis => relative(value, 1, now_ms, command)?,
                Unit::UnixSeconds => absolute(value, 1000, command)?,
                Unit::UnixMillis => absolute(value, 1, command)?,
            };
        }
        Ok(self)
    }

    /// Sends the command with its expiry made absolute.
    pub(super) fn propagate(
        &self,
        x: &mut Call<'_>,
        args: Args<'_>,
        key: &[u8],
        value: &[u8],
        ms: i64,
    ) {
        if matches!(self.expire, Expire::At { as_pxat: true, .. }) && x.command.name == "set" {
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
