//! A table: an array part for the keys 1, 2, 3 … and a hash part for all others.
//!
//! The hash part is a chained scatter table with Brent's variation, as "The Implementation of Lua 5.0" describes it: a
//! collision goes into a free node and is linked to the node where its key belongs; a node that stands in another's
//! place is moved away. Both parts are sized anew when no node is free, so that more than half of the array is in use.
//! This gives Lua 5.1's order of traversal and its borders.

pub(crate) mod growth;

use crate::remains::release_end;
use crate::strings::Strings;
use crate::value::{StringId, TableId, Value};

/// The end of a chain of nodes.
const END: u32 = u32::MAX;

/// The largest array part: 2 to this power.
const ARRAY_BITS_MAX: usize = 26;

/// Bytes that a table takes beside its parts.
pub(crate) const TABLE_BYTES: usize = size_of::<Table>() + 1;

#[derive(Clone, Copy)]
pub(crate) struct Node {
    pub(crate) key: Value,
    pub(crate) value: Value,
    next: u32,
}

const EMPTY: Node = Node {
    key: Value::Nil,
    value: Value::Nil,
    next: END,
};

#[derive(Default)]
pub(crate) struct Table {
    array: Vec<Value>,
    /// Empty, or a power of two of nodes.
    nodes: Vec<Node>,
    /// Nodes at and above this index have been given out.
    last_free: u32,
    pub(crate) metatable: Option<TableId>,
    /// Metamethods that this table, as a metatable, is known not to have: a bit each.
    pub(crate) absent: u16,
    pub(crate) readonly: bool,
    /// Whether `newproxy` made it as the metatable of a proxy.
    pub(crate) of_proxies: bool,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownKey;

/// The array index of a key, counted from 0.
fn array_index(number: f64) -> Option<usize> {
    let index = number as u32;
    (f64::from(index) == number && index > 0).then(|| index as usize - 1)
}

/// The power of two that holds an index: the smallest n with `index <= 2^n`, index counted from 1.
fn slice_of(index: usize) -> usize {
    (usize::BITS - (index - 1).leading_zeros()) as usize
}

/// Sizes that the two parts shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) array: usize,
    pub(crate) hash: usize,
}

/// Integer keys, counted per slice `2^(n-1) < key <= 2^n`.
#[derive(Default)]
struct Census {
    slices: [usize; ARRAY_BITS_MAX + 1],
    integers: usize,
    all: usize,
}

impl Census {
    fn count(&mut self, key: Value) {
        match key {
            Value::Number(number) => match array_index(number) {
                Some(index) => self.count_item(index),
                None => self.all += 1,
            },
            _ => self.all += 1,
        }
    }

    fn count_item(&mut self, index: usize) {
        self.all += 1;
        if index < 1 << ARRAY_BITS_MAX {
            self.slices[slice_of(index + 1)] += 1;
            self.integers += 1;
        }
    }

    /// The largest array of which more than half would be in use.
    fn plan(&self) -> Plan {
        let (mut array, mut inside) = (0, 0);
        let mut below = 0;
        for (bits, count) in self.slices.iter().enumerate() {
            let size = 1_usize << bits;
            if size / 2 >= self.integers {
                break;
            }
            below += count;
            if below > size / 2 {
                array = size;
                inside = below;
            }
        }
        Plan {
            array,
            hash: self.all - inside,
        }
    }
}

impl Table {
    /// A table with room for that many items and fields.
    pub(crate) fn with_room(array: usize, hash: usize) -> Self {
        let nodes = Self::node_count(hash);
        Self {
            array: vec![Value::Nil; array],
            nodes: vec![EMPTY; nodes],
            last_free: nodes as u32,
            ..Self::default()
        }
    }

    /// What [`Table::with_room`] takes, in bytes.
    pub(crate) fn room_bytes(array: usize, hash: usize) -> usize {
        array
            .saturating_mul(size_of::<Value>())
            .saturating_add(Self::node_count(hash).saturating_mul(size_of::<Node>()))
    }

    /// The nodes that so many fields take.
    fn node_count(hash: usize) -> usize {
        if hash == 0 {
            0
        } else {
            hash.next_power_of_two()
        }
    }

    /// Entries of both parts, empty ones too: what moving them takes.
    pub(crate) fn entries(&self) -> usize {
        self.array.len() + self.nodes.len()
    }

    /// Bytes of both parts.
    pub(crate) fn bytes(&self) -> usize {
        self.array.capacity() * size_of::<Value>() + self.nodes.capacity() * size_of::<Node>()
    }

    pub(crate) fn array(&self) -> &[Value] {
        &self.array
    }

