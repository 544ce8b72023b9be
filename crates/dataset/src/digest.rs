//! Digests of keys, values and datasets: equal data have equal digests, whatever their encoding and order in memory.
//!
//! ```text
//! add(d, bytes) = d xor SHA1(bytes)            the order of additions does not matter
//! mix(d, bytes) = SHA1(add(d, bytes))          the order matters
//!
//! dataset = for each database that is not empty: mix its index (u32, big endian), then add each key's digest
//! key     = mix the key, then the value
//! value   = mix the type's number (u32, big endian), then the elements; with an expiry time add "!!expire!!"
//!           string, list   mix each element
//!           set            add each member
//!           hash, zset     add, for each element, a digest of its own that mixes field and value
//!           stream         mix each entry's id, written with a dot, and its fields and values; not the groups
//! ```
//!
//! Source: DEBUG DIGEST and DEBUG DIGEST-VALUE of Valkey 8.0.1, found and checked by experiment.

use keyspace::{Db, Element, Entry, StrRef, StreamId, ValueRef};
use sha1::{Digest as _, Sha1};
use std::fmt;
use words::print::NumberBuf;

/// What an expiry time adds; when it is does not matter.
const EXPIRES: &[u8] = b"!!expire!!";

/// A digest; prints as 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    /// The digest of all databases.
    #[must_use]
    pub fn of_dataset(dbs: &[Db]) -> Self {
        let mut digest = Digest::default();
        for (index, db) in dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            digest.mix_number(index as u32);
            for entry in db.iter() {
                let mut key = Digest::default();
                key.mix(entry.key());
                key.mix_value(&entry);
                digest.add(&key.0);
            }
        }
        digest
    }

    /// The digest of a key's value and whether it expires, but not of its name.
    #[must_use]
    pub fn of_value(entry: &Entry) -> Self {
        let mut digest = Digest::default();
        digest.mix_value(entry);
        digest
    }

    fn mix_value(&mut self, entry: &Entry) {
        match entry.value() {
            ValueRef::Str(value) => {
                self.mix_number(0);
                match value {
                    StrRef::Bytes(bytes) => self.mix(bytes),
                    StrRef::Int(number) => self.mix(itoa::Buffer::new().format(number).as_bytes()),
                }
            }
            ValueRef::List(list) => {
                self.mix_number(1);
                list.iter().for_each(|element| self.mix_element(element));
            }
            ValueRef::Set(set) => {
                self.mix_number(2);
                set.iter()
                    .for_each(|member| member.with_bytes(|bytes| self.add(bytes)));
            }
            ValueRef::ZSet(zset) => {
                self.mix_number(3);
                let mut text = NumberBuf::new();
                for (member, score) in zset.iter() {
                    let mut pair = Digest::default();
                    pair.mix_element(member);
                    pair.mix(text.format_shortest(score));
                    self.add(&pair.0);
                }
            }
            ValueRef::Hash(hash) => {
                self.mix_number(4);
                for (field, value) in hash.iter() {
                    let mut pair = Digest::default();
                    pair.mix_element(field);
                    pair.mix_element(value);
                    self.add(&pair.0);
                }
            }
            ValueRef::Stream(stream) => {
                self.mix_number(6);
                for entry in stream.log.range(StreamId::MIN..=StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (name, value) in entry.fields() {
                        self.mix_element(name);
                        self.mix_element(value);
                    }
                }
            }
        }
        if entry.expire_at_ms().is_some() {
            self.add(EXPIRES);
        }
    }

    fn mix_element(&mut self, element: Element<'_>) {
        element.with_bytes(|bytes| self.mix(bytes));
    }

    fn mix_number(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0
            .iter_mut()
            .zip(Sha1::digest(bytes))
            .for_each(|(mine, theirs)| *mine ^= theirs);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
