//! The hash table under everything: keys, set members, hash fields, sorted set members.
//!
//! Buckets are one cache line each:
//!
//! ```text
//!  bytes 0-8    one tag per slot: hash bits that do not choose the bucket; 0 where there is no item
//!  byte 9       whether the last slot is a link to a child bucket
//!  bytes 10-63  nine pointers of six bytes: items, or (last slot) the child bucket
//! ```
//!
//! A lookup reads one bucket, compares nine tags at once and follows only the matches, so a hit costs two cache misses and
//! a miss one. A full bucket moves its last item into a child of the same shape.
//!
//! As a slot is no pointer of the machine, items are not borrowed where they lie but by what their handles point to:
//! [`Item::Ref`].
//!
//! The table grows and shrinks in small steps: while two arrays exist, every bucket of the old one is either moved
//! or not, in index order, so that **each item has exactly one home** and no lookup probes two arrays.

#![allow(
    unsafe_code,
    reason = "cache-line buckets of tagged pointers and chains of them cannot be expressed as borrows"
)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, size_of};
use std::ptr::{self, NonNull};

pub(crate) use self::array::prefetch_address;
use self::array::{Array, Bucket, Place, SLOTS, Slots, tag_of};
use crate::Rng;
use crate::hashing::hash;
use crate::limits::RESERVE_MAX;

mod array;
mod pool;

/// Old buckets looked at per step, so that a run of empty ones does not make a step long.
const EMPTY_VISITS: usize = 16;
/// Up to so many buckets are moved in one go: a few microseconds, and small containers do not linger between two arrays.
const AT_ONCE: usize = 16;
/// The memory of an old array goes back in pieces of so many buckets, 1 MiB. Unit tests, whose tables are small, take fewer.
const PIECE: usize = if cfg!(test) { 8 } else { 1 << 14 };
/// While resizing is to be avoided, growth waits until there are this many items per slot.
const AVOID_FILL: usize = 4;
/// Random draws before [`Table::random`] settles for the next item it finds: only a nearly empty table gets there.
const RANDOM_TRIES: usize = 512;

/// Something a [`Table`] holds: an owned handle that is nothing but a pointer.
///
/// # Safety
/// [`Item::from_raw`] of what [`Item::into_raw`] gave is the same item again, and [`Item::borrow`] of it looks only at what
/// that item owns.
pub unsafe trait Item: Sized + 'static {
    /// The item, borrowed: what its pointer leads to.
    type Ref<'a>: Copy;

    /// Gives the item up.
    fn into_raw(self) -> NonNull<u8>;

    /// Takes an item back.
    ///
    /// # Safety
    /// The pointer came from [`Item::into_raw`], and nobody else takes the item back.
    unsafe fn from_raw(raw: NonNull<u8>) -> Self;

    /// Borrows an item that has been given up.
    ///
    /// # Safety
    /// The pointer came from [`Item::into_raw`]; for as long as `'a` the item is not taken back and not changed.
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> Self::Ref<'a>;

    /// What the item is found by. Must not change while the item is in a table.
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8];
}

/// A table in which lookups can be prepared, whatever it holds.
pub trait Prefetch {
    /// Starts loading the bucket that `h` leads to.
    fn bucket(&self, h: u64);
    /// Starts loading the items that the bucket may hold under `h`. Reads the bucket: ask for that well before.
    fn items(&self, h: u64);
}

impl<E: Item> Prefetch for Table<E> {
    fn bucket(&self, h: u64) {
        self.prefetch(h);
    }

    fn items(&self, h: u64) {
        self.prefetch_items(h);
    }
}

/// Whether a table may move memory around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resize {
    /// Grow, shrink and rehash as needed.
    #[default]
    Normal,
    /// A snapshot child shares our pages: touch as few as possible. Nothing moves and growth waits until buckets are
    /// very full.
    Avoid,
}

/// What a table looks like inside (DEBUG HTSTATS).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Items held.
    pub items: usize,
    /// Top-level buckets of the current array.
    pub buckets: usize,
    /// Top-level buckets of the array being moved to, 0 when none is.
    pub next_buckets: usize,
    /// Child buckets.
    pub children: usize,
    /// How many top-level buckets (index) have so many buckets in their chain; the last entry counts all longer ones.
    pub chain_lengths: [usize; 8],
}