    pub(crate) fn array_mut(&mut self) -> &mut [Value] {
        &mut self.array
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Both parts, for the collector, which clears what was weak.
    pub(crate) fn node_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.nodes.get_mut(index)
    }

    #[inline]
    fn string_place(&self, hash: u32) -> usize {
        hash as usize & (self.nodes.len() - 1)
    }

    /// The node where a key belongs.
    fn place(&self, key: Value, strings: &Strings) -> usize {
        let odd = u64::try_from((self.nodes.len() - 1) | 1).unwrap_or(1);
        let by_number = |number: u64| usize::try_from(number % odd).unwrap_or(0);
        match key {
            Value::Nil => 0,
            Value::Boolean(value) => usize::from(value) & (self.nodes.len() - 1),
            Value::String(id) => self.string_place(strings.hash(id)),
            Value::Number(number) => {
                if number == 0.0 {
                    return 0;
                }
                let bits = number.to_bits();
                let sum = (bits as u32).wrapping_add((bits >> 32) as u32);
                by_number(u64::from(sum))
            }
            // Where Lua takes an address, we take the place, spread a little.
            Value::Table(id) => by_number(u64::from(id.0) * 7 + 1),
            Value::Function(id) => by_number(u64::from(id.0) * 7 + 2),
            Value::Thread(id) => by_number(u64::from(id.0) * 7 + 3),
            Value::UserData(id) => by_number(u64::from(id.0) * 7 + 4),
            Value::Native(id) => by_number(u64::from(id.0) * 7 + 5),
            Value::Light(id) => by_number(u64::from(id) * 7 + 6),
        }
    }

