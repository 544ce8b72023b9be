//! Copies of large values, made in slices so that others have their turn in between.
//!
//! The source must not change meanwhile: who makes a copy has to see to that, and to give it up when it does. Rehashing is
//! no change. The groups of a stream may change, if [`Copying::renew_groups`] is told.

use crate::list::{NodeRef, OwnedNode};
use crate::stream::copy_groups;
use crate::{Hash, Limits, Set, Stream, Type, Value, ValueRef, ZSet};

/// From this many members on a table is copied in slices.
const MEMBERS_MIN: usize = 8192;
/// From this many nodes on a list or a stream, whose pending entries count as such, is copied in slices.
const NODES_MIN: usize = 1024;
/// Buckets, members or nodes copied between two looks at whether the slice has become long enough. Few: in a fresh table each may
/// touch memory that the system has yet to clear, two megabytes at a time.
const STEP: usize = 8;

/// What is to be copied: its type and size.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    type_: Type,
    members: usize,
}

impl Plan {
    /// The plan for a value that is worth it: large, and not one piece of memory.
    pub fn of(source: ValueRef<'_>) -> Option<Self> {
        let members = match source {
            ValueRef::Set(set) if set.table().is_some() => set.len(),
            ValueRef::Hash(hash) if hash.table().is_some() => hash.len(),
            ValueRef::ZSet(zset) if zset.table().is_some() => zset.len(),
            ValueRef::List(list) if list.node_count() >= NODES_MIN => list.len(),
            // Its nodes, and what is pending in its groups.
            ValueRef::Stream(stream) if stream.free_effort() >= NODES_MIN => {
                let entries = usize::try_from(stream.log.len()).unwrap_or(usize::MAX);
                entries.max(stream.free_effort())
            }
            _ => 0,
        };
        let type_ = source.type_();
        (members >= MEMBERS_MIN).then_some(Plan { type_, members })
    }

    /// An empty copy with room for all members. To clear that much memory takes a while, during which nobody need wait:
    /// the source is not looked at.
    pub fn prepare(self) -> Copying {
        // A copy is held the same way as its source, and these are never held packed.
        let limits = Limits {
            hash_max_listpack_entries: 0,
            set_max_intset_entries: 0,
            set_max_listpack_entries: 0,
            zset_max_listpack_entries: 0,
            ..Limits::default()
        };
        let made = match self.type_ {
            Type::Set => Value::Set(Box::new(Set::with_hint(b"a", self.members, &limits))),
            Type::Hash => {
                let mut copy = Hash::new();
                copy.reserve(self.members, &limits);
                Value::Hash(Box::new(copy))
            }
            Type::ZSet => {
                let mut copy = ZSet::new();
                copy.prepare_for(self.members);
                Value::ZSet(Box::new(copy))
            }
            Type::Stream => Value::Stream(Box::default()),
            Type::List | Type::Str => Value::List(Box::default()),
        };
        Copying {
            made,
            at: 0,
            groups_at_once: false,
            limits,
        }
    }
}

/// A copy that is not complete yet.
#[derive(Debug)]
pub struct Copying {
    made: Value,
    /// Where to go on: a cursor, or a number of nodes.
    at: u64,
    /// The groups of a stream, which have changed before, are copied in one go, or it might never end.
    groups_at_once: bool,
    limits: Limits,
}

impl Copying {
    /// Copies some more, as long as `has_time` says so; true when the copy is complete.
    ///
    /// A source of another type than the one that the copy was begun for makes no copy: it is "complete" as it is.
    pub fn go_on(&mut self, source: ValueRef<'_>, mut has_time: impl FnMut() -> bool) -> bool {
        while has_time() {
            if self.step(source) {
                return true;
            }
        }
        false
    }

