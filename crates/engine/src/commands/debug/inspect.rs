//! DEBUG subcommands that look at one key or one table.

use crate::exec::Exec;
use commandtable::{Error, Outcome};
use dataset::idle_seconds;
use dataset::number;
use dataset::snapshot;
use keyspace::list::NodeRef;
use keyspace::table::Stats;
use keyspace::{Encoding, EntryRef, StrRef, ValueRef};
use rdb::{Writer, WriterOptions};
use std::fmt::Write as _;
use std::io;

/// Sizes of things there are not: what tools of the reference expect to read.
pub(super) const STRUCT_SIZES: &str =
    "bits:64 robj:16 dictentry:24 sdshdr5:1 sdshdr8:3 sdshdr16:5 sdshdr32:9 sdshdr64:17 ";

/// Slots of a bucket of our tables.
const SLOTS_PER_BUCKET: usize = 9;

/// How much OBJECT tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything.
    Full,
    /// What can be told without walking over the value.
    Fast,
}

/// The entry under `key`, expired or not, without a trace.
fn entry<'a>(x: &'a Exec<'_>, key: &[u8]) -> Result<EntryRef<'a>, Error> {
    x.keys.current().get(key).ok_or(Error::NO_SUCH_KEY)
}

/// OBJECT: where and how a value is held.
pub(super) fn object(x: &mut Exec<'_>, key: &[u8], detail: Detail) -> Outcome {
    let entry = entry(x, key)?;
    let clock = entry.clock();
    let mut text = format!(
        "Value at:{entry:p} refcount:1 encoding:{}",
        entry.encoding().name()
    );
    if detail == Detail::Full {
        let bytes = serialized_len(entry.value(), x.state.config.rdbcompression);
        push(&mut text, format_args!(" serializedlength:{bytes}"));
    }
    push(
        &mut text,
        format_args!(
            " lru:{clock} lru_seconds_idle:{} lfu_freq:{} lfu_access_time_minutes:{}",
            idle_seconds(x.keys.access, clock),
            crate::cron::use_counting_clock(x.keys, x.state).decayed(clock),
            clock >> 8
        ),
    );
    if let ValueRef::List(list) = entry.value()
        && entry.encoding() == Encoding::Quicklist
    {
        let nodes = list.node_count();
        push(
            &mut text,
            format_args!(
                " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:0",
                list.len() as f64 / nodes as f64,
                x.keys.limits.list.max_listpack_size
            ),
        );
        if detail == Detail::Full {
            let bytes: usize = list
                .nodes()
                .map(|node| match node {
                    NodeRef::Packed(listpack) => listpack.byte_len(),
                    NodeRef::Plain(bytes) => bytes.len(),
                })
                .sum();
            push(&mut text, format_args!(" ql_uncompressed_size:{bytes}"));
        }
    }
    x.out.simple(text.as_bytes());
    Ok(())
}

fn push(text: &mut String, args: std::fmt::Arguments<'_>) {
    text.write_fmt(args)
        .expect("writing to a string cannot fail");
}

/// Bytes that a value takes in a snapshot.
fn serialized_len(value: ValueRef<'_>, compress: bool) -> u64 {
    let options = WriterOptions {
        compress,
        checksum: false,
    };
    let mut writer = Writer::new(io::sink(), options);
    // A sink takes everything.
    match snapshot::write_value(&mut writer, value) {
        Ok(()) => writer.bytes_written(),
        Err(_) => 0,
    }
}

/// SDSLEN: lengths of key and value. Ours have no spare room to speak of.
pub(super) fn sdslen(x: &mut Exec<'_>, key: &[u8]) -> Outcome {
    let ValueRef::Str(StrRef::Bytes(value)) = entry(x, key)?.value() else {
        return Err(Error::DEBUG_NOT_SDS);
    };
    let text = format!(
        "key_sds_len:{0}, key_sds_avail:0, key_zmalloc: {0}, val_sds_len:{1}, val_sds_avail:0, val_zmalloc: {1}",
        key.len(),
        value.len()
    );
    x.out.simple(text.as_bytes());
    Ok(())
}

/// LISTPACK: prints nothing here; says whether there would be something to print.
pub(super) fn listpack(x: &mut Exec<'_>, key: &[u8]) -> Outcome {
    if entry(x, key)?.encoding() != Encoding::Listpack {
        return Err(Error::DEBUG_NOT_LISTPACK);
    }
    x.out.simple(b"Listpack structure printed on stdout");
    Ok(())
}

/// QUICKLIST: as LISTPACK.
pub(super) fn quicklist(x: &mut Exec<'_>, key: &[u8]) -> Outcome {
    if entry(x, key)?.encoding() != Encoding::Quicklist {
        return Err(Error::DEBUG_NOT_QUICKLIST);
    }
    x.out.simple(b"Quicklist structure printed on stdout");
    Ok(())
}

/// HTSTATS: figures of a database's tables.
pub(super) fn htstats(x: &mut Exec<'_>, db: &[u8], full: bool) -> Outcome {
    let index = number::int(db)?;
    let db = usize::try_from(index)
        .ok()
        .and_then(|index| x.keys.dbs.get(index))
        .ok_or(Error::DEBUG_NO_DATABASE)?;
    let (keys, expires) = db.stats();
    let mut text = String::from("[Dictionary HT]\n");
    table(&mut text, &keys, full);
    text.push_str("[Expires HT]\n");
    table(&mut text, &expires, full);
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// HTSTATS-KEY: figures of the table that a value is.
pub(super) fn htstats_key(x: &mut Exec<'_>, key: &[u8], full: bool) -> Outcome {
    let entry = entry(x, key)?;
    let stats = match entry.value() {
        ValueRef::Set(set) => set.stats(),
        ValueRef::Hash(hash) => hash.stats(),
        ValueRef::ZSet(zset) => zset.stats(),
        ValueRef::Str(_) | ValueRef::List(_) | ValueRef::Stream(_) => None,
    }
    .ok_or(Error::DEBUG_NOT_A_TABLE)?;
    let mut text = String::new();
    table(&mut text, &stats, full);
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// The figures of one table in the lines of the reference. Items are not counted by array while they move.
fn table(text: &mut String, stats: &Stats, full: bool) {
    if stats.buckets == 0 {
        return;
    }
    if stats.items == 0 {
        return text.push_str(
            "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n",
        );
    }
    push(
        text,
        format_args!(
            "Hash table 0 stats (main hash table):\n table size: {}\n number of elements: {}\n",
            stats.buckets * SLOTS_PER_BUCKET,
            stats.items
        ),
    );
    if full {
        let chains = &stats.chain_lengths;
        let used: usize = chains.iter().skip(1).sum();
        let longest = chains.iter().rposition(|count| *count > 0).unwrap_or(0);
        let links: usize = chains.iter().enumerate().map(|(len, n)| len * n).sum();
        let average = links as f64 / used.max(1) as f64;
        push(
            text,
            format_args!(
                " different slots: {used}\n max chain length: {longest}\n avg chain length (counted): {average:.2}\n avg chain length (computed): {average:.2}\n Chain length distribution:\n"
            ),
        );
        for (length, count) in chains.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = 100.0 * *count as f64 / stats.buckets as f64;
            push(text, format_args!("   {length}: {count} ({share:.2}%)\n"));
        }
    }
    if stats.next_buckets > 0 {
        push(
            text,
            format_args!(
                "Hash table 1 stats (rehashing target):\n table size: {}\n",
                stats.next_buckets * SLOTS_PER_BUCKET
            ),
        );
    }
}
