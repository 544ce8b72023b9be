//! DEBUG subcommands about all of the data: DIGEST, DIGEST-VALUE, POPULATE, RELOAD.

use crate::exec::Exec;
use crate::host::Level;
use crate::saving;
use commandtable::{Error, Outcome};
use dataset::digest::Digest;
use dataset::number;
use keyspace::{Conflict, Incoming};

/// Keys that POPULATE makes room for at once.
const POPULATE_RESERVE_MAX: usize = 1 << 24;

/// DIGEST: 40 hexadecimal digits that are equal for equal data.
pub(super) fn digest(x: &mut Exec<'_>) {
    let digest = Digest::of_dataset(&x.keys.dbs);
    x.out.simple(digest.to_string().as_bytes());
}

/// DIGEST-VALUE: the digest of each key's value, zeros for keys there are not.
pub(super) fn digest_value(x: &mut Exec<'_>, keys: &[&[u8]]) {
    x.out.array(keys.len());
    for key in keys {
        let digest = x
            .keys
            .peek(key)
            .as_deref()
            .map(Digest::of_value)
            .unwrap_or_default();
        x.out.simple(digest.to_string().as_bytes());
    }
}

/// POPULATE: makes keys `prefix:0` and so on, those that are there already stay as they are.
pub(super) fn populate(x: &mut Exec<'_>, count: &[u8], rest: &[&[u8]]) -> Outcome {
    let positive = |text| number::positive(text).map_err(|_| Error::OUT_OF_RANGE_POSITIVE);
    let count = positive(count)?;
    let prefix = rest.first().copied().unwrap_or(b"key");
    let size = match rest.get(1) {
        Some(size) => usize::try_from(positive(size)?).unwrap_or(usize::MAX),
        None => 0,
    };
    x.keys.check_string_length(size as u64)?;
    let db_index = x.keys.origin.db;
    let db = &mut x.keys.dbs[db_index];
    let room = usize::try_from(count).unwrap_or(usize::MAX);
    db.reserve(db.len() + room.min(POPULATE_RESERVE_MAX), 0);
    let clock = x.keys.access.fresh();
    let mut incoming = Incoming::new(Conflict::Refuse);
    let mut key = [prefix, b":"].concat();
    let stem = key.len();
    let mut value = Vec::new();
    let mut digits = itoa::Buffer::new();
    for number in 0..count {
        let digits = digits.format(number).as_bytes();
        key.truncate(stem);
        key.extend_from_slice(digits);
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits);
        if size > 0 {
            value.resize(size, 0);
        }
        x.keys.expire_now(db_index, &key);
        if x.keys.current().contains(&key) {
            continue;
        }
        let done = incoming.push_str(&mut x.keys.dbs[db_index], &key, &value, None, clock);
        debug_assert!(done.is_ok(), "keys that are there are passed over");
        x.keys.touch_watchers(db_index, &key);
        x.keys.signal_ready(db_index, &key);
    }
    let done = incoming.flush(&mut x.keys.dbs[db_index]);
    debug_assert!(done.is_ok(), "keys that are there are passed over");
    x.out.ok();
    Ok(())
}

/// RELOAD: saves, empties the databases, and loads what was saved; options leave steps out.
pub(super) fn reload(x: &mut Exec<'_>, options: &[&[u8]]) -> Outcome {
    let (mut save, mut flush, mut conflict) = (true, true, Conflict::Refuse);
    for option in options {
        match &*option.to_ascii_lowercase() {
            b"merge" => conflict = Conflict::Replace,
            b"noflush" => flush = false,
            b"nosave" => save = false,
            _ => return Err(Error::DEBUG_RELOAD_OPTION),
        }
    }
    if save && saving::save_now(x.keys, x.state).is_err() {
        return Err(Error::DEBUG_RELOAD_SAVE);
    }
    if let Err(why) = saving::reload(x.keys, x.state, flush, conflict) {
        x.state.log(Level::Warning, &why);
        return Err(Error::DEBUG_RELOAD_LOAD);
    }
    x.state.log(Level::Warning, "DB reloaded by DEBUG RELOAD");
    x.out.ok();
    Ok(())
}

/// LOADAOF: writes what is pending, empties the databases, and loads the append-only file.
pub(super) fn load_log(x: &mut Exec<'_>) -> Outcome {
    if let Err(why) = crate::aof::load::reload(x.keys, x.state) {
        x.state.log(Level::Warning, &why);
        return Err(Error::DEBUG_LOADAOF);
    }
    x.state
        .log(Level::Warning, "Append Only File loaded by DEBUG LOADAOF");
    x.out.ok();
    Ok(())
}
