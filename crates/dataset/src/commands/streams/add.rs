//! XADD and XTRIM: entries come at the one end and go at the other.

use super::id::{self, Missing, NewId};
use super::reply_id;
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use crate::origin::Source;
use commandtable::{Error, Outcome};
use keyspace::StreamId;
use keyspace::limits::PACKED_BYTES_MAX;
use keyspace::stream::{Log, Precision, Trim};
use smallvec::SmallVec;

/// Nodes' worth of entries that approximate trimming looks at unless told otherwise.
const LIMIT_NODES: u64 = 100;
/// The same in entries, when nodes have no limit.
const LIMIT_WITHOUT_NODES: u64 = 10_000;
/// The most entries that approximate trimming looks at unless told otherwise.
const LIMIT_MAX: u64 = 1_000_000;

/// How a stream is to be trimmed, and where in the request that stands.
#[derive(Clone, Copy)]
struct Trimming {
    how: Trim,
    approximate: bool,
    /// The argument with the length or the id.
    threshold_at: usize,
    limit: Option<u64>,
}

/// The options of XADD and XTRIM.
struct Options {
    trimming: Option<Trimming>,
    make: bool,
    /// The first argument that is no option.
    end: usize,
}

/// Parses options from argument 2 on. Those of XADD end where the id must be, those of XTRIM with the request.
fn parse(x: &Call<'_>, args: Args<'_>, adds: bool) -> Result<Options, Error> {
    let mut trimming: Option<Trimming> = None;
    let mut limit = None;
    let mut make = true;
    let mut at = 2;
    while let Some(option) = args.get(at) {
        let more = args.len() - 1 - at;
        let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
        if adds && *option == b"*" {
            break;
        } else if more > 0 && (is(b"maxlen") || is(b"minid")) {
            if trimming.is_some() {
                return Err(Error::TRIM_TWICE);
            }
            let sign = if more >= 2 { args[at + 1] } else { b"" };
            let approximate = sign == b"~";
            at += if approximate || sign == b"=" { 2 } else { 1 };
            let how = if is(b"maxlen") {
                let most = number::int(args[at])?;
                Trim::MaxLen(u64::try_from(most).map_err(|_| Error::TRIM_MAXLEN)?)
            } else {
                Trim::MinId(id::parse(args[at], Missing::First)?)
            };
            trimming = Some(Trimming {
                how,
                approximate,
                threshold_at: at,
                limit: None,
            });
        } else if more > 0 && is(b"limit") {
            at += 1;
            let most = number::int(args[at])?;
            limit = Some(u64::try_from(most).map_err(|_| Error::TRIM_LIMIT)?);
        } else if adds && is(b"nomkstream") {
            make = false;
        } else if adds {
            id::parse_new(option)?;
            break;
        } else {
            return Err(Error::SYNTAX);
        }
        at += 1;
    }
    match &mut trimming {
        // A limit of 0 is none here, and one that is given below.
        None if limit.is_some_and(|limit| limit > 0) => return Err(Error::TRIM_LIMIT_ALONE),
        None if !adds => return Err(Error::TRIM_MISSING),
        // What the primary sends is to be done as it did it.
        _ if x.keys.origin.source == Source::Primary => {}
        None if limit.is_some() => return Err(Error::TRIM_LIMIT_EXACT),
        None => {}
        Some(trimming) if limit.is_some() && !trimming.approximate => {
            return Err(Error::TRIM_LIMIT_EXACT);
        }
        Some(trimming) => {
            let default = match x
                .keys
                .limits
                .stream
                .node_max_entries
                .saturating_mul(LIMIT_NODES)
            {
                0 => LIMIT_WITHOUT_NODES,
                limit => limit.min(LIMIT_MAX),
            };
            trimming.limit = limit.or(Some(default));
        }
    }
    Ok(Options {
        trimming,
        make,
        end: at,
    })
}

impl Trimming {
    fn run(&self, log: &mut Log) -> u64 {
        let precision = if self.approximate {
            Precision::Nodes(self.limit.unwrap_or(0))
        } else {
            Precision::Exact
        };
        log.trim(self.how, precision)
    }

    /// The threshold that has the same effect without approximation.
    fn exact_threshold(&self, log: &Log) -> Vec<u8> {
        match self.how {
            Trim::MaxLen(_) => itoa::Buffer::new().format(log.len()).as_bytes().to_vec(),
            // The oldest entry, be it deleted: so much the replica can drop as well.
            Trim::MinId(_) => {
                let oldest = log.nodes().next().map_or(StreamId::MAX, |(id, _)| id);
                oldest.text().to_vec()
            }
        }
    }
}

