//! SORT and SORT_RO: the elements of a key in the order of their values, or of the values of other keys.

mod order;

use super::Family;
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::list::Direction as Walk;
use keyspace::{List, Value, ValueRef};
use order::{Direction, Extent, Order, Texts, Weights, up_to_nul};
use smallvec::SmallVec;
use std::ops::Range;

pub(super) static COMMANDS: Family = &[("sort", sort), ("sort_ro", sort_ro)];

const SORTSTORE: Event = Event::list("sortstore");

/// Whether STORE is among the options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    MayStore,
    ReadOnly,
}

/// What a pattern of BY or GET means for an element.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// The element itself.
    Element,
    /// The string at a key, or a field of the hash there; the key's name is the element between these two.
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
    /// Nothing: the pattern has no place for the element.
    Nothing,
}

impl<'a> Source<'a> {
    /// Reads a pattern. As it is a text of C in the reference, `*` and `->` are looked for in front of the first NUL.
    fn parse(pattern: &'a [u8]) -> Self {
        let text = up_to_nul(pattern);
        if text == b"#" {
            return Source::Element;
        }
        let Some(star) = text.iter().position(|byte| *byte == b'*') else {
            return Source::Nothing;
        };
        let (before, after) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = text[star + 1..].windows(2).position(|two| two == b"->");
        match arrow.filter(|at| after.get(at + 2).is_some_and(|byte| *byte != 0)) {
            Some(at) => Source::Key {
                before,
                after: &after[..at],
                field: Some(&after[at + 2..]),
            },
            None => Source::Key {
                before,
                after,
                field: None,
            },
        }
    }

    /// Shows `f` what the pattern means for `element`; `None` where there is nothing of the kind. `name` is scratch space.
    fn look_up<R>(
        self,
        keys: &mut Keys,
        element: &[u8],
        name: &mut Vec<u8>,
        f: impl FnOnce(Option<&[u8]>) -> R,
    ) -> R {
        let (before, after, field) = match self {
            Source::Element => return f(Some(element)),
            Source::Nothing => return f(None),
            Source::Key {
                before,
                after,
                field,
            } => (before, after, field),
        };
        name.clear();
        name.extend_from_slice(before);
        name.extend_from_slice(element);
        name.extend_from_slice(after);
        let found = match (keys.read(name).map(|entry| entry.value()), field) {
            (Some(ValueRef::Str(string)), None) => Some(string.element()),
            (Some(ValueRef::Hash(hash)), Some(field)) => hash.get(field),
            _ => None,
        };
        match found {
            Some(found) => found.with_bytes(|bytes| f(Some(bytes))),
            None => f(None),
        }
    }
}