/// A move of all items from the current array to another.
struct Rehash<E: Item> {
    /// Holds the items whose bucket index in the current array is `>= left`.
    to: Array<E>,
    /// Buckets of the current array that still hold their items: those in front. Of the others, those behind the next
    /// multiple of [`PIECE`] are no longer there.
    left: usize,
}

/// A hash table of owned items. 48 bytes: a small set or hash holds one of these or a listpack.
pub struct Table<E: Item> {
    /// While a rehash is under way, holds the items whose bucket index here is `< left`.
    cur: Array<E>,
    rehash: Option<Box<Rehash<E>>>,
    len: usize,
    /// No chain has ever had more child buckets than this.
    depth: u16,
    policy: Resize,
    fill: Fill,
    owns: PhantomData<E>,
}

// SAFETY: a table owns its items and buckets and shares nothing; it is as movable as its items are.
unsafe impl<E: Item + Send> Send for Table<E> {}
// SAFETY: `&Table` hands out borrowed items only and mutates nothing.
unsafe impl<E: Item + Sync> Sync for Table<E> {}

impl<E: Item> Default for Table<E> {
    fn default() -> Self {
        Table::new()
    }
}

impl<E: Item> fmt::Debug for Table<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Table {{ len: {}, buckets: {}+{} }}",
            self.len,
            self.cur.buckets,
            self.rehash.as_ref().map_or(0, |rehash| rehash.to.buckets)
        )
    }
}

/// How full a table becomes before it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// 7/8 of its slots: for tables that are looked up in all the time.
    Quick,
    /// 9/8 of its slots, so that every other bucket has a child in the end: a look-up costs a quarter of a cache miss more.
    Dense,
}

impl Fill {
    /// How many items an array of `buckets` takes before the table grows; all slots of a single bucket.
    fn capacity(self, buckets: usize) -> usize {
        match self {
            _ if buckets <= 1 => buckets * SLOTS,
            Fill::Quick => buckets * SLOTS * 7 / 8,
            Fill::Dense => buckets * SLOTS * 9 / 8,
        }
    }

    /// The smallest bucket count that takes `items`.
    fn buckets_for(self, items: usize) -> usize {
        let mut buckets = 1;
        while self.capacity(buckets) < items {
            buckets *= 2;
        }
        buckets
    }
}

impl<E: Item> Table<E> {
    /// An empty table; allocates nothing.
    pub const fn new() -> Self {
        Table {
            cur: Array::NONE,
            rehash: None,
            len: 0,
            depth: 0,
            policy: Resize::Normal,
            fill: Fill::Quick,
            owns: PhantomData,
        }
    }

    /// As [`Table::new`], of a table that is to be small rather than quick.
    pub const fn dense() -> Self {
        let mut table = Table::new();
        table.fill = Fill::Dense;
        table
    }