/// Sends the request with what was chosen here in the place of what asked for a choice.
fn propagate(
    x: &mut Call<'_>,
    args: Args<'_>,
    exact: Option<(Trimming, &[u8])>,
    id: Option<(usize, &[u8])>,
) {
    let mut sent: SmallVec<[&[u8]; 16]> = args.into();
    if let Some((trimming, threshold)) = exact {
        sent[trimming.threshold_at - 1] = b"=";
        sent[trimming.threshold_at] = threshold;
    }
    if let Some((at, id)) = id {
        sent[at] = id;
    }
    x.propagate_as(&sent);
}

/// The id of the next entry.
fn choose(log: &Log, new: NewId, now_ms: i64) -> Result<StreamId, Error> {
    let last = log.last_id();
    let after_last = last.next().ok_or(Error::XADD_EXHAUSTED)?;
    let id = match new {
        NewId::Auto => after_last.max(StreamId::new(now_ms.unsigned_abs(), 0)),
        NewId::In(ms) if ms == last.ms => {
            StreamId::new(ms, last.seq.checked_add(1).ok_or(Error::XADD_SMALLER)?)
        }
        NewId::In(ms) => StreamId::new(ms, 0),
        NewId::Given(id) => id,
    };
    if id <= last {
        return Err(Error::XADD_SMALLER);
    }
    Ok(id)
}

/// `XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]`.
///
/// Reply: the id of the new entry; null when there is no such key and NOMKSTREAM forbids to make it.
/// Errors: WRONGTYPE, syntax, a bad id, an id that is not above the last one, not an integer, out of range.
/// Propagates: itself with the id that was chosen, and with `= threshold` as approximate trimming left it.
/// Source: Valkey command reference, XADD (since 5.0.0).
pub(super) fn xadd(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let Options {
        trimming,
        make,
        end,
    } = parse(x, args, true)?;
    let (fields, odd) = args.get(end + 1..).unwrap_or(&[]).as_chunks::<2>();
    if fields.is_empty() || !odd.is_empty() {
        return Err(Error::arity(x.command.full_name));
    }
    let new = id::parse_new(args[end])?;
    if new == NewId::Given(StreamId::MIN) {
        return Err(Error::XADD_ZERO);
    }
    let bytes: usize = fields.iter().flatten().map(|part| part.len()).sum();
    if bytes > PACKED_BYTES_MAX {
        return Err(Error::XADD_TOO_LARGE);
    }
    if !make && x.keys.stream_mut(key)?.is_none() {
        x.out.null();
        return Ok(());
    }
    if !make {
        x.keys.looked_up();
    }
    let now_ms = x.keys.origin.now_ms;
    let (stream, limits) = x.keys.stream_or_new(key)?;
    let log = &mut stream.log;
    let id = choose(log, new, now_ms)?;
    log.append(id, fields, &limits.stream);
    let trimmed = trimming.map_or(0, |trimming| trimming.run(log));
    let exact = trimming
        .filter(|trimming| trimming.approximate)
        .map(|trimming| (trimming, trimming.exact_threshold(log)));
    x.keys.changed(key, Event::stream("xadd"), 1);
    if trimmed > 0 {
        x.keys.notify(Event::stream("xtrim"), key);
    }
    reply_id(x.out, id);
    let chosen = !matches!(new, NewId::Given(_));
    if (chosen || exact.is_some()) && x.keys.effects.recording {
        let text = id.text();
        let exact = exact.as_ref().map(|(trimming, text)| (*trimming, &**text));
        propagate(x, args, exact, chosen.then_some((end, &text)));
    }
    Ok(())
}

/// `XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]`.
///
/// Reply: the number of entries removed.
/// Errors: WRONGTYPE, syntax, a bad id, not an integer, out of range.
/// Propagates: itself when something was removed, with `= threshold` as approximate trimming left it.
/// Source: Valkey command reference, XTRIM (since 5.0.0).
pub(super) fn xtrim(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let trimming = parse(x, args, false)?.trimming.ok_or(Error::SYNTAX)?;
    let Some(stream) = x.keys.stream_mut(key)? else {
        x.out.int(0);
        return Ok(());
    };
    let removed = trimming.run(&mut stream.log);
    let exact = trimming
        .approximate
        .then(|| trimming.exact_threshold(&stream.log));
    if removed > 0 {
        x.keys.changed(key, Event::stream("xtrim"), removed);
        if let Some(threshold) = exact {
            propagate(x, args, Some((trimming, &threshold)), None);
        }
    }
    x.out.int(removed as i64);
    Ok(())
}
