//! DUMP and RESTORE: a value as bytes that another server understands.

use crate::Sanitize;
use crate::call::{Args, Call};
use crate::commands::Family;
use crate::keys::Keys;
use crate::notify::Event;
use crate::number;
use crate::origin::{Expiry, Source};
use crate::snapshot::{UNCHECKED, read_value, value_type, write_value};
use commandtable::{Error, Outcome};
use keyspace::{Value, ValueRef};
use rdb::{Reader, ReaderOptions, Writer, WriterOptions, dump};
use smallvec::SmallVec;
use std::io;

pub(in crate::commands) static COMMANDS: Family = &[
    ("dump", dump_),
    ("restore", restore),
    ("restore-asking", restore),
];

const RESTORE: Event = Event::generic("restore");

/// Longest string that RESTORE makes of fewer bytes for a client, in bytes, where `proto-max-bulk-len` allows no longer
/// ones: more than a server with the usual limit has to offer.
const STRING_BYTES_MAX: u64 = rdb::limits::STRING_BYTES_MAX;

/// `DUMP key`.
///
/// Reply: the value as bytes, in the format of snapshots, with its version and a checksum; null when `key` does not exist.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, DUMP (since 2.6.0).
fn dump_(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let compress = x.keys.settings.compress;
    match x.keys.read(args[1]).map(|entry| entry.value()) {
        None => x.out.null(),
        Some(value) => x.out.bulk(&payload(value, compress)?),
    }
    Ok(())
}

/// A value as DUMP gives it.
///
/// # Errors
/// None in fact: memory takes all that is written to it.
pub fn payload(value: ValueRef<'_>, compress: bool) -> Result<Vec<u8>, Error> {
    let body = body(value, compress).map_err(|_| Error::PAYLOAD_DATA)?;
    Ok(dump::seal(body))
}

fn body(value: ValueRef<'_>, compress: bool) -> io::Result<Vec<u8>> {
    let options = WriterOptions {
        compress,
        checksum: false,
    };
    let mut writer = Writer::new(Vec::new(), options);
    writer.value_type(value_type(value))?;
    write_value(&mut writer, value)?;
    writer.into_sink()
}

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    freq: Option<u8>,
}

