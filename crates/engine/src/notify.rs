//! Keyspace events: their classes, and the letters of `notify-keyspace-events`.

/// A set of event classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Classes(pub u32);

impl Classes {
    /// `K`: events are published under the key's name.
    pub const KEYSPACE: Classes = Classes(1);
    /// `E`: events are published under the event's name.
    pub const KEYEVENT: Classes = Classes(1 << 1);
    /// `g`: commands for any type.
    pub const GENERIC: Classes = Classes(1 << 2);
    /// `$`: strings.
    pub const STRING: Classes = Classes(1 << 3);
    /// `l`: lists.
    pub const LIST: Classes = Classes(1 << 4);
    /// `s`: sets.
    pub const SET: Classes = Classes(1 << 5);
    /// `h`: hashes.
    pub const HASH: Classes = Classes(1 << 6);
    /// `z`: sorted sets.
    pub const ZSET: Classes = Classes(1 << 7);
    /// `x`: keys that expired.
    pub const EXPIRED: Classes = Classes(1 << 8);
    /// `e`: keys that were evicted.
    pub const EVICTED: Classes = Classes(1 << 9);
    /// `t`: streams.
    pub const STREAM: Classes = Classes(1 << 10);
    /// `m`: reads that found nothing.
    pub const KEY_MISS: Classes = Classes(1 << 11);
    /// `d`: modules.
    pub const MODULE: Classes = Classes(1 << 13);
    /// `n`: keys that came into being.
    pub const NEW: Classes = Classes(1 << 14);

    /// True when any class of `other` is in.
    #[inline]
    #[must_use]
    pub fn has(self, other: Classes) -> bool {
        self.0 & other.0 != 0
    }
}

/// What happened to a key: the class that must be on, and the name it is published under.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The class.
    pub class: Classes,
    /// The event's name, such as `set`.
    pub name: &'static str,
}

impl Event {
    /// An event for any type.
    pub const fn generic(name: &'static str) -> Event {
        Event { class: Classes::GENERIC, name }
    }
    /// An event of strings.
    pub const fn string(name: &'static str) -> Event {
        Event { class: Classes::STRING, name }
    }
    /// An event of lists.
    pub const fn list(name: &'static str) -> Event {
        Event { class: Classes::LIST, name }
    }
    /// An event of sets.
    pub const fn set(name: &'static str) -> Event {
        Event { class: Classes::SET, name }
    }
    /// An event of hashes.
    pub const fn hash(name: &'static str) -> Event {
        Event { class: Classes::HASH, name }
    }
    /// An event of sorted sets.
    pub const fn zset(name: &'static str) -> Event {
        Event { class: Classes::ZSET, name }
    }

    /// `del`.
    pub const DEL: Event = Event::generic("del");
    /// `expire`.
    pub const EXPIRE: Event = Event::generic("expire");
    /// `persist`.
    pub const PERSIST: Event = Event::generic("persist");
    /// `expired`.
    pub const EXPIRED: Event = Event { class: Classes::EXPIRED, name: "expired" };
    /// `evicted`.
    pub const EVICTED: Event = Event { class: Classes::EVICTED, name: "evicted" };
    /// `new`.
    pub const NEW: Event = Event { class: Classes::NEW, name: "new" };
    /// `keymiss`.
    pub const KEY_MISS: Event = Event { class: Classes::KEY_MISS, name: "keymiss" };
}