    /// Adds an item that is not in yet; the caller knows. `h` is the hash of its key.
    pub fn insert_new(&mut self, h: u64, item: E) -> E::Ref<'_> {
        self.insert_raw(h, item.into_raw()).into_ref()
    }

    fn insert_raw(&mut self, h: u64, item: NonNull<u8>) -> SlotMut<'_, E> {
        // SAFETY: given up by the caller, and not in the table yet.
        debug_assert!(self.find(h, E::key(unsafe { E::borrow(item) })).is_none());
        self.before_insert();
        self.len += 1;
        let (place, depth) = self.home_mut(h).put(h, tag_of(h), item);
        self.depth = self.depth.max(depth);
        SlotMut::new(place)
    }

    /// The item under `key`, made by `make` if there is none; and whether it was made.
    pub fn find_or_insert_with(
        &mut self,
        h: u64,
        key: &[u8],
        make: impl FnOnce() -> E,
    ) -> (SlotMut<'_, E>, bool) {
        if let Some(place) = self.locate(h, |item| same(E::key(item), key)) {
            return (SlotMut::new(place), false);
        }
        (self.insert_raw(h, make().into_raw()), true)
    }

    /// Takes the item under `key` out.
    pub fn remove(&mut self, h: u64, key: &[u8]) -> Option<E> {
        self.remove_by(h, |item| same(E::key(item), key))
    }

    /// Takes out the item of hash `h` that `is` accepts.
    pub fn remove_by(&mut self, h: u64, is: impl Fn(E::Ref<'_>) -> bool) -> Option<E> {
        let place = self.locate(h, is)?;
        let item = self.home_mut(h).take(h, &place);
        self.len -= 1;
        self.after_remove();
        // SAFETY: its slot has just been emptied: it is taken once.
        Some(unsafe { E::from_raw(item) })
    }

    /// The item under `key`, to be changed or replaced by one with the same key.
    #[inline]
    pub fn find_mut(&mut self, h: u64, key: &[u8]) -> Option<SlotMut<'_, E>> {
        self.find_mut_by(h, |item| same(E::key(item), key))
    }

    /// The item of hash `h` that `is` accepts.
    #[inline]
    pub fn find_mut_by(
        &mut self,
        h: u64,
        is: impl Fn(E::Ref<'_>) -> bool,
    ) -> Option<SlotMut<'_, E>> {
        self.locate(h, is).map(SlotMut::new)
    }

    /// Does timer work: moves up to `buckets` buckets, and starts shrinking when sparse. `true` while there is more.
    pub fn rehash_for(&mut self, buckets: usize) -> bool {
        if self.policy == Resize::Avoid {
            return false;
        }
        self.maybe_shrink();
        let mut left = buckets;
        while left > 0 && self.is_rehashing() {
            self.step();
            left -= 1;
        }
        self.is_rehashing()
    }

    /// Sets the resizing policy.
    pub fn set_resize(&mut self, policy: Resize) {
        self.policy = policy;
    }

    /// Makes room for `items` in all, so that loading that many moves nothing. Only a hint: beyond [`RESERVE_MAX`] the
    /// table grows as items come.
    pub fn reserve(&mut self, items: usize) {
        while self.is_rehashing() {
            self.step();
        }
        let buckets = self.fill.buckets_for(items.min(RESERVE_MAX));
        if buckets > self.cur.buckets {
            self.start_resize(buckets);
            while self.is_rehashing() {
                self.step();
            }
        }
    }

    /// Drops every item.
    pub fn clear(&mut self) {
        self.drain(drop);
    }

    /// The item under `key`; `h` is the key's hash.
    #[inline]
    pub fn find(&self, h: u64, key: &[u8]) -> Option<E::Ref<'_>> {
        let place = self.locate(h, |item| same(E::key(item), key))?;
        // SAFETY: `locate` returns places of this table that hold items; the borrow of `self` keeps them.
        Some(unsafe { item_of(&*place.bucket, place.slot) })
    }

    /// Starts loading the bucket that `h` leads to.
    #[inline]
    pub fn prefetch(&self, h: u64) {
        if self.len > 0 {
            prefetch_address(self.home(h).bucket(h as usize).cast());
        }
    }

    /// Starts loading the items that the bucket of `h` may hold under it. Reads the bucket: call [`Table::prefetch`] well before.
    #[inline]
    pub fn prefetch_items(&self, h: u64) {
        if self.len == 0 {
            return;
        }
        // SAFETY: the home bucket of a table with buckets.
        let bucket = unsafe { &*self.home(h).bucket(h as usize) };
        for slot in Slots(bucket.with_tag(tag_of(h))) {
            prefetch_address(bucket.pointer(slot).as_ptr());
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    fn next_buckets(&self) -> usize {
        self.rehash.as_ref().map_or(0, |rehash| rehash.to.buckets)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether two arrays exist.
    pub fn is_rehashing(&self) -> bool {
        self.rehash.is_some()
    }

    /// While a rehash is under way, the bytes of the buckets it empties.
    pub fn rehashing_bytes(&self) -> Option<usize> {
        self.is_rehashing()
            .then_some(self.held() * size_of::<Bucket<E>>())
    }

    /// Bytes of the table itself, without its items.
    pub fn memory_bytes(&self) -> usize {
        (self.held() + self.next_buckets() + self.children()) * size_of::<Bucket<E>>()
    }

    /// A look inside, walking every bucket.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            items: self.len,
            buckets: self.cur.buckets,
            next_buckets: self.next_buckets(),
            children: self.children(),
            ..Stats::default()
        };
        for nth in 0..self.universe() {
            // SAFETY: `nth_bucket` returns buckets of this table.
            let mut bucket = unsafe { &*self.nth_bucket(nth) };
            let mut length = usize::from(bucket.items() > 0);
            while let Some(child) = bucket.child() {
                length += 1;
                // SAFETY: a link of our chain.
                bucket = unsafe { &*child };
            }
            stats.chain_lengths[length.min(7)] += 1;
        }
        stats
    }

    /// All items, in no order.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter {
            table: self,
            nth: 0,
            bucket: ptr::null(),
            used: Slots(0),
        }
    }

    /// One step of an iteration that survives any change of the table between steps. Start at cursor 0; each call
    /// emits whole chains and returns the next cursor, 0 at the end. An item that is in the table from the first to
    /// the last step is emitted at least once, however often the table grows and shrinks meanwhile.
    ///
    /// The cursor counts on the *reversed* low bits of the bucket index, so the buckets still to come after a change
    /// of size are exactly the images of those to come before. While two arrays exist, a step visits the bucket of
    /// the smaller one and all its images in the larger one.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(E::Ref<'_>)) -> u64 {
        if self.cur.buckets == 0 {
            return 0;
        }
        let (small, large) = match &self.rehash {
            None => (&self.cur, &self.cur),
            Some(rehash) if self.cur.buckets <= rehash.to.buckets => (&self.cur, &rehash.to),
            Some(rehash) => (&rehash.to, &self.cur),
        };
        let (small_mask, large_mask) = (small.buckets as u64 - 1, large.buckets as u64 - 1);
        let mut v = cursor;
        if self.rehash.is_none() {
            // Reversed bits make each bucket far from the one before: the next ones are fetched while this one is emitted.
            let next = next_cursor(v, small_mask);
            let after = next_cursor(next, small_mask);
            prefetch_address(small.bucket((after & small_mask) as usize).cast());
            // SAFETY: a bucket of `cur`, only read.
            unsafe { (*small.bucket((next & small_mask) as usize)).prefetch_items() };
            self.emit_chain(small.bucket((v & small_mask) as usize), f);
            return next;
        }
        self.emit_bucket(small, (v & small_mask) as usize, f);
        loop {
            self.emit_bucket(large, (v & large_mask) as usize, f);
            v = next_cursor(v, large_mask);
            if v & (small_mask ^ large_mask) == 0 {
                return v;
            }
        }
    }

    /// A random item, each with the same probability.
    ///
    /// Draws a bucket and a position in its longest possible chain until the position holds an item, so a crowded
    /// bucket is neither preferred nor neglected.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<E::Ref<'_>> {
        if self.len == 0 {
            return None;
        }
        let universe = self.universe();
        let positions = (SLOTS * (self.depth as usize + 1)) as u64;
        for _ in 0..RANDOM_TRIES {
            let nth = rng.below(universe as u64) as usize;
            let mut position = rng.below(positions) as usize;
            let mut link = Some(self.nth_bucket(nth));
            while let Some(bucket) = link {
                // SAFETY: a bucket of this table, then links of its chain.
                let bucket = unsafe { &*bucket };
                if position < bucket.items() {
                    let slot = Slots(bucket.used()).nth(position)?;
                    // SAFETY: the slot is in use.
                    return Some(unsafe { item_of(bucket, slot) });
                }
                position -= bucket.items();
                link = bucket.child();
            }
        }
        self.random_slow(rng)
    }

    /// Up to `n` items from neighbouring buckets at a random place: cheap, and random enough for eviction.
    pub fn sample<'a>(&'a self, rng: &mut dyn Rng, n: usize, f: &mut dyn FnMut(E::Ref<'a>)) {
        let universe = self.universe();
        if self.len == 0 {
            return;
        }
        let mut left = n.min(self.len);
        let start = rng.below(universe as u64) as usize;
        for step in 0..universe {
            let mut link = Some(self.nth_bucket((start + step) % universe));
            while let Some(bucket) = link {
                // SAFETY: a bucket of this table, then links of its chain.
                let bucket = unsafe { &*bucket };
                for slot in Slots(bucket.used()) {
                    if left == 0 {
                        return;
                    }
                    // SAFETY: the slot is in use.
                    f(unsafe { item_of(bucket, slot) });
                    left -= 1;
                }
                link = bucket.child();
            }
        }
    }

    /// The item after a random place. Not fair; for tables with next to nothing in many buckets.
    #[cold]
    fn random_slow(&self, rng: &mut dyn Rng) -> Option<E::Ref<'_>> {
        let mut found = None;
        self.sample(rng, 1, &mut |item| found = Some(item));
        found
    }

    /// Buckets of `cur` that may hold items.
    fn left(&self) -> usize {
        let rehash = self.rehash.as_ref();
        rehash.map_or(self.cur.buckets, |rehash| rehash.left)
    }

    /// Buckets of `cur` whose memory has not been given back.
    fn held(&self) -> usize {
        self.left().next_multiple_of(PIECE).min(self.cur.buckets)
    }

    /// How many buckets may hold items: the unmoved ones of `cur` and all of the array moved to.
    fn universe(&self) -> usize {
        self.left() + self.next_buckets()
    }

    /// The `n`-th of those buckets.
    fn nth_bucket(&self, n: usize) -> *mut Bucket<E> {
        let Some(rehash) = &self.rehash else {
            return self.cur.bucket(n);
        };
        if n < rehash.left {
            self.cur.bucket(n)
        } else {
            rehash.to.bucket(n - rehash.left)
        }
    }

    fn children(&self) -> usize {
        let next = self.rehash.as_ref();
        self.cur.children() + next.map_or(0, |rehash| rehash.to.children())
    }

    /// The one array where an item of hash `h` may be. The table has buckets.
    #[inline]
    fn home(&self, h: u64) -> &Array<E> {
        match &self.rehash {
            Some(rehash) if (h as usize & (self.cur.buckets - 1)) >= rehash.left => &rehash.to,
            _ => &self.cur,
        }
    }

    /// As [`Self::home`], to be changed.
    #[inline]
    fn home_mut(&mut self, h: u64) -> &mut Array<E> {
        match &mut self.rehash {
            Some(rehash) if (h as usize & (self.cur.buckets - 1)) >= rehash.left => &mut rehash.to,
            _ => &mut self.cur,
        }
    }

    #[inline]
    fn locate(&self, h: u64, is: impl Fn(E::Ref<'_>) -> bool) -> Option<Place<E>> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.home(h).bucket(h as usize);
        loop {
            // SAFETY: the home bucket, then links of its chain: live buckets of this table.
            let bucket = unsafe { &*at };
            for slot in Slots(bucket.with_tag(tag_of(h))) {
                // SAFETY: a slot with a tag is in use.
                if is(unsafe { item_of(bucket, slot) }) {
                    return Some(Place { bucket: at, slot });
                }
            }
            at = bucket.child()?;
        }
    }

    fn before_insert(&mut self) {
        if self.cur.buckets == 0 {
            self.cur = Array::alloc(1);
            return;
        }
        // The smaller array of the two is the one that gets crowded while nothing moves.
        let smaller = self.rehash.as_ref().map_or(self.cur.buckets, |rehash| {
            rehash.to.buckets.min(self.cur.buckets)
        });
        let may_move = self.policy == Resize::Normal || self.len >= smaller * SLOTS * AVOID_FILL;
        if self.is_rehashing() {
            if may_move {
                self.step();
            }
        } else if may_move && self.len >= self.fill.capacity(self.cur.buckets) {
            self.start_resize(self.fill.buckets_for(self.len + 1));
            self.step();
        }
    }

    fn after_remove(&mut self) {
        if self.policy == Resize::Avoid {
            return;
        }
        if self.is_rehashing() {
            self.step();
        } else {
            self.maybe_shrink();
        }
    }

    /// Starts shrinking when less than an eighth of the slots is used.
    fn maybe_shrink(&mut self) {
        if !self.is_rehashing() && self.cur.buckets > 1 && self.len < self.cur.buckets * SLOTS / 8 {
            self.start_resize(self.fill.buckets_for(self.len * 2));
        }
    }

    fn start_resize(&mut self, buckets: usize) {
        debug_assert!(!self.is_rehashing());
        if self.len == 0 {
            let old = self.cur.buckets;
            // SAFETY: without a rehash all buckets are there, and without items they are empty.
            unsafe { std::mem::replace(&mut self.cur, Array::alloc(buckets)).shrink(old, 0) };
            self.depth = 0;
            return;
        }
        let at_once = self.cur.buckets <= AT_ONCE;
        self.rehash = Some(Box::new(Rehash {
            to: Array::alloc(buckets),
            left: self.cur.buckets,
        }));
        while at_once && self.is_rehashing() {
            self.step();
        }
    }

    /// Moves the next old bucket that holds anything, looking at no more than [`EMPTY_VISITS`]. The last bucket goes first,
    /// so that the old array can be given back from its end: a large one all at once takes milliseconds.
    fn step(&mut self) {
        for _ in 0..EMPTY_VISITS {
            let held = self.held();
            let Some(Rehash { to, left }) = self.rehash.as_deref_mut() else {
                return;
            };
            *left -= 1;
            let at = *left;
            if at > 0 {
                // SAFETY: a bucket of `cur`, only read.
                unsafe { (*self.cur.bucket(at - 1)).prefetch_items() };
            }
            let mut deepest = self.depth;
            let any = self.cur.empty_chain(at, |tag, item| {
                // SAFETY: the item is on its way from one array to the other.
                let h = hash(E::key(unsafe { E::borrow(item) }));
                let (_, depth) = to.put(h, tag, item);
                deepest = deepest.max(depth);
            });
            self.depth = deepest;
            if at.is_multiple_of(PIECE) {
                // SAFETY: so many are there, and those from `at` on hold nothing: none is looked at again.
                unsafe { self.cur.shrink(held, at) };
            }
            if at == 0
                && let Some(rehash) = self.rehash.take()
            {
                self.cur = rehash.to;
            }
            if any {
                return;
            }
        }
    }

    /// Emits bucket `index` of one of the arrays. Buckets of `cur` that have been moved hold nothing, if they are there.
    fn emit_bucket(&self, array: &Array<E>, index: usize, f: &mut dyn FnMut(E::Ref<'_>)) {
        if !ptr::eq(array, &self.cur) || index < self.left() {
            self.emit_chain(array.bucket(index), f);
        }
    }

    fn emit_chain(&self, head: *mut Bucket<E>, f: &mut dyn FnMut(E::Ref<'_>)) {
        let mut link = Some(head);
        while let Some(bucket) = link {
            // SAFETY: a bucket of this table, then links of its chain.
            let bucket = unsafe { &*bucket };
            for slot in Slots(bucket.used()) {
                // SAFETY: the slot is in use.
                f(unsafe { item_of(bucket, slot) });
            }
            link = bucket.child();
        }
    }
}

impl<E: Item> Table<E> {
    /// Empties the table, giving every item to `f`.
    pub fn drain(&mut self, mut f: impl FnMut(E)) {
        let (left, held) = (self.left(), self.held());
        let to = self.rehash.take().map_or(Array::NONE, |rehash| rehash.to);
        let all = to.buckets;
        let cur = std::mem::replace(&mut self.cur, Array::NONE);
        (self.len, self.depth) = (0, 0);
        for (mut array, left, held) in [(cur, left, held), (to, all, all)] {
            for index in 0..left {
                // SAFETY: its slot has just been emptied: it is taken once.
                array.empty_chain(index, |_, item| f(unsafe { E::from_raw(item) }));
            }
            // SAFETY: so many are there, and nothing is left in them.
            unsafe { array.shrink(held, 0) };
        }
    }
}

impl<E: Item> Drop for Table<E> {
    fn drop(&mut self) {
        self.drain(drop);
    }
}

/// The item in a slot.
///
/// # Safety
/// The slot holds an item, which stays and is not changed for as long as `'a`.
#[inline]
unsafe fn item_of<'a, E: Item>(bucket: &Bucket<E>, slot: usize) -> E::Ref<'a> {
    // SAFETY: what is in a slot came from `into_raw`; the rest is the caller's word.
    unsafe { E::borrow(bucket.pointer(slot)) }
}

/// A slot that holds an item: the item may be changed, or replaced by one with the same key.
pub struct SlotMut<'a, E: Item> {
    place: Place<E>,
    table: PhantomData<&'a mut Table<E>>,
}

impl<E: Item> fmt::Debug for SlotMut<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotMut({})", self.place.slot)
    }
}

