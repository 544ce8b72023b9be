//! Looking ahead in a batch of requests.
//!
//! A lookup costs two cache misses, one for the bucket and one for the entry, and nothing can be done while they last.
//! So the keys of several requests are hashed first and all their buckets asked for, then all their entries; when the
//! requests run, their keys are near and their hashes known.

use commandtable::CommandInfo;
use commandtable::Names;
use keyspace::table::Prefetch;
use keyspace::{Counted, Db};
use resp::Batch;
use smallvec::SmallVec;
use std::cell::Cell;

/// Keys looked at in one go: about as many as a core can have on their way from memory, twice over. More of them would
/// begin to drive each other out of the nearest cache.
const KEYS_MAX: usize = 48;

/// A key of a request to come.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Where its bytes begin. Only compared: the buffer of the batch does not change while this is remembered.
    address: usize,
    len: usize,
    hash: u64,
}

impl Known {
    #[inline]
    fn is(self, key: &[u8]) -> bool {
        self.address == key.as_ptr().addr() && self.len == key.len()
    }
}

/// What is known of the next requests of a batch.
#[derive(Debug, Default)]
pub struct Ahead {
    keys: Vec<Known>,
    /// Per request: its command, and its first key in `keys`.
    requests: Vec<(Option<&'static CommandInfo>, u32)>,
    /// The key expected next.
    next: Cell<usize>,
    /// Big arguments of the batch, which can be stored as they are.
    big: Vec<Counted>,
}

impl Ahead {
    /// Looks at the requests from number `from` on. Returns the number of the first request not looked at.
    pub fn look(
        &mut self,
        db: &Db,
        names: &Names,
        batch: &Batch,
        buffer: &[u8],
        from: usize,
    ) -> usize {
        self.forget();
        self.big.extend(batch.big_args().cloned());
        let mut at = from;
        let (mut last_name, mut command): (&[u8], _) = (&[], None);
        while at < batch.len() && self.keys.len() < KEYS_MAX {
            let spans = batch.request(at);
            let name = spans
                .first()
                .map_or(&[][..], |name| batch.bytes(buffer, *name));
            // A pipeline mostly repeats itself.
            if name != last_name {
                (last_name, command) = (name, names.find(name));
            }
            self.requests.push((command, self.keys.len() as u32));
            if let Some(command) = command {
                let (first, last, step) = command.key_range(spans.len());
                for span in spans.get(first..last).unwrap_or(&[]).iter().step_by(step) {
                    let key = batch.bytes(buffer, *span);
                    let hash = Db::hash(key);
                    db.prefetch(hash);
                    self.keys.push(Known {
                        address: key.as_ptr().addr(),
                        len: key.len(),
                        hash,
                    });
                    if self.keys.len() == KEYS_MAX {
                        break;
                    }
                }
            }
            at += 1;
        }
        for known in &self.keys {
            db.prefetch_entry(known.hash);
        }
        self.look_inside(db, batch, buffer, from);
        at
    }

    /// The same for the members and fields that the requests will look for in large containers: their buckets, then they
    /// themselves.
    fn look_inside(&self, db: &Db, batch: &Batch, buffer: &[u8], from: usize) {
        let mut members: SmallVec<[(&dyn Prefetch, u64); 32]> = SmallVec::new();
        for (nth, (command, first)) in self.requests.iter().enumerate() {
            let spans = batch.request(from + nth);
            let member = command.and_then(|command| command.member_index(spans.len()));
            let (Some(at), Some(known)) = (member, self.keys.get(*first as usize)) else {
                continue;
            };
            let key = batch.bytes(buffer, spans[1]);
            if let Some(table) = db
                .get_hashed(known.hash, key)
                .and_then(|entry| entry.members())
            {
                let hash = Db::hash(batch.bytes(buffer, spans[at]));
                table.bucket(hash);
                members.push((table, hash));
            }
        }
        for (table, hash) in members {
            table.items(hash);
        }
    }

    /// The next request begins, the `nth` since the last look. Returns its command, if there is one of that name.
    #[inline]
    pub fn begin(&self, nth: usize) -> Option<&'static CommandInfo> {
        let (command, first) = *self.requests.get(nth)?;
        self.next.set(first as usize);
        command
    }

    /// Forgets everything. To be called before the buffer of the batch changes.
    pub fn forget(&mut self) {
        self.keys.clear();
        self.requests.clear();
        self.next.set(0);
        self.big.clear();
    }