/// A parsed request.
struct Request<'a> {
    /// What to compare by.
    by: Source<'a>,
    /// BY has been given a pattern without `*`: nothing is to be sorted.
    unsorted: bool,
    alpha: bool,
    direction: Direction,
    offset: i64,
    /// The most elements; negative for all.
    count: i64,
    get: SmallVec<[Source<'a>; 4]>,
    destination: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(mut words: Args<'a>, form: Form) -> Result<Self, Error> {
        let mut request = Request {
            by: Source::Element,
            unsorted: false,
            alpha: false,
            direction: Direction::Ascending,
            offset: 0,
            count: -1,
            get: SmallVec::new(),
            destination: None,
        };
        while let Some((word, rest)) = words.split_first() {
            words = rest;
            match (word.to_ascii_lowercase().as_slice(), rest) {
                (b"asc", _) => request.direction = Direction::Ascending,
                (b"desc", _) => request.direction = Direction::Descending,
                (b"alpha", _) => request.alpha = true,
                (b"limit", [offset, count, rest @ ..]) => {
                    request.offset = number::int(offset)?;
                    request.count = number::int(count)?;
                    words = rest;
                }
                (b"store", [destination, rest @ ..]) if form == Form::MayStore => {
                    request.destination = Some(destination);
                    words = rest;
                }
                (b"by", [pattern, rest @ ..]) => {
                    request.by = Source::parse(pattern);
                    // Once said it holds, whatever other pattern follows.
                    request.unsorted |= !matches!(request.by, Source::Key { .. });
                    words = rest;
                }
                (b"get", [pattern, rest @ ..]) => {
                    request.get.push(Source::parse(pattern));
                    words = rest;
                }
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(request)
    }

    /// Which of `len` elements are asked for.
    fn window(&self, len: usize) -> Range<usize> {
        let clip = |number: i64| usize::try_from(number).map_or(0, |number| number.min(len));
        let start = clip(self.offset);
        let end = if self.count < 0 {
            len
        } else {
            start.saturating_add(clip(self.count)).min(len)
        };
        start..end
    }
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]`. Elements are
/// compared as numbers, with ALPHA as texts. A result without elements deletes `destination`.
///
/// Reply: an array of the elements, or of what GET asks for, null where there is none; with STORE their number.
/// Errors: syntax, WRONGTYPE unless `key` holds a list, a set or a sorted set, elements or weights that are no numbers.
/// Propagates: itself when something was stored or deleted.
/// Source: Valkey command reference, SORT (since 1.0.0).
pub fn sort(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    sorted(x, args, Form::MayStore)
}

/// `SORT_RO key ...`: SORT without STORE.
///
/// Reply: as SORT.
/// Errors: as SORT.
/// Propagates: nothing.
/// Source: Valkey command reference, SORT_RO (since 7.0.0).
pub fn sort_ro(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    sorted(x, args, Form::ReadOnly)
}

fn sorted(x: &mut Call<'_>, args: Args<'_>, form: Form) -> Outcome {
    let mut request = Request::parse(&args[2..], form)?;
    let elements = load(x.keys, args[1], &mut request)?;
    let chosen = if request.unsorted {
        (0..elements.len()).collect()
    } else {
        let weights = weigh(x.keys, &request, &elements)?;
        let order = Order {
            elements: &elements,
            weights,
            // What is stored must not depend on anybody's locale.
            extent: match request.destination {
                Some(_) => Extent::Whole,
                None => Extent::UpToNul,
            },
            direction: request.direction,
        };
        order.window(request.window(elements.len()))
    };
    match request.destination {
        None => reply(x, &request.get, &elements, &chosen),
        Some(destination) => store(x, destination, &request.get, &elements, &chosen),
    }
    Ok(())
}

/// The elements of a key: all of them, or those that are asked for when nothing is to be sorted.
fn load(keys: &mut Keys, key: &[u8], request: &mut Request<'_>) -> Result<Texts, Error> {
    let mut elements = Texts::default();
    let mut push =
        |element: keyspace::Element<'_>| element.with_bytes(|bytes| elements.push(bytes));
    let descending = request.direction == Direction::Descending;
    let in_script = keys.origin.in_script;
    match keys.read(key).map(|entry| entry.value()) {
        None => {}
        Some(ValueRef::List(list)) if request.unsorted => {
            let window = request.window(list.len());
            let (start, walk) = if descending {
                let last = list.len().saturating_sub(1);
                (last.saturating_sub(window.start), Walk::Reverse)
            } else {
                (window.start, Walk::Forward)
            };
            list.range(start, window.len(), walk).for_each(push);
        }
        Some(ValueRef::List(list)) => list.iter().for_each(push),
        Some(ValueRef::Set(set)) => {
            if request.unsorted && (request.destination.is_some() || in_script) {
                // Sets have no order that two servers share: what is stored or goes into a script gets one.
                request.unsorted = false;
                request.alpha = true;
                request.by = Source::Element;
            }
            if request.unsorted {
                let window = request.window(set.len());
                let members = set.iter().skip(window.start).take(window.len());
                members.for_each(push);
            } else {
                set.iter().for_each(push);
            }
        }
        Some(ValueRef::ZSet(zset)) if request.unsorted => {
            let window = request.window(zset.len());
            zset.by_rank(window.start, window.len(), descending)
                .for_each(|(member, _)| push(member));
        }
        Some(ValueRef::ZSet(zset)) => zset.iter().for_each(|(member, _)| push(member)),
        Some(_) => return Err(Error::WRONG_TYPE),
    }
    Ok(elements)
}

/// What the elements are to be compared by.
fn weigh(keys: &mut Keys, request: &Request<'_>, elements: &Texts) -> Result<Weights, Error> {
    if request.alpha && matches!(request.by, Source::Element) {
        return Ok(Weights::Elements);
    }
    let mut name = Vec::new();
    if request.alpha {
        let mut texts = Texts::default();
        let mut present = Vec::with_capacity(elements.len());
        for index in 0..elements.len() {
            let element = elements.get(index);
            request.by.look_up(keys, element, &mut name, |text| {
                texts.push(text.unwrap_or_default());
                present.push(text.is_some());
            });
        }
        return Ok(Weights::Texts(texts, present));
    }
    let mut numbers = Vec::with_capacity(elements.len());
    let mut all_numbers = true;
    for index in 0..elements.len() {
        let element = elements.get(index);
        // All of them are looked up, as in the reference: who listens to misses can tell.
        let number = request
            .by
            .look_up(keys, element, &mut name, |text| match text {
                None => Some(0.0),
                Some(text) => order::number(text),
            });
        all_numbers &= number.is_some();
        numbers.push(number.unwrap_or_default());
    }
    if all_numbers {
        Ok(Weights::Numbers(numbers))
    } else {
        Err(Error::SORT_WEIGHT)
    }
}

fn reply(x: &mut Call<'_>, get: &[Source<'_>], elements: &Texts, chosen: &[usize]) {
    x.out.array(chosen.len().saturating_mul(get.len().max(1)));
    let mut name = Vec::new();
    for index in chosen {
        let element = elements.get(*index);
        if get.is_empty() {
            x.out.bulk(element);
        }
        for source in get {
            source.look_up(x.keys, element, &mut name, |text| x.out.bulk_or_null(text));
        }
    }
}

fn store(
    x: &mut Call<'_>,
    destination: &[u8],
    get: &[Source<'_>],
    elements: &Texts,
    chosen: &[usize],
) {
    let limits = x.keys.limits.list;
    let mut result = List::new();
    let mut name = Vec::new();
    for index in chosen {
        let element = elements.get(*index);
        if get.is_empty() {
            result.push_back(element, &limits);
        }
        for source in get {
            source.look_up(x.keys, element, &mut name, |text| {
                result.push_back(text.unwrap_or_default(), &limits);
            });
        }
    }
    let count = result.len();
    x.keys.delete_found_expired();
    if count == 0 {
        // Deleted like any other key if only its time has come: nobody has looked it up.
        let lazy = x.keys.lazy.server_del;
        x.keys.delete(destination, lazy);
    } else {
        let value = Value::List(Box::new(result));
        x.keys.put(destination, value, None);
        x.keys.changed(destination, SORTSTORE, count as u64);
    }
    x.out.uint(count);
}

#[cfg(test)]
mod tests;