impl<'a, E: Item> SlotMut<'a, E> {
    /// For a place that holds an item, of a table that is borrowed exclusively for as long as `'a`.
    fn new(place: Place<E>) -> Self {
        SlotMut {
            place,
            table: PhantomData,
        }
    }

    /// The item.
    #[inline]
    pub fn get(&self) -> E::Ref<'_> {
        // SAFETY: the place holds an item, which we alone could change.
        unsafe { item_of(&*self.place.bucket, self.place.slot) }
    }

    /// The item, for as long as the table is borrowed.
    #[inline]
    pub fn into_ref(self) -> E::Ref<'a> {
        // SAFETY: as in `get`; who could change the item is gone.
        unsafe { item_of(&*self.place.bucket, self.place.slot) }
    }

    /// What the handle of the item is.
    #[inline]
    pub(crate) fn raw(&self) -> NonNull<u8> {
        // SAFETY: a bucket of the table.
        unsafe { (*self.place.bucket).pointer(self.place.slot) }
    }

    /// Changes the item, which may become another one.
    #[inline]
    pub fn update<R>(&mut self, f: impl FnOnce(&mut E) -> R) -> R {
        /// Puts the item back, also when the change panics.
        struct Back<'b, E: Item>(&'b Place<E>, ManuallyDrop<E>);
        impl<E: Item> Drop for Back<'_, E> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: the item is not used after this; the bucket is one of the table, which is borrowed exclusively.
                unsafe {
                    let item = ManuallyDrop::take(&mut self.1).into_raw();
                    (*self.0.bucket).set_pointer(self.0.slot, item);
                }
            }
        }
        // SAFETY: the item is taken out of its slot, which is not looked at before it is put back.
        let item = unsafe { E::from_raw(self.raw()) };
        let mut back = Back(&self.place, ManuallyDrop::new(item));
        f(&mut back.1)
    }
}

