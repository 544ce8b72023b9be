//! A Lua value: sixteen bytes, copied freely.
//!
//! Strings, tables and functions are places in the arenas of a [`State`](crate::State). A place stays good as long as
//! the value can be reached from the state; the host keeps one alive with [`State::keep`](crate::State::keep).

/// Marks a place as that of a string which is not interned.
const LONG: u32 = 1 << 31;

/// A string. Two short strings are equal exactly when their places are; long ones are compared by bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringId {
    pub(crate) place: u32,
    /// The hash of a short string; 0 for a long one, whose hash is kept beside its bytes.
    pub(crate) hash: u32,
}

impl StringId {
    pub(crate) fn short(index: u32, hash: u32) -> Self {
        Self { place: index, hash }
    }

    pub(crate) fn long(index: u32) -> Self {
        Self {
            place: index | LONG,
            hash: 0,
        }
    }

    pub(crate) fn is_long(self) -> bool {
        self.place & LONG != 0
    }

    pub(crate) fn index(self) -> usize {
        (self.place & !LONG) as usize
    }
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub(crate) u32);

        impl $name {
            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

places! {
    /// A table.
    TableId;
    /// A function with variables or state of its own.
    FunctionId;
    /// A coroutine.
    ThreadId;
    /// What `newproxy` makes.
    UserDataId;
    /// A function of the library or of the host without state, by number.
    NativeId;
    /// A compiled function.
    ProtoId;
    /// A variable that closures share.
    UpvalueId;
}

/// A Lua value.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Nil,
    /// `true` or `false`.
    Boolean(bool),
    /// A double.
    Number(f64),
    /// A byte string.
    String(StringId),
    /// A table.
    Table(TableId),
    /// A Lua function, or a native one with state.
    Function(FunctionId),
    /// A native function without state.
    Native(NativeId),
    /// A coroutine.
    Thread(ThreadId),
    /// An opaque object with a metatable of its own.
    UserData(UserDataId),
    /// An opaque number of the host, of type `userdata` (`cjson.null` is one).
    Light(u32),
}

impl Value {
    /// Whether a condition takes it for true: all but `nil` and `false`.
    #[must_use]
    pub fn is_true(self) -> bool {
        !matches!(self, Self::Nil | Self::Boolean(false))
    }

    /// Whether it is `nil`.
    #[must_use]
    pub fn is_nil(self) -> bool {
        matches!(self, Self::Nil)
    }

    /// What `type` answers.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Table(_) => "table",
            Self::Function(_) | Self::Native(_) => "function",
            Self::Thread(_) => "thread",
            Self::UserData(_) | Self::Light(_) => "userdata",
        }
    }

    /// Equality by identity; right for all but two long strings, which [`crate::heap::Heap::raw_equal`] compares.
    pub(crate) fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a.place == b.place,
            (Self::Table(a), Self::Table(b)) => a == b,
            (Self::Function(a), Self::Function(b)) => a == b,
            (Self::Native(a), Self::Native(b)) => a == b,
            (Self::Thread(a), Self::Thread(b)) => a == b,
            (Self::UserData(a), Self::UserData(b)) => a == b,
            (Self::Light(a), Self::Light(b)) => a == b,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_sixteen_bytes() {
        assert_eq!(size_of::<Value>(), 16);
    }

    #[test]
    fn only_nil_and_false_are_not_true() {
        assert!(!Value::Nil.is_true() && !Value::Boolean(false).is_true());
        assert!(Value::Number(0.0).is_true() && Value::Boolean(true).is_true());
    }
}