    /// The argument as it came, when it is a big one: storing it takes no copy.
    pub fn counted(&self, arg: &[u8]) -> Option<Counted> {
        let is = |big: &&Counted| std::ptr::eq(big.as_slice(), arg);
        self.big.iter().find(is).cloned()
    }

    /// The hash of a key, from memory where it is the one expected, or the one after.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let next = self.next.get();
        match self.keys.get(next..) {
            Some([known, ..]) if known.is(key) => known.hash,
            Some([_, known, ..]) if known.is(key) => {
                self.next.set(next + 1);
                known.hash
            }
            _ => Db::hash(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, KEYS_MAX};
    use commandtable::Names;
    use keyspace::Db;
    use resp::{Batch, Decoder};

    fn decode(requests: &[&[&str]]) -> (Batch, Vec<u8>) {
        let mut buffer = Vec::new();
        for request in requests {
            let args: Vec<&[u8]> = request.iter().map(|arg| arg.as_bytes()).collect();
            words::request::encode(&mut buffer, &args);
        }
        let mut batch = Batch::default();
        let mut decoder = Decoder::new(1 << 20);
        decoder.authenticated = true;
        decoder.decode(&mut buffer, &mut batch, usize::MAX).unwrap();
        assert_eq!(batch.len(), requests.len());
        (batch, buffer)
    }

    #[test]
    fn every_hash_is_the_keys_own_in_whatever_order_they_are_asked_for() {
        let many: Vec<String> = (0..60).map(|n| format!("many{n}")).collect();
        let mut mget = vec!["mget"];
        mget.extend(many.iter().map(String::as_str));
        let requests: Vec<&[&str]> = vec![
            &["set", "a", "1"],
            &["nonsense", "x"],
            &["ping"],
            &["mset", "b", "1", "c", "2", "d"],
            &["get"],
            &["get", "a"],
            &mget,
            &["get", "z"],
        ];
        let (batch, buffer) = decode(&requests);
        let db = Db::new();
        let mut ahead = Ahead::default();
        let mut looked = 0;
        let mut start = 0;
        for at in 0..batch.len() {
            if at == looked {
                start = at;
                looked = ahead.look(&db, &Names::default(), &batch, &buffer, at);
                assert!(looked > at && ahead.keys.len() <= KEYS_MAX);
            }
            ahead.begin(at - start);
            for span in batch.request(at) {
                let arg = batch.bytes(&buffer, *span);
                assert_eq!(ahead.hash(arg), Db::hash(arg));
                assert_eq!(ahead.hash(arg), Db::hash(arg));
            }
        }
    }

    #[test]
    fn the_keys_of_a_command_are_remembered() {
        let (batch, buffer) = decode(&[&["mset", "a", "1", "b", "2"], &["get", "c"]]);
        let mut ahead = Ahead::default();
        assert_eq!(
            ahead.look(&Db::new(), &Names::default(), &batch, &buffer, 0),
            2
        );
        assert_eq!(ahead.keys.len(), 3);
        assert_eq!(ahead.begin(1).map(|command| command.name), Some("get"));
        assert_eq!(ahead.next.get(), 2);
        ahead.forget();
        assert!(ahead.begin(0).is_none());
    }

    #[test]
    fn a_big_argument_is_stored_as_it_came() {
        let value = vec![b'v'; 3 * resp::limits::BIG_ARG_BYTES];
        let mut encoded = Vec::new();
        words::request::encode(&mut encoded, &[b"set", b"k", &value]);
        let (start, rest) = encoded.split_at(100);
        let mut buffer = start.to_vec();
        let mut batch = Batch::default();
        let mut decoder = Decoder::new(1 << 20);
        decoder.authenticated = true;
        let used = decoder.decode(&mut buffer, &mut batch, 1).unwrap();
        let (big, missing) = decoder.big_arg().expect("the value is collected apart");
        assert_eq!(missing, rest.len());
        big.extend_from_slice(rest);
        buffer.drain(..used);
        decoder.decode(&mut buffer, &mut batch, 1).unwrap();

        let mut keys = crate::Keys::new(1, 1);
        let arg = batch.bytes(&buffer, batch.request(0)[2]);
        keys.ahead
            .look(&Db::new(), &Names::default(), &batch, &buffer, 0);
        keys.set_string(b"k", arg, keyspace::Ttl::Clear, keyspace::StrHow::Detect);
        keys.ahead.forget();
        match keys.string(b"k") {
            Ok(Some(keyspace::StrRef::Bytes(stored))) => {
                assert!(std::ptr::eq(stored, arg) && stored == value);
            }
            other => panic!("{other:?}"),
        }
    }
}
