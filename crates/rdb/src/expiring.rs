//! Hashes whose fields may expire, as Redis 7.4 and 8, and Valkey 9, write them. Nothing here has a place for such a time: a
//! hash is read when no field of it has one (the form may stay when the last one was taken back), and refused when one has.
//!
//! ```text
//! hash-metadata     = soonest i64 LE, count, (when length, field, value) * count     when: 0, or the time - soonest + 1
//! hash-listpack-ex  = soonest i64 LE, blob: listpack of (field, value, time)*         time: 0, or milliseconds since the epoch
//! hash-volatile     = count, (field, value, when i64 LE) * count                       when: -1, or milliseconds since the epoch
//! ```
//!
//! Source: files and DUMP payloads that Redis 8.0.6 and Valkey 9.1.2 have written.

use std::io::Read;

use packed::{Element, IntBuf, Listpack};

use crate::error::{ErrorKind, Result};
use crate::format::ValueType;
use crate::reader::Reader;
use crate::value::{self, Discard, Kind, Loaded, ValueSink};

/// What becomes of a time at which a field expires.
pub(crate) enum Expiring<'a> {
    /// The hash is refused.
    Refused,
    /// It is counted, and the hash read as if it had none.
    Counted(&'a mut u64),
}

impl Expiring<'_> {
    fn seen(&mut self, field: &[u8], at_ms: u64) -> std::result::Result<(), ErrorKind> {
        match self {
            Self::Refused => Err(ErrorKind::FieldExpires {
                field: field.to_vec(),
                at_ms,
            }),
            Self::Counted(count) => {
                **count = count.saturating_add(1);
                Ok(())
            }
        }
    }
}

impl<R: Read> Reader<R> {
    /// Skips the value of a key whose type [has field expiry](ValueType::has_field_expiry), with all its checks but that for
    /// duplicates in an unpacked hash. Returns how many of its fields expire; `None` when it has no fields at all.
    pub fn skip_expiring_hash(&mut self, type_: ValueType) -> Result<Option<u64>> {
        self.input.what = type_.name();
        let mut count = 0;
        let expiring = Expiring::Counted(&mut count);
        let loaded = match type_ {
            ValueType::HashMetadata => self.expiring_fields(&mut Discard, expiring)?,
            ValueType::HashVolatile => self.volatile_fields(&mut Discard, expiring)?,
            _ => {
                let listpack = self.expiring_listpack(expiring)?;
                self.unique(Kind::Hash, listpack, &mut Discard)?
            }
        };
        Ok((loaded == Loaded::Value).then_some(count))
    }

    /// The fields and values of a [`ValueType::HashMetadata`].
    pub(crate) fn expiring_fields<S: ValueSink>(
        &mut self,
        sink: &mut S,
        mut expiring: Expiring<'_>,
    ) -> Result<Loaded> {
        let soonest_ms = self.soonest()?;
        let count = self.begin(Kind::Hash, sink)?;
        let mut field = std::mem::take(&mut self.field);
        for _ in 0..count {
            let after_soonest = self.length()?;
            field.clear();
            self.string_onto(&mut field)?;
            if let Some(ms) = after_soonest.checked_sub(1) {
                expiring
                    .seen(&field, soonest_ms.saturating_add(ms))
                    .map_err(|kind| self.input.error(kind))?;
            }
            let accepted = sink.field(&field, self.string()?);
            self.check(accepted)?;
        }
        self.keep_field(field);
        Ok(value::loaded(count))
    }

    /// The fields and values of a [`ValueType::HashVolatile`].
    pub(crate) fn volatile_fields<S: ValueSink>(
        &mut self,
        sink: &mut S,
        mut expiring: Expiring<'_>,
    ) -> Result<Loaded> {
        let count = self.begin(Kind::Hash, sink)?;
        let mut field = std::mem::take(&mut self.field);
        for _ in 0..count {
            field.clear();
            self.string_onto(&mut field)?;
            let accepted = sink.field(&field, self.string()?);
            self.check(accepted)?;
            match i64::from_le_bytes(self.array()?) {
                -1 => {}
                at_ms => {
                    let at_ms = u64::try_from(at_ms)
                        .map_err(|_| self.input.corrupt("the time of a field is none"))?;
                    expiring
                        .seen(&field, at_ms)
                        .map_err(|kind| self.input.error(kind))?;
                }
            }
        }
        self.keep_field(field);
        Ok(value::loaded(count))
    }

    /// The fields and values of a [`ValueType::HashListpackEx`], as other packed hashes have them.
    pub(crate) fn expiring_listpack(&mut self, mut expiring: Expiring<'_>) -> Result<Listpack> {
        self.soonest()?;
        let triples = self.listpack()?;
        let mut pairs = Listpack::with_capacity(triples.byte_len());
        let mut elements = triples.iter();
        while let Some(field) = elements.next() {
            let (Some(value), Some(time)) = (elements.next(), elements.next()) else {
                return Err(self.input.corrupt("the last field lacks its value or time"));
            };
            let Element::Int(at_ms) = time else {
                return Err(self.input.corrupt("the time of a field is none"));
            };
            let at_ms = u64::try_from(at_ms)
                .map_err(|_| self.input.corrupt("the time of a field is none"))?;
            if at_ms != 0 {
                expiring
                    .seen(field.bytes(&mut IntBuf::new()), at_ms)
                    .map_err(|kind| self.input.error(kind))?;
            }
            for element in [field, value] {
                match element {
                    Element::Int(number) => pairs.push_back_int(number),
                    Element::Bytes(text) => pairs.push_back(text),
                }
            }
        }
        Ok(pairs)
    }

    /// When the first field expires; what it says when none does (any more) means nothing.
    fn soonest(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
