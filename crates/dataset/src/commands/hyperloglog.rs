//! HyperLogLogs: adding elements, estimating how many there were, merging.
//!
//! They are strings, and what is in them is checked by `keyspace::hyperloglog`.

use super::Family;
use crate::call::{Args, Call};
use crate::notify::Event;
use commandtable::{Error, Outcome};
use keyspace::hyperloglog::{Corrupt, Form, HyperLogLog, HyperLogLogMut, Maxima, dense, sparse};
use keyspace::{Encoding, EntryMut, EntryRef, StrHow, StrRef, Ttl, ValueRef};

mod self_test;

pub(super) static COMMANDS: Family = &[
    ("pfadd", pfadd),
    ("pfcount", pfcount),
    ("pfmerge", pfmerge),
    ("pfdebug", pfdebug),
    ("pfselftest", self_test::pfselftest),
];

const PFADD: Event = Event::string("pfadd");

fn corrupt(_: Corrupt) -> Error {
    Error::HLL_CORRUPT
}

/// The HyperLogLog that an entry holds.
fn held_by(entry: EntryRef<'_>) -> Result<HyperLogLog<'_>, Error> {
    match entry.value() {
        ValueRef::Str(StrRef::Bytes(bytes)) => HyperLogLog::of(bytes).ok_or(Error::HLL_NOT_ONE),
        ValueRef::Str(StrRef::Int(_)) => Err(Error::HLL_NOT_ONE),
        _ => Err(Error::WRONG_TYPE),
    }
}

/// Lends the HyperLogLog at `key` to be changed, if there is a key. It becomes `raw` by that, whether or not it changes.
fn change<T>(
    x: &mut Call<'_>,
    key: &[u8],
    with: impl FnOnce(HyperLogLogMut<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let entry = x.keys.write(key);
    entry.map(|entry| change_entry(entry, with)).transpose()
}

/// As [`change`], where the entry is at hand.
fn change_entry<T>(
    mut entry: EntryMut<'_>,
    with: impl FnOnce(HyperLogLogMut<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    held_by(entry.entry())?;
    let bytes = entry.string_make_raw();
    with(
        bytes
            .and_then(HyperLogLogMut::of)
            .ok_or(Error::HLL_NOT_ONE)?,
    )
}

/// Whether adding the elements changes nothing at all, neither what they are added to nor how it is held.
fn changes_nothing(entry: EntryRef<'_>, elements: &[&[u8]]) -> Result<bool, Error> {
    let hll = held_by(entry)?;
    Ok(entry.encoding() == Encoding::Raw && hll.has_seen(elements))
}

/// `PFADD key [element ...]`.
///
/// Reply: 1 when the estimate may have changed, or the key is new; otherwise 0.
/// Errors: WRONGTYPE, no HyperLogLog, a corrupt one.
/// Propagates: itself when it replies 1.
/// Source: Valkey command reference, PFADD (since 2.8.9).
fn pfadd(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, elements) = (args[1], &args[2..]);
    let sparse_max = x.keys.settings.hll_sparse_bytes_max;
    let changes = match x.keys.write(key) {
        // The usual case: most of what comes has come before, or is outdone by it.
        Some(entry) if changes_nothing(entry.entry(), elements)? => 0,
        Some(entry) => change_entry(entry, |mut hll| {
            hll.add(elements, sparse_max).map_err(corrupt)
        })?,
        None => {
            let mut bytes = Vec::new();
            let mut hll = HyperLogLogMut::start(&mut bytes);
            let changes = hll.add(elements, sparse_max).map_err(corrupt)?;
            hll.outdate();
            x.keys.set_string(key, &bytes, Ttl::Clear, StrHow::Raw);
            changes + 1
        }
    };
    if changes > 0 {
        x.keys.changed(key, PFADD, changes);
    }
    x.out.int(i64::from(changes > 0));
    Ok(())
}

/// `PFCOUNT key [key ...]`: of several keys, the estimate of all together.
///
/// Reply: the estimate, 0 of keys that do not exist.
/// Errors: WRONGTYPE, no HyperLogLog, a corrupt one.
/// Propagates: itself when it has written the estimate of its one key into the value, which makes replicas do the same.
/// Source: Valkey command reference, PFCOUNT (since 2.8.9).
fn pfcount(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let [_, key] = args else {
        return count_together(x, &args[1..]);
    };
    let Some(entry) = x.keys.read(key) else {
        x.out.int(0);
        return Ok(());
    };
    let hll = held_by(entry)?;
    let cached = hll.cached_count();
    let count = cached.map_or_else(|| hll.count(), Ok);
    let is_raw = entry.encoding() == Encoding::Raw;
    if cached.is_none() || !is_raw {
        keep_count(x, key, cached, count);
    }
    x.out.int(count.map_err(corrupt)? as i64);
    Ok(())
}

/// Makes the string at `key` raw, and writes an estimate into it that is not there yet.
fn keep_count(x: &mut Call<'_>, key: &[u8], cached: Option<u64>, count: Result<u64, Corrupt>) {
    if let Some(mut entry) = x.keys.current_mut().get_mut(key)
        && let Some(mut hll) = entry.string_make_raw().and_then(HyperLogLogMut::of)
        && let (None, Ok(count)) = (cached, count)
    {
        hll.cache_count(count);
        // The value is another, although no event tells so.
        x.keys.dirty += 1;
        x.keys.touch_watchers(x.keys.origin.db, key);
    }
}

fn count_together(x: &mut Call<'_>, keys: &[&[u8]]) -> Outcome {
    let mut maxima = Maxima::default();
    for key in keys {
        if let Some(entry) = x.keys.read(key) {
            maxima.merge(held_by(entry)?).map_err(corrupt)?;
        }
    }
    x.out.int(maxima.count() as i64);
    Ok(())
}

/// `PFMERGE destkey [sourcekey ...]`: the destination is a source too, and dense when one of them is.
///
/// Reply: OK.
/// Errors: WRONGTYPE, no HyperLogLog, a corrupt one.
/// Propagates: itself.
/// Source: Valkey command reference, PFMERGE (since 2.8.9).
fn pfmerge(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut maxima = Maxima::default();
    let mut form = Form::Sparse;
    for source in &args[1..] {
        let Some(entry) = x.keys.read(source) else {
            continue;
        };
        let hll = held_by(entry)?;
        if hll.form() == Form::Dense {
            form = Form::Dense;
        }
        maxima.merge(hll).map_err(corrupt)?;
    }
    x.keys.delete_found_expired();
    let sparse_max = x.keys.settings.hll_sparse_bytes_max;
    let merge = |mut hll: HyperLogLogMut<'_>| {
        if form == Form::Dense {
            hll.make_dense().map_err(corrupt)?;
        }
        hll.raise_all(&maxima, sparse_max).map_err(corrupt)
    };
    if change(x, key, merge)?.is_none() {
        let mut bytes = Vec::new();
        merge(HyperLogLogMut::start(&mut bytes))?;
        x.keys.set_string(key, &bytes, Ttl::Clear, StrHow::Raw);
    }
    x.keys.changed(key, PFADD, 1);
    x.out.ok();
    Ok(())
}

/// `PFDEBUG (GETREG | DECODE | ENCODING | TODENSE) key`; GETREG makes it dense, too.
///
/// Reply: the registers; the runs in words; `dense` or `sparse`; 1 when it was sparse, otherwise 0.
/// Errors: no such key, WRONGTYPE, no HyperLogLog, a corrupt one, DECODE of a dense one, no such subcommand.
/// Propagates: itself when it has made one dense.
/// Source: Valkey command reference, PFDEBUG (since 2.8.9).
fn pfdebug(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (subcommand, key) = (args[1], args[2]);
    let is = |name: &str| subcommand.eq_ignore_ascii_case(name.as_bytes());
    let (densify, list) = (is("todense") || is("getreg"), is("getreg"));
    let was = change(x, key, |mut hll| {
        let was = hll.form();
        if densify {
            hll.make_dense().map_err(corrupt)?;
        }
        Ok(was)
    })?
    .ok_or(Error::PFDEBUG_NO_KEY)?;
    if densify && was == Form::Sparse {
        x.keys.dirty += 1;
    }
    if list {
        if let Some(entry) = x.keys.peek(key) {
            x.out.array(keyspace::hyperloglog::REGISTERS);
            for register in dense::registers(held_by(entry)?.body()) {
                x.out.int(i64::from(register));
            }
        }
    } else if densify {
        x.out.int(i64::from(was == Form::Sparse));
    } else if is("encoding") {
        let name: &[u8] = match was {
            Form::Dense => b"dense",
            Form::Sparse => b"sparse",
        };
        x.out.simple(name);
    } else if is("decode") {
        if was == Form::Dense {
            return Err(Error::PFDEBUG_NOT_SPARSE);
        }
        if let Some(entry) = x.keys.peek(key) {
            x.out.bulk(describe(held_by(entry)?.body()).as_bytes());
        }
    } else {
        return Err(Error::unknown_pfdebug(subcommand));
    }
    Ok(())
}

/// Sparse runs in words: `z:3 Z:1000 v:2,1`.
fn describe(ops: &[u8]) -> String {
    let words: Vec<String> = sparse::runs(ops)
        .map(|run| match (run.value, run.is_long()) {
            (0, false) => format!("z:{}", run.registers),
            (0, true) => format!("Z:{}", run.registers),
            (value, _) => format!("v:{value},{}", run.registers),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn an_estimate_is_written_down_once_and_replicas_do_the_same() {
        check(
            "
            > PFADD k a b c
            < (integer) 1
            ~ PFADD k a b c
            > PFADD k a
            < (integer) 0
            > PFCOUNT k
            < (integer) 3
            ~ PFCOUNT k
            > PFCOUNT k
            < (integer) 3
            > PFCOUNT k none
            < (integer) 3
            > PFCOUNT none
            < (integer) 0
            > PFADD empty
            < (integer) 1
            ~ PFADD empty
            > PFCOUNT empty
            < (integer) 0
            ~ PFCOUNT empty
            ",
        );
    }

    #[test]
    fn merging_takes_the_destination_in_and_makes_it_if_need_be() {
        check(
            "
            > PFADD one a b
            < (integer) 1
            ~ PFADD one a b
            > PFADD other b c
            < (integer) 1
            ~ PFADD other b c
            > PFDEBUG TODENSE other
            < (integer) 1
            ~ PFDEBUG TODENSE other
            > PFMERGE one other none
            < OK
            ~ PFMERGE one other none
            > PFDEBUG ENCODING one
            < dense
            > PFCOUNT one other
            < (integer) 3
            > PFMERGE new
            < OK
            ~ PFMERGE new
            > PFDEBUG DECODE new
            < \"Z:16384\"
            ",
        );
    }

    #[test]
    fn what_is_none_is_refused_and_stays() {
        check(
            "
            > SET k 12
            < OK
            ~ SET k 12
            > PFADD k a
            < (error) WRONGTYPE Key is not a valid HyperLogLog string value.
            > PFCOUNT k
            < (error) WRONGTYPE Key is not a valid HyperLogLog string value.
            > RPUSH l a
            < (integer) 1
            ~ RPUSH l a
            > PFMERGE new l
            < (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > PFADD one a
            < (integer) 1
            ~ PFADD one a
            > SETRANGE one 16 x
            < (integer) 21
            ~ SETRANGE one 16 x
            > PFCOUNT one
            < (error) INVALIDOBJ Corrupted HLL object detected
            > PFMERGE new one
            < (error) INVALIDOBJ Corrupted HLL object detected
            > EXISTS new
            < (integer) 0
            > PFDEBUG GETREG one
            < (error) INVALIDOBJ Corrupted HLL object detected
            > PFDEBUG SIMD one
            < (error) ERR Unknown PFDEBUG subcommand 'SIMD'
            > PFDEBUG ENCODING none
            < (error) ERR The specified key does not exist
            ",
        );
    }

    #[test]
    fn hll_sparse_max_bytes_counts_the_header() {
        check(
            "
            > CONFIG SET hll-sparse-max-bytes 21
            < OK
            > PFADD k a
            < (integer) 1
            ~ PFADD k a
            > PFDEBUG ENCODING k
            < sparse
            > PFADD k b
            < (integer) 1
            ~ PFADD k b
            > PFDEBUG ENCODING k
            < dense
            > PFSELFTEST
            < OK
            ",
        );
    }
}
