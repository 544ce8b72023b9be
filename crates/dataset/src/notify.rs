//! Keyspace events: what can happen to a key, and under which name and class it is published.

pub use words::events::Classes;

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
        Event {
            class: Classes::GENERIC,
            name,
        }
    }
    /// An event of strings.
    pub const fn string(name: &'static str) -> Event {
        Event {
            class: Classes::STRING,
            name,
        }
    }
    /// An event of lists.
    pub const fn list(name: &'static str) -> Event {
        Event {
            class: Classes::LIST,
            name,
        }
    }
    /// An event of sets.
    pub const fn set(name: &'static str) -> Event {
        Event {
            class: Classes::SET,
            name,
        }
    }
    /// An event of hashes.
    pub const fn hash(name: &'static str) -> Event {
        Event {
            class: Classes::HASH,
            name,
        }
    }
    /// An event of sorted sets.
    pub const fn zset(name: &'static str) -> Event {
        Event {
            class: Classes::ZSET,
            name,
        }
    }

    /// An event of streams.
    pub const fn stream(name: &'static str) -> Event {
        Event {
            class: Classes::STREAM,
            name,
        }
    }

    /// `del`.
    pub const DEL: Event = Event::generic("del");
    /// `expire`.
    pub const EXPIRE: Event = Event::generic("expire");
    /// `persist`.
    pub const PERSIST: Event = Event::generic("persist");
    /// `expired`.
    pub const EXPIRED: Event = Event {
        class: Classes::EXPIRED,
        name: "expired",
    };
    /// `evicted`.
    pub const EVICTED: Event = Event {
        class: Classes::EVICTED,
        name: "evicted",
    };
    /// `new`.
    pub const NEW: Event = Event {
        class: Classes::NEW,
        name: "new",
    };
    /// `keymiss`.
    pub const KEY_MISS: Event = Event {
        class: Classes::KEY_MISS,
        name: "keymiss",
    };
}