/// `a == b`, without a call for the usual short key.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() || a.len() < 8 || a.len() > 64 {
        return a == b;
    }
    // The last eight bytes are part of the word before, unless the words end with them.
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    a.last_chunk::<8>() == b.last_chunk::<8>() && words.into_iter().all(|(a, b)| a == b)
}

/// Adds one to the reversed bits of `cursor` under `mask`.
fn next_cursor(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask)
        .reverse_bits()
        .wrapping_add(1)
        .reverse_bits()
}

/// Estimates the sum of `size` over all items from at most `samples` of them (0: all).
pub(crate) fn estimate<E: Item>(
    table: &Table<E>,
    samples: usize,
    size: impl Fn(E::Ref<'_>) -> usize,
) -> usize {
    let count = if samples == 0 {
        table.len()
    } else {
        samples.min(table.len())
    };
    let sum: usize = table.iter().take(count).map(size).sum();
    if count == 0 {
        0
    } else {
        (sum as u128 * table.len() as u128 / count as u128) as usize
    }
}

/// Iterator over all items of a [`Table`].
pub struct Iter<'a, E: Item> {
    table: &'a Table<E>,
    nth: usize,
    bucket: *const Bucket<E>,
    used: Slots,
}

impl<E: Item> fmt::Debug for Iter<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iter {{ nth: {} }}", self.nth)
    }
}

impl<'a, E: Item> Iterator for Iter<'a, E> {
    type Item = E::Ref<'a>;

    fn next(&mut self) -> Option<E::Ref<'a>> {
        loop {
            if let Some(slot) = self.used.next() {
                // SAFETY: the slot is in use, and the borrow of the table keeps the item.
                return Some(unsafe { item_of(&*self.bucket, slot) });
            }
            // SAFETY: null, or a bucket of the table, which the borrow keeps unchanged.
            let link = unsafe { self.bucket.as_ref() }.and_then(Bucket::child);
            let at = match link {
                Some(child) => child,
                None => {
                    if self.nth >= self.table.universe() {
                        return None;
                    }
                    // The items behind the next bucket are the cache misses of a walk.
                    if self.nth + 1 < self.table.universe() {
                        // SAFETY: `nth_bucket` returns buckets of the table.
                        unsafe { (*self.table.nth_bucket(self.nth + 1)).prefetch_items() };
                    }
                    self.nth += 1;
                    self.table.nth_bucket(self.nth - 1)
                }
            };
            self.bucket = at;
            // SAFETY: a bucket of the table.
            self.used = Slots(unsafe { (*at).used() });
        }
    }
}

#[cfg(test)]
mod tests;
