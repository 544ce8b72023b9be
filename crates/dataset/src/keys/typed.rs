//! Typed lookups: the value at a key as the type that a command works on.

use super::{HOOK_EVENTS, Keys, push_event, touch};
use crate::notify::Event;
use commandtable::Error;
use keyspace::{
    Counted, Edit, EntryMut, Hash, HashRef, Limits, List, ListRef, Set, SetRef, StrRef, Stream,
    Value, ValueMut, ValueRef, ZSet, ZSetRef,
};

impl Keys {
    /// The string at `key`; `None` when there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    #[inline]
    pub fn string(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::Str(string)) => Ok(Some(string)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The bytes of the string at `key`, to be held on to where they are long enough to be counted. No look at the key that
    /// anybody counts.
    pub(crate) fn hold_string(&self, key: &[u8]) -> Option<Counted> {
        self.current().get(key).and_then(|entry| entry.counted())
    }

    /// A buffer for the `len` bytes that `key` is about to hold: that of the string which it holds now, if that fits and
    /// nobody else needs it. The key is to be put then, whatever happens. No look at it that anybody counts.
    pub(crate) fn take_buffer(&mut self, key: &[u8], len: usize) -> Vec<u8> {
        let entry = self.current_mut().get_mut(key);
        let buffer = entry.and_then(|mut entry| entry.string_take_buffer(len));
        buffer.unwrap_or_default()
    }

    /// The list at `key`, to read.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn list(&mut self, key: &[u8]) -> Result<Option<ListRef<'_>>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::List(list)) => Ok(Some(list)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The set at `key`, to read.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn set(&mut self, key: &[u8]) -> Result<Option<SetRef<'_>>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::Set(set)) => Ok(Some(set)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The hash at `key`, to read.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn hash(&mut self, key: &[u8]) -> Result<Option<HashRef<'_>>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The sorted set at `key`, to read.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn zset(&mut self, key: &[u8]) -> Result<Option<ZSetRef<'_>>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::ZSet(zset)) => Ok(Some(zset)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The list at `key`, to change; `None` when there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn list_mut(&mut self, key: &[u8]) -> Result<Option<Edit<'_, List>>, Error> {
        match self.write(key).map(EntryMut::into_value_mut) {
            None => Ok(None),
            Some(ValueMut::List(list)) => Ok(Some(list)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The set at `key`, to change.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn set_mut(&mut self, key: &[u8]) -> Result<Option<Edit<'_, Set>>, Error> {
        match self.write(key).map(EntryMut::into_value_mut) {
            None => Ok(None),
            Some(ValueMut::Set(set)) => Ok(Some(set)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The hash at `key`, to change.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn hash_mut(&mut self, key: &[u8]) -> Result<Option<Edit<'_, Hash>>, Error> {
        match self.write(key).map(EntryMut::into_value_mut) {
            None => Ok(None),
            Some(ValueMut::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The sorted set at `key`, to change.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn zset_mut(&mut self, key: &[u8]) -> Result<Option<Edit<'_, ZSet>>, Error> {
        match self.write(key).map(EntryMut::into_value_mut) {
            None => Ok(None),
            Some(ValueMut::ZSet(zset)) => Ok(Some(zset)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// As [`Self::list_mut`], together with the limits that say when its encoding changes.
    ///
    /// # Errors
    /// WRONGTYPE.
    #[inline]
    pub fn list_and_limits(
        &mut self,
        key: &[u8],
    ) -> Result<Option<(Edit<'_, List>, &Limits)>, Error> {
        self.expire_now(self.origin.db, key);
        let Some(entry) = self.dbs[self.origin.db].get_mut_hashed(self.ahead.hash(key), key) else {
            return Ok(None);
        };
        if self.origin.touches() {
            touch(&entry.entry(), self.access, &mut self.rng);
        }
        match entry.into_value_mut() {
            ValueMut::List(list) => Ok(Some((list, &self.limits))),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    /// The list at `key`, made if there is none. The caller must add to it, or remove the key again.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn list_or_new(&mut self, key: &[u8]) -> Result<(Edit<'_, List>, &Limits), Error> {
        let (entry, limits) = self.get_or_new(key, || Value::List(Box::new(List::new())));
        match entry.into_value_mut() {
            ValueMut::List(list) => Ok((list, limits)),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    /// The set at `key`, made by `new` if there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn set_or_new(
        &mut self,
        key: &[u8],
        new: impl FnOnce() -> Set,
    ) -> Result<(Edit<'_, Set>, &Limits), Error> {
        let (entry, limits) = self.get_or_new(key, || Value::Set(Box::new(new())));
        match entry.into_value_mut() {
            ValueMut::Set(set) => Ok((set, limits)),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    /// The hash at `key`, made if there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn hash_or_new(&mut self, key: &[u8]) -> Result<(Edit<'_, Hash>, &Limits), Error> {
        let (entry, limits) = self.get_or_new(key, || Value::Hash(Box::new(Hash::new())));
        match entry.into_value_mut() {
            ValueMut::Hash(hash) => Ok((hash, limits)),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    /// The sorted set at `key`, made by `new` if there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn zset_or_new(
        &mut self,
        key: &[u8],
        new: impl FnOnce() -> ZSet,
    ) -> Result<(Edit<'_, ZSet>, &Limits), Error> {
        let (entry, limits) = self.get_or_new(key, || Value::ZSet(Box::new(new())));
        match entry.into_value_mut() {
            ValueMut::ZSet(zset) => Ok((zset, limits)),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    fn get_or_new(&mut self, key: &[u8], new: impl FnOnce() -> Value) -> (EntryMut<'_>, &Limits) {
        self.expire_now(self.origin.db, key);
        let (entry, created) =
            self.dbs[self.origin.db].get_or_insert_with_hashed(self.ahead.hash(key), key, new);
        if created {
            entry.entry().set_clock(self.access.fresh());
            if self.hooks & HOOK_EVENTS != 0 {
                push_event(
                    &mut self.effects,
                    self.events_on,
                    Event::NEW,
                    self.origin.db,
                    key,
                );
            }
        } else if self.origin.touches() {
            touch(&entry.entry(), self.access, &mut self.rng);
        }
        (entry, &self.limits)
    }

    /// The stream at `key`, to read; `None` when there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn stream(&mut self, key: &[u8]) -> Result<Option<&Stream>, Error> {
        match self.read(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The stream at `key`, to change; `None` when there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn stream_mut(&mut self, key: &[u8]) -> Result<Option<&mut Stream>, Error> {
        self.renew_copied_groups(key);
        match self.write(key).map(EntryMut::into_value_mut) {
            None => Ok(None),
            Some(ValueMut::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    /// The stream at `key`, made if there is none. It may stay empty.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn stream_or_new(&mut self, key: &[u8]) -> Result<(&mut Stream, &keyspace::Limits), Error> {
        self.renew_copied_groups(key);
        let (entry, limits) = self.get_or_new(key, || Value::Stream(Box::new(Stream::new())));
        match entry.into_value_mut() {
            ValueMut::Stream(stream) => Ok((stream, limits)),
            _ => Err(Error::WRONG_TYPE),
        }
    }

    /// As [`Keys::changed`] for a change that leaves the entries as they are: neither WATCH nor waiting clients are
    /// concerned.
    pub fn changed_around_entries(&mut self, key: &[u8], event: Event, dirty: u64) {
        self.dirty += dirty;
        self.notify(event, key);
    }
}