    /// The value at a short string: what field access and globals use.
    #[inline]
    pub(crate) fn get_short(&self, id: StringId) -> Option<&Value> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut index = self.string_place(id.hash);
        loop {
            let node = &self.nodes[index];
            if let Value::String(key) = node.key
                && key.place == id.place
            {
                return Some(&node.value);
            }
            if node.next == END {
                return None;
            }
            index = node.next as usize;
        }
    }

    #[inline]
    pub(crate) fn get_short_mut(&mut self, id: StringId) -> Option<&mut Value> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut index = self.string_place(id.hash);
        loop {
            let node = &self.nodes[index];
            if let Value::String(key) = node.key
                && key.place == id.place
            {
                return Some(&mut self.nodes[index].value);
            }
            if node.next == END {
                return None;
            }
            index = node.next as usize;
        }
    }

    /// The item at a number, if it lies in the array part.
    #[inline]
    pub(crate) fn get_item(&self, number: f64) -> Option<&Value> {
        let index = number as u32;
        if f64::from(index) == number {
            return self.array.get((index as usize).wrapping_sub(1));
        }
        None
    }

    #[inline]
    pub(crate) fn get_item_mut(&mut self, number: f64) -> Option<&mut Value> {
        let index = number as u32;
        if f64::from(index) == number {
            return self.array.get_mut((index as usize).wrapping_sub(1));
        }
        None
    }

    /// The node of a key.
    fn find(&self, key: Value, strings: &Strings) -> Option<usize> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut index = self.place(key, strings);
        loop {
            let node = &self.nodes[index];
            let same = node.key.same(key)
                || matches!((key, node.key), (Value::String(a), Value::String(b)) if strings.may_equal(a, b) && strings.equal(a, b));
            if same {
                return Some(index);
            }
            if node.next == END {
                return None;
            }
            index = node.next as usize;
        }
    }

    /// The first node of the chain that a key belongs to.
    pub(crate) fn chain(&self, key: Value, strings: &Strings) -> Option<usize> {
        (!self.nodes.is_empty()).then(|| self.place(key, strings))
    }

    /// The key of a node, and the next one of its chain.
    pub(crate) fn link(&self, index: usize) -> (Value, Option<usize>) {
        let node = &self.nodes[index];
        (node.key, (node.next != END).then_some(node.next as usize))
    }

    /// The value at a key; nil if there is none. A long string must have its hash (see `Strings::prepare`).
    pub(crate) fn get(&self, key: Value, strings: &Strings) -> Value {
        match key {
            Value::Nil => Value::Nil,
            Value::String(id) if !id.is_long() => self.get_short(id).copied().unwrap_or_default(),
            Value::Number(number) => match self.get_item(number) {
                Some(value) => *value,
                None => self
                    .find(key, strings)
                    .map(|index| self.nodes[index].value)
                    .unwrap_or_default(),
            },
            _ => self
                .find(key, strings)
                .map(|index| self.nodes[index].value)
                .unwrap_or_default(),
        }
    }

    /// Where the value at a key stands, if the key has a place.
    pub(crate) fn slot(&mut self, key: Value, strings: &Strings) -> Option<&mut Value> {
        match key {
            Value::String(id) if !id.is_long() => self.get_short_mut(id),
            Value::Number(number) => {
                if self.get_item(number).is_some() {
                    return self.get_item_mut(number);
                }
                self.find(key, strings)
                    .map(|index| &mut self.nodes[index].value)
            }
            _ => self
                .find(key, strings)
                .map(|index| &mut self.nodes[index].value),
        }
    }

    /// The next node that was never used.
    fn free_node(&mut self) -> Option<usize> {
        while self.last_free > 0 {
            self.last_free -= 1;
            if self.nodes[self.last_free as usize].key.is_nil() {
                return Some(self.last_free as usize);
            }
        }
        None
    }

    /// Adds a key that has no place yet, is not nil and not NaN. False if no node is free for it.
    #[must_use]
    pub(crate) fn insert(&mut self, key: Value, value: Value, strings: &Strings) -> bool {
        if self.nodes.is_empty() {
            return false;
        }
        let home = self.place(key, strings);
        let node = Node {
            key,
            value,
            next: END,
        };
        // A home is free if it holds no value, even where an old key still stands in it for `next`.
        if self.nodes[home].value.is_nil() {
            self.nodes[home] = Node {
                next: self.nodes[home].next,
                ..node
            };
            return true;
        }
        let Some(free) = self.free_node() else {
            return false;
        };
        let (home_link, free_link) = (home as u32, free as u32);
        let other_home = self.place(self.nodes[home].key, strings);
        if other_home == home {
            self.nodes[free] = Node {
                next: self.nodes[home].next,
                ..node
            };
            self.nodes[home].next = free_link;
            return true;
        }
        let mut before = other_home;
        while self.nodes[before].next != home_link {
            before = self.nodes[before].next as usize;
        }
        self.nodes[before].next = free_link;
        self.nodes[free] = self.nodes[home];
        self.nodes[home] = node;
        true
    }

    /// The sizes that fit what is there and one more key.
    pub(crate) fn plan(&self, extra: Value) -> Plan {
        let mut census = Census::default();
        for (index, value) in self.array.iter().enumerate() {
            if !value.is_nil() {
                census.count_item(index);
            }
        }
        for node in &self.nodes {
            if !node.value.is_nil() {
                census.count(node.key);
            }
        }
        census.count(extra);
        census.plan()
    }

    /// Gives both parts new sizes; what no longer fits into the array goes into the hash part.
    pub(crate) fn resize(&mut self, array: usize, hash: usize, strings: &Strings) {
        let cut = if array < self.array.len() {
            self.array.split_off(array)
        } else {
            self.array.reserve_exact(array - self.array.len());
            self.array.resize(array, Value::Nil);
            Vec::new()
        };
        let count = Self::node_count(hash);
        let old = std::mem::replace(&mut self.nodes, vec![EMPTY; count]);
        self.last_free = count as u32;
        for (index, value) in cut.into_iter().enumerate() {
            if !value.is_nil() {
                self.move_in(Value::Number((array + index + 1) as f64), value, strings);
            }
        }
        self.array.shrink_to_fit();
        for node in old.iter().rev() {
            if !node.value.is_nil() {
                self.move_in(node.key, node.value, strings);
            }
        }
    }

    /// Puts down a key that was in this table before its parts got their sizes: it is there once, and has room.
    fn move_in(&mut self, key: Value, value: Value, strings: &Strings) {
        if let Value::Number(number) = key
            && let Some(item) = self.get_item_mut(number)
        {
            *item = value;
            return;
        }
        let placed = self.insert(key, value, strings);
        debug_assert!(placed, "a plan has a free node for each key");
    }

    /// Frees a piece of the parts; whether nothing is left.
    pub(crate) fn release(&mut self) -> bool {
        if self.nodes.is_empty() {
            release_end(&mut self.array)
        } else {
            release_end(&mut self.nodes);
            false
        }
    }

    /// Sets a key, growing where it must.
    pub(crate) fn put(&mut self, key: Value, value: Value, strings: &Strings) {
        if let Some(slot) = self.slot(key, strings) {
            *slot = value;
        } else if !self.insert(key, value, strings) {
            let plan = self.plan(key);
            self.resize(plan.array, plan.hash, strings);
            // A plan has room for its key: in the array part, or as a free node.
            match self.slot(key, strings) {
                Some(slot) => *slot = value,
                None => {
                    let placed = self.insert(key, value, strings);
                    debug_assert!(placed, "a plan has a free node for its key");
                }
            }
        }
    }

    /// A border: 0 if `t[1]` is nil, else some n with `t[n]` and not `t[n+1]`.
    pub(crate) fn border(&self, strings: &Strings) -> usize {
        let size = self.array.len();
        if size > 0 && self.array[size - 1].is_nil() {
            let (mut low, mut high) = (0, size);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if self.array[middle - 1].is_nil() {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            return low;
        }
        if self.nodes.is_empty() {
            return size;
        }
        self.border_beyond(size, strings)
    }

    /// A border at or past `low`, whose item is there: doubling, then halving.
    fn border_beyond(&self, mut low: usize, strings: &Strings) -> usize {
        let is_nil = |index: usize| self.get(Value::Number(index as f64), strings).is_nil();
        let mut high = low + 1;
        while !is_nil(high) {
            low = high;
            high *= 2;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_nil(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        low
    }

    /// The number of a key in the order of traversal, from which the next one is looked for.
    fn position(&self, key: Value, strings: &Strings) -> Result<usize, UnknownKey> {
        match key {
            Value::Nil => Ok(0),
            Value::Number(number)
                if array_index(number).is_some_and(|index| index < self.array.len()) =>
            {
                array_index(number).map(|index| index + 1).ok_or(UnknownKey)
            }
            _ => self
                .find(key, strings)
                .map(|index| self.array.len() + index + 1)
                .ok_or(UnknownKey),
        }
    }

    /// The pair after a key in the order of traversal.
    pub(crate) fn next(&self, key: Value, strings: &Strings) -> Result<Found, UnknownKey> {
        let start = self.position(key, strings)?;
        Ok(self.next_from(start))
    }

    /// The first pair at or after a number in the order of traversal, unless many places before it are empty.
    pub(crate) fn next_from(&self, start: usize) -> Found {
        let size = self.array.len();
        let end = self.entries().min(start.saturating_add(PASSED_AT_ONCE));
        for index in start..end.min(size) {
            if !self.array[index].is_nil() {
                return Found::Pair {
                    key: Value::Number((index + 1) as f64),
                    value: self.array[index],
                    after: index + 1,
                    passed: index - start,
                };
            }
        }
        for index in start.max(size)..end {
            let node = &self.nodes[index - size];
            if !node.value.is_nil() {
                return Found::Pair {
                    key: node.key,
                    value: node.value,
                    after: index + 1,
                    passed: index - start,
                };
            }
        }
        if end < self.entries() {
            Found::Nothing { after: end }
        } else {
            Found::End
        }
    }
}

/// What a step of a traversal leads to. Places count in the order of traversal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// A pair, the place after it, and how many empty ones were passed.
    Pair {
        key: Value,
        value: Value,
        after: usize,
        passed: usize,
    },
    /// No pair yet: the traversal goes on from here.
    Nothing { after: usize },
    /// The end.
    End,
}

/// Empty places that a step of a traversal passes at most.
const PASSED_AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: usize) -> Value {
        Value::Number(number as f64)
    }

    fn set(table: &mut Table, key: Value, value: Value, strings: &Strings) {
        table.put(key, value, strings);
    }

    #[test]
    fn items_move_into_the_array_part() {
        let strings = Strings::new(0);
        let mut table = Table::default();
        for index in 1..=100 {
            set(&mut table, number(index), number(index), &strings);
        }
        assert_eq!(table.border(&strings), 100);
        assert_eq!(table.array.len(), 64 * 2);
        assert!(table.array.len() - table.nodes.len() >= 64);
    }

    #[test]
    fn behaves_like_a_map() {
        let strings = Strings::new(0);
        let mut table = Table::default();
        let mut model = std::collections::BTreeMap::new();
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = ((seed >> 33) % 500) as usize;
            if (seed >> 60) < 6 {
                if let Some(slot) = table.slot(number(key), &strings) {
                    *slot = Value::Nil;
                }
                model.remove(&key);
            } else {
                set(&mut table, number(key), number(key * 2), &strings);
                model.insert(key, key * 2);
            }
        }
        for key in 0..500 {
            let found = table.get(number(key), &strings);
            match model.get(&key) {
                Some(value) => assert!(found.same(number(*value))),
                None => assert!(found.is_nil()),
            }
        }
        let mut key = Value::Nil;
        let mut seen = 0;
        while let Found::Pair { key: next, .. } = table.next(key, &strings).unwrap() {
            key = next;
            seen += 1;
        }
        assert_eq!(seen, model.len());
    }

    #[test]
    fn a_key_that_is_not_there_cannot_be_continued_from() {
        let strings = Strings::new(0);
        let table = Table::with_room(4, 4);
        assert_eq!(table.next(number(9), &strings).err(), Some(UnknownKey));
    }
}
