//! Typed lookups of streams.

use super::Keys;
use crate::error::Error;
use crate::notify::Event;
use keyspace::{Entry, EntryMut, Stream, Value, ValueMut, ValueRef};

impl Keys {
    /// The stream at `key`, to read; `None` when there is none.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn stream(&mut self, key: &[u8]) -> Result<Option<&Stream>, Error> {
        match self.read(key).map(Entry::value) {
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