impl Options {
    fn parse(mut words: Args<'_>) -> Result<Self, Error> {
        let mut given = Options::default();
        while let Some((word, rest)) = words.split_first() {
            words = rest;
            if word.eq_ignore_ascii_case(b"replace") {
                given.replace = true;
                continue;
            }
            if word.eq_ignore_ascii_case(b"absttl") {
                given.absolute = true;
                continue;
            }
            let (value, rest) = words.split_first().ok_or(Error::SYNTAX)?;
            words = rest;
            if word.eq_ignore_ascii_case(b"idletime") && given.freq.is_none() {
                let seconds = number::int(value)?;
                given.idle = Some(u64::try_from(seconds).map_err(|_| Error::RESTORE_IDLETIME)?);
            } else if word.eq_ignore_ascii_case(b"freq") && given.idle.is_none() {
                let counter = number::int(value)?;
                given.freq = Some(u8::try_from(counter).map_err(|_| Error::RESTORE_FREQ)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(given)
    }
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ counter]`, and RESTORE-ASKING. A `ttl` of 0 is
/// none; a time that has passed leaves no key.
///
/// Reply: OK.
/// Errors: syntax, `key` exists and REPLACE is not given, a bad time, a payload that DUMP has not made.
/// Propagates: itself with the time as an absolute one; DEL or UNLINK when the time has passed and there was a key.
/// Source: Valkey command reference, RESTORE (since 2.6.0).
fn restore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, payload) = (args[1], args[3]);
    let options = Options::parse(&args[4..])?;
    if !options.replace && x.keys.write(key).is_some() {
        return Err(Error::BUSY_KEY);
    }
    let ttl = number::int(args[2])?;
    if ttl < 0 {
        return Err(Error::RESTORE_TTL);
    }
    let value = value(x.keys, payload)?;
    let expire_at_ms = match (ttl, options.absolute) {
        (0, _) => None,
        (at_ms, true) => Some(at_ms),
        (after_ms, false) => Some(after_ms.saturating_add(x.now_ms())),
    };
    // What goes has neither expired nor been overwritten: it counts as removed, even if its time had come.
    let lazy = x.keys.lazy.server_del;
    let removed = options.replace && x.keys.remove(key, lazy);
    x.out.ok();
    let has_passed = expire_at_ms.is_some_and(|at_ms| at_ms <= x.keys.origin.now_ms);
    if has_passed && x.keys.origin.expiry == Expiry::Delete {
        if removed {
            x.keys.changed(key, Event::DEL, 1);
            x.propagate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
        }
        return Ok(());
    }
    let clock = x.keys.access.brought(options.idle, options.freq);
    x.keys.put_new(key, value, expire_at_ms, clock);
    x.keys.changed(key, RESTORE, 1);
    if let (Some(at_ms), false) = (expire_at_ms, options.absolute) {
        let mut digits = itoa::Buffer::new();
        let mut words: SmallVec<[&[u8]; 12]> = args.into();
        words[2] = digits.format(at_ms).as_bytes();
        words.push(b"ABSTTL");
        x.propagate_as(&words);
    }
    Ok(())
}

/// The value of a payload. What stands behind it is ignored, as in the reference.
fn value(keys: &Keys, payload: &[u8]) -> Result<Value, Error> {
    let settings = keys.settings;
    let body = if settings.skip_checksums {
        dump::unverified(payload)
    } else {
        dump::verify(payload)
    };
    let body = body.map_err(|_| Error::PAYLOAD_FRAME)?;
    let options = ReaderOptions {
        string_bytes_max: if keys.origin.source.repeats() {
            u64::MAX
        } else {
            settings.string_bytes_max.max(STRING_BYTES_MAX)
        },
        ..ReaderOptions::default()
    };
    let mut reader = Reader::over(body, options);
    let value = reader
        .value_type()
        .and_then(|type_| read_value(&mut reader, type_, &keys.limits))
        .map_err(|_| Error::PAYLOAD_DATA)?
        .ok_or(Error::PAYLOAD_DATA)?;
    let sanitize = match settings.sanitize {
        Sanitize::No => false,
        Sanitize::Clients => keys.origin.source == Source::Client && !keys.origin.trusted,
        Sanitize::Yes => true,
    };
    let corrections = reader.corrections();
    if sanitize && corrections.iter().any(|what| !UNCHECKED.contains(what)) {
        return Err(Error::PAYLOAD_DATA);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::snapshot::value_type;
    use engine::testing::Driver;
    use keyspace::{Str, Value};
    use rdb::{ValueType, dump};

    fn payload(text: &[u8]) -> Vec<u8> {
        let value = Value::Str(Str::Bytes(text.to_vec()));
        dump::seal(body(value.as_ref(), true).unwrap())
    }

    fn ask(driver: &mut Driver, words: &[&[u8]]) -> String {
        String::from_utf8_lossy(&driver.send(0, words)).into_owned()
    }

    #[test]
    fn a_dumped_value_comes_back() {
        let mut driver = Driver::new();
        let made: &[&[&[u8]]] = &[
            &[b"SET", b"k", b"hello"],
            &[b"RPUSH", b"k", b"1", b"b"],
            &[b"SADD", b"k", b"1", b"b"],
            &[b"HSET", b"k", b"1", b"b"],
            &[b"ZADD", b"k", b"1", b"b"],
            &[b"XADD", b"k", b"1-1", b"f", b"v"],
        ];
        for words in made {
            ask(&mut driver, &[b"DEL", b"k"]);
            ask(&mut driver, words);
            let entry = driver.engine.keys.dbs[0].get(b"k").unwrap();
            let type_ = value_type(entry.value());
            let payload = dump::seal(body(entry.value(), true).unwrap());
            assert_eq!(payload[0], type_ as u8);
            let restored = ask(
                &mut driver,
                &[b"RESTORE", b"copy", b"0", &payload, b"REPLACE"],
            );
            assert_eq!(restored, "+OK\r\n");
            let dumped = driver.send(0, &[b"DUMP", b"copy"]);
            assert!(dumped.windows(payload.len()).any(|part| part == payload));
        }
    }

    #[test]
    fn a_bad_payload_or_option_changes_nothing() {
        let mut driver = Driver::new();
        let good = payload(b"hello");
        let mut damaged = good.clone();
        damaged[2] ^= 1;
        let no_value = dump::seal(b"\x01\x00".to_vec());
        ask(&mut driver, &[b"SET", b"k", b"v"]);
        for (ttl, payload, more, error) in [
            (&b"0"[..], &good, &b"FOO"[..], "-ERR syntax error"),
            (
                b"0",
                &good,
                b"ABSTTL",
                "-BUSYKEY Target key name already exists.",
            ),
            (
                b"x",
                &good,
                b"REPLACE",
                "-ERR value is not an integer or out of range",
            ),
            (
                b"-1",
                &good,
                b"REPLACE",
                "-ERR Invalid TTL value, must be >= 0",
            ),
            (
                b"0",
                &damaged,
                b"REPLACE",
                "-ERR DUMP payload version or checksum are wrong",
            ),
            (b"0", &no_value, b"REPLACE", "-ERR Bad data format"),
        ] {
            let reply = ask(&mut driver, &[b"RESTORE", b"k", ttl, payload, more]);
            assert_eq!(reply, format!("{error}\r\n"));
        }
        driver.engine.keys.settings.skip_checksums = true;
        let reply = ask(&mut driver, &[b"RESTORE", b"new", b"0", &damaged]);
        assert_eq!(reply, "+OK\r\n");
        assert_eq!(ask(&mut driver, &[b"GET", b"k"]), "$1\r\nv\r\n");
    }

    #[test]
    fn members_that_come_twice_are_refused_or_lose_the_second() {
        let mut driver = Driver::new();
        // A listpack of the members a and a.
        let listpack = b"\x0d\x00\x00\x00\x02\x00\x81a\x02\x81a\x02\xff";
        let mut body = vec![ValueType::SetListpack as u8, listpack.len() as u8];
        body.extend_from_slice(listpack);
        let payload = dump::seal(body);
        for (sanitize, reply) in [
            (&b"no"[..], "+OK\r\n"),
            (b"clients", "-ERR Bad data format\r\n"),
            (b"yes", "-ERR Bad data format\r\n"),
        ] {
            let words: &[&[u8]] = &[b"CONFIG", b"SET", b"sanitize-dump-payload", sanitize];
            assert_eq!(ask(&mut driver, words), "+OK\r\n");
            let words: &[&[u8]] = &[b"RESTORE", b"s", b"0", &payload, b"REPLACE"];
            assert_eq!(ask(&mut driver, words), reply);
            assert_eq!(ask(&mut driver, &[b"SCARD", b"s"]), ":1\r\n");
        }
    }
}