    fn step(&mut self, source: ValueRef<'_>) -> bool {
        let limits = &self.limits;
        match (source, &mut self.made) {
            (ValueRef::Set(set), Value::Set(copy)) => {
                self.at = scanned(self.at, |at| {
                    set.scan(at, &mut |member| {
                        member.with_bytes(|member| copy.add(member, limits));
                    })
                })
            }
            (ValueRef::Hash(hash), Value::Hash(copy)) => {
                self.at = scanned(self.at, |at| {
                    hash.scan(at, &mut |field, value| {
                        let mut set =
                            |field: &[u8]| value.with_bytes(|value| copy.set(field, value, limits));
                        field.with_bytes(&mut set);
                    })
                })
            }
            (ValueRef::ZSet(zset), Value::ZSet(copy)) => {
                let from = copy.len();
                for (member, score) in zset.by_rank(from, STEP, false) {
                    member.with_bytes(|member| copy.insert(member, score, limits));
                }
                return copy.len() == zset.len() || copy.len() == from;
            }
            (ValueRef::List(list), Value::List(copy)) => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX);
                for node in list.nodes_from(from).take(STEP) {
                    copy.append_node(match node {
                        NodeRef::Packed(pack) => OwnedNode::Packed(pack.to_listpack()),
                        NodeRef::Plain(bytes) => OwnedNode::Plain(bytes.to_vec()),
                    });
                }
                self.at += STEP as u64;
                return self.at >= list.node_count() as u64;
            }
            (ValueRef::Stream(stream), Value::Stream(copy)) => {
                // Also when it has all nodes: what is remembered of the past may have been set since.
                if !copy.log.copy_nodes(&stream.log, STEP) {
                    return false;
                }
                if self.groups_at_once {
                    copy.groups.clone_from(&stream.groups);
                    return true;
                }
                return copy_groups(&mut copy.groups, &stream.groups, STEP);
            }
            _ => return true,
        }
        self.at == 0
    }

    /// The groups of the source may change now: those that have been copied do not count. Gives them back to be freed.
    pub fn renew_groups(&mut self) -> Option<Value> {
        let Value::Stream(copy) = &mut self.made else {
            return None;
        };
        if copy.groups.is_empty() {
            return None;
        }
        self.groups_at_once = true;
        let mut stale = Stream::new();
        stale.groups = std::mem::take(&mut copy.groups);
        Some(Value::Stream(Box::new(stale)))
    }

    /// What has been copied.
    pub fn into_value(self) -> Value {
        self.made
    }
}

/// Some steps of a scan: the next cursor, 0 at the end.
fn scanned(mut cursor: u64, mut step: impl FnMut(u64) -> u64) -> u64 {
    for _ in 0..STEP {
        cursor = step(cursor);
        if cursor == 0 {
            break;
        }
    }
    cursor
}

#[cfg(test)]
mod tests {
    use super::{Copying, Plan};
    use crate::stream::{Delivery, Group, Groups};
    use crate::{Hash, Limits, List, Set, Str, Stream, StreamId, StreamLimits, Value, ZSet};

    const MANY: usize = 20_000;

    fn begun(source: &Value) -> Copying {
        Plan::of(source.as_ref()).expect("it is large").prepare()
    }

    /// Groups with consumers and pending entries, and without.
    fn groups() -> Groups {
        let mut groups = Groups::new();
        groups.insert(b"empty".as_slice().into(), Group::default());
        for (name, pending) in [("first", 1000), ("none", 0), ("second", 3)] {
            let mut group = Group::new(StreamId::new(3, 1), Some(4));
            for n in 0..20 {
                group.add_consumer(&text(n), n as i64, Some(7).filter(|_| n % 2 == 0));
            }
            for n in 0..pending {
                let consumer = group.consumer_name(&text(n % 19)).expect("added above");
                let delivery = Delivery {
                    consumer,
                    at_ms: n as i64,
                    count: 1 + n as u64 % 3,
                };
                group.deliver(StreamId::new(n as u64, 1), delivery);
            }
            groups.insert(name.as_bytes().into(), group);
        }
        groups
    }

    /// The copy of a value, made in slices of one step.
    fn copied(source: &Value) -> Value {
        let mut copying = begun(source);
        let mut slices = 0;
        loop {
            let mut first = true;
            if copying.go_on(source.as_ref(), || std::mem::take(&mut first)) {
                break;
            }
            slices += 1;
        }
        assert!(slices > 10, "{slices}");
        copying.into_value()
    }

    fn text(n: usize) -> Vec<u8> {
        format!("element-{n}").into_bytes()
    }

