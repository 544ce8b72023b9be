//! The bit sets of the command table: command flags, ACL categories, key flags, argument flags.
//!
//! Bits stand in the order in which the reference prints them, so that a reply is a walk from the
//! lowest bit to the highest. Source: replies of COMMAND INFO and ACL CAT of Valkey 8.0.1.

macro_rules! bit_set {
    (
        $(#[$doc:meta])*
        $set:ident($repr:ty) { $( $(#[$bit_doc:meta])* $bit:ident = $shift:literal, $name:literal; )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
        pub struct $set($repr);

        impl $set {
            $( $(#[$bit_doc])* pub const $bit: Self = Self(1 << $shift); )*

            /// The set without members.
            pub const NONE: Self = Self(0);

            /// Every member with its wire name, lowest bit first.
            pub const ALL: &'static [(Self, &'static str)] = &[ $( (Self::$bit, $name) ),* ];

            /// The bits, lowest first in the order of [`Self::ALL`].
            pub const fn bits(self) -> $repr {
                self.0
            }

            /// Members of either set.
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The members that are not in `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// True when every member of `other` is in this set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// True when the sets share a member.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Number of members.
            pub const fn len(self) -> usize {
                self.0.count_ones() as usize
            }

            /// True for the set without members.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The set with the one member of this wire name, whatever its case.
            pub fn by_name(name: &[u8]) -> Option<Self> {
                let (set, _) = Self::ALL.iter().find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name))?;
                Some(*set)
            }

            /// Wire names of the members, lowest bit first.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| *name)
            }
        }
    };
}

bit_set! {
    /// How a command may be used: the dispatcher's checks, each one bit.
    Flags(u64) {
        /// May change the dataset.
        WRITE = 0, "write";
        /// Reads keys and changes none.
        READONLY = 1, "readonly";
        /// Refused when memory is over `maxmemory`.
        DENYOOM = 2, "denyoom";
        /// Comes from a loaded module.
        MODULE = 3, "module";
        /// Administration; the dispatcher itself does not act on it, ACL categories do.
        ADMIN = 4, "admin";
        /// Publishes or subscribes; allowed while a RESP2 client is subscribed where it says so.
        PUBSUB = 5, "pubsub";
        /// Refused in scripts.
        NOSCRIPT = 6, "noscript";
        /// May block its client.
        BLOCKING = 7, "blocking";
        /// Served while the dataset is loading.
        LOADING = 8, "loading";
        /// Served by a replica that lost its primary with `replica-serve-stale-data no`.
        STALE = 9, "stale";
        /// Not shown to MONITOR.
        SKIP_MONITOR = 10, "skip_monitor";
        /// Not entered into the slow log.
        SKIP_SLOWLOG = 11, "skip_slowlog";
        /// Implies ASKING in cluster mode.
        ASKING = 12, "asking";
        /// Never slower than O(log n) in the size of a value.
        FAST = 13, "fast";
        /// Served before AUTH.
        NO_AUTH = 14, "no_auth";
        /// Not a write, yet may propagate something; held back by CLIENT PAUSE WRITE. Not printed.
        MAY_REPLICATE = 15, "may_replicate";
        /// Takes keys, and may be called with none.
        NO_MANDATORY_KEYS = 16, "no_mandatory_keys";
        /// Refused while a replica loads asynchronously.
        NO_ASYNC_LOADING = 17, "no_async_loading";
        /// Refused inside MULTI.
        NO_MULTI = 18, "no_multi";
        /// Key positions depend on the arguments: first, last and step do not tell all of them.
        MOVABLEKEYS = 19, "movablekeys";
        /// Served while a script has run past `busy-reply-threshold`.
        ALLOW_BUSY = 20, "allow_busy";
        /// Needs `enable-debug-command` or `enable-module-command`. Not printed.
        PROTECTED = 21, "protected";
        /// May delete expired keys that it does not name, which then propagate on their own,
        /// outside the transaction. Not printed.
        TOUCHES_ARBITRARY_KEYS = 22, "touches_arbitrary_keys";
    }
}

impl Flags {
    /// The flags that COMMAND INFO leaves out.
    pub const HIDDEN: Self = Self::MAY_REPLICATE
        .and(Self::PROTECTED)
        .and(Self::TOUCHES_ARBITRARY_KEYS);
}

bit_set! {
    /// The ACL categories of a command, implied ones included.
    AclCategories(u64) {
        /// Works on keys or databases whatever the type of the value.
        KEYSPACE = 0, "keyspace";
        /// Reads keys.
        READ = 1, "read";
        /// Writes keys.
        WRITE = 2, "write";
        /// Sets.
        SET = 3, "set";
        /// Sorted sets.
        SORTEDSET = 4, "sortedset";
        /// Lists.
        LIST = 5, "list";
        /// Hashes.
        HASH = 6, "hash";
        /// Strings.
        STRING = 7, "string";
        /// Bitmaps.
        BITMAP = 8, "bitmap";
        /// HyperLogLogs.
        HYPERLOGLOG = 9, "hyperloglog";
        /// Geospatial indexes.
        GEO = 10, "geo";
        /// Streams.
        STREAM = 11, "stream";
        /// Channels.
        PUBSUB = 12, "pubsub";
        /// Administration.
        ADMIN = 13, "admin";
        /// Has the flag [`Flags::FAST`].
        FAST = 14, "fast";
        /// Has it not.
        SLOW = 15, "slow";
        /// May block the client.
        BLOCKING = 16, "blocking";
        /// Can hurt: flushes, debugging, scans of everything.
        DANGEROUS = 17, "dangerous";
        /// About the connection or another client's.
        CONNECTION = 18, "connection";
        /// MULTI, EXEC, WATCH and their like.
        TRANSACTION = 19, "transaction";
        /// Scripts and functions.
        SCRIPTING = 20, "scripting";
    }
}

bit_set! {
    /// What a command does to a key: one of RO, RW, OW, RM for the value as a whole, then what
    /// happens to the user's data in it.
    KeyFlags(u16) {
        /// Reads the value, or its metadata, only.
        RO = 0, "RO";
        /// Reads and changes the value.
        RW = 1, "RW";
        /// Replaces the value without reading it.
        OW = 2, "OW";
        /// Removes the key.
        RM = 3, "RM";
        /// Returns or copies user data.
        ACCESS = 4, "access";
        /// Changes user data.
        UPDATE = 5, "update";
        /// Adds user data, changing and deleting none.
        INSERT = 6, "insert";
        /// Deletes user data.
        DELETE = 7, "delete";
        /// Looks like a key and is none, a shard channel for instance.
        NOT_KEY = 8, "not_key";
        /// The spec does not find all keys.
        INCOMPLETE = 9, "incomplete";
        /// The flags depend on the arguments.
        VARIABLE_FLAGS = 10, "variable_flags";
    }
}

bit_set! {
    /// How often an argument may stand.
    ArgFlags(u8) {
        /// May be left out.
        OPTIONAL = 0, "optional";
        /// May be repeated.
        MULTIPLE = 1, "multiple";
        /// Its token is repeated with it.
        MULTIPLE_TOKEN = 2, "multiple_token";
    }
}

bit_set! {
    /// Marks of a command's documentation.
    DocFlags(u8) {
        /// Kept for old clients; `replaced_by` says what to use.
        DEPRECATED = 0, "deprecated";
        /// Internal to the server.
        SYSCMD = 1, "syscmd";
    }
}