    #[test]
    fn a_copy_in_slices_is_what_a_copy_is() {
        let limits = Limits::default();
        let mut set = Set::new();
        let mut hash = Hash::new();
        let mut zset = ZSet::new();
        let mut list = List::new();
        for n in 0..MANY {
            set.add(&text(n), &limits);
            hash.set(&text(n), &text(n + 1), &limits);
            zset.insert(&text(n), (n % 100) as f64, &limits);
        }
        for n in 0..MANY * 40 {
            list.push_back(&text(n), &limits.list);
        }
        let mut stream = Stream::new();
        let stream_limits = StreamLimits {
            node_max_entries: 10,
            ..StreamLimits::default()
        };
        for n in 0..MANY {
            let id = StreamId::new(n as u64, 1);
            stream
                .log
                .append(id, &[[b"field", &text(n)]], &stream_limits);
        }
        stream.log.delete(StreamId::new(7, 1));
        stream
            .log
            .set_history(StreamId::MAX, 1 << 40, StreamId::new(7, 1));
        stream.groups = groups();
        let sources = [
            Value::Stream(Box::new(stream)),
            Value::Set(Box::new(set)),
            Value::Hash(Box::new(hash)),
            Value::ZSet(Box::new(zset)),
            Value::List(Box::new(list)),
        ];
        for source in sources {
            let copy = copied(&source);
            assert_eq!(copy.as_ref().encoding(), source.as_ref().encoding());
            let elements = |value: &Value| {
                let mut all: Vec<Vec<u8>> = Vec::new();
                match value {
                    Value::Set(set) => all.extend(set.iter().map(|member| member.to_vec())),
                    Value::Hash(hash) => {
                        let pairs = hash.iter().map(|(f, v)| [f.to_vec(), v.to_vec()].concat());
                        all.extend(pairs);
                    }
                    Value::ZSet(zset) => {
                        let scored = zset
                            .iter()
                            .map(|(m, s)| [&m.to_vec()[..], &s.to_le_bytes()].concat());
                        return scored.collect();
                    }
                    Value::Stream(stream) => {
                        let log = &stream.log;
                        let past = (log.last_id(), log.max_deleted_id(), log.entries_added());
                        all.push(
                            format!("{past:?} {} {:?}", log.len(), stream.groups).into_bytes(),
                        );
                        let nodes = log.nodes();
                        all.extend(
                            nodes.map(|(id, node)| [&id.to_bytes()[..], node.as_bytes()].concat()),
                        );
                    }
                    Value::List(list) => return list.iter().map(|e| e.to_vec()).collect(),
                    _ => {}
                }
                all.sort();
                all
            };
            assert!(elements(&copy) == elements(&source));
        }
    }

    #[test]
    fn a_table_that_is_rehashed_between_slices_is_copied_whole() {
        let limits = Limits::default();
        let mut set = Set::new();
        for n in 0..MANY {
            set.add(&text(n), &limits);
        }
        let source = Value::Set(Box::new(set));
        let mut copying = begun(&source);
        let mut first = true;
        assert!(!copying.go_on(source.as_ref(), || std::mem::take(&mut first)));
        let Value::Set(mut set) = source else {
            unreachable!("it was made a set")
        };
        // Rehashing is to be under way: what makes it so is taken back.
        for n in MANY..4 * MANY {
            set.add(&text(n), &limits);
        }
        for n in MANY..4 * MANY {
            set.remove(&text(n));
        }
        let source = Value::Set(set);
        assert!(copying.go_on(source.as_ref(), || true));
        let Value::Set(copy) = copying.into_value() else {
            unreachable!("it is a copy of a set")
        };
        assert_eq!(copy.len(), MANY);
    }

    #[test]
    fn groups_of_a_stream_without_entries_are_copied_in_slices_also_if_they_change() {
        let mut stream = Stream::new();
        stream.groups = groups();
        let mut group = Group::default();
        group.add_consumer(b"c", 1, None);
        for n in 0..MANY {
            let delivery = Delivery {
                consumer: group.consumer_name(b"c").expect("added above"),
                at_ms: 1,
                count: 1,
            };
            group.deliver(StreamId::new(n as u64, 1), delivery);
        }
        stream.groups.insert(b"many".as_slice().into(), group);
        let mut source = Value::Stream(Box::new(stream));
        let Value::Stream(copy) = copied(&source) else {
            unreachable!("it is a copy of a stream")
        };
        let mut copying = begun(&source);
        let mut steps = 0..1000;
        assert!(!copying.go_on(source.as_ref(), || steps.next().is_some()));
        let Value::Stream(stream) = &mut source else {
            unreachable!("it was made a stream")
        };
        assert_eq!(format!("{:?}", copy.groups), format!("{:?}", stream.groups));
        let first = stream.groups.get_mut(b"first".as_slice());
        assert!(first.expect("it is there").acknowledge(StreamId::new(5, 1)));
        stream
            .log
            .set_history(StreamId::new(9, 9), 11, StreamId::MIN);
        assert!(copying.renew_groups().is_some());
        assert!(copying.go_on(source.as_ref(), || true));
        let (Value::Stream(copy), Value::Stream(stream)) = (copying.into_value(), source) else {
            unreachable!("both are streams")
        };
        assert_eq!(format!("{:?}", copy.groups), format!("{:?}", stream.groups));
        assert_eq!(copy.log.last_id(), StreamId::new(9, 9));
        assert_eq!(copy.log.entries_added(), 11);
    }

    #[test]
    fn what_is_small_is_not_divided() {
        let text = Value::Str(Str::Bytes(vec![b'x'; 1 << 20]));
        assert!(Plan::of(text.as_ref()).is_none());
        assert!(Plan::of(Value::Set(Box::default()).as_ref()).is_none());
    }
}
