//! What a row of the parameter table says, and the macro that turns rows into [`Config`](super::Config).

/// The C type a number has in the reference, which fixes how its bounds are named in `config-8.0.1.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum C {
    /// `int`.
    Int,
    /// `unsigned int`.
    UInt,
    /// `unsigned long`.
    ULong,
    /// `size_t`.
    SizeT,
    /// `unsigned long long`.
    ULongLong,
    /// `long long`.
    LongLong,
    /// `off_t`.
    OffT,
    /// `time_t`.
    TimeT,
    /// `ssize_t`.
    SSizeT,
}

impl C {
    /// The name used in the fact file.
    pub const fn name(self) -> &'static str {
        match self {
            C::Int => "int",
            C::UInt => "uint",
            C::ULong => "ulong",
            C::SizeT => "sizet",
            C::ULongLong => "ulonglong",
            C::LongLong => "longlong",
            C::OffT => "offt",
            C::TimeT => "timet",
            C::SSizeT => "ssizet",
        }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A decimal integer.
    Plain,
    /// Bytes, with an optional unit such as `kb` or `g`.
    Memory,
    /// Bytes, or a percentage, which is stored negative.
    MemoryOrPercent,
    /// An octal integer.
    Octal,
}

/// What an empty text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// That the parameter has no value; CONFIG REWRITE then leaves it out.
    Unset,
    /// A value like any other.
    Value,
}

/// How text becomes a value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// An integer from `min` to `max`, both included.
    Number {
        /// Its type in the reference.
        c: C,
        /// How it is written.
        unit: Unit,
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
    },
    /// A name, path or address.
    Text(Empty),
    /// Text that may hold any byte.
    Bytes(Empty),
    /// One of these words, or several where the parameter is `MULTI_ARG`.
    Choice(&'static [&'static str]),
    /// A format of its own.
    Special,
}

impl Kind {
    /// The name of the type in the fact file.
    pub const fn name(&self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Number { c, .. } => c.name(),
            Kind::Text(_) => "string",
            Kind::Bytes(_) => "sds",
            Kind::Choice(_) => "enum",
            Kind::Special => "special",
        }
    }
}

pub(super) const fn number(c: C, min: i128, max: i128) -> Kind {
    Kind::Number {
        c,
        unit: Unit::Plain,
        min,
        max,
    }
}

pub(super) const fn memory(c: C, min: i128, max: i128) -> Kind {
    Kind::Number {
        c,
        unit: Unit::Memory,
        min,
        max,
    }
}

pub(super) const fn memory_or_percent(c: C, min: i128, max: i128) -> Kind {
    Kind::Number {
        c,
        unit: Unit::MemoryOrPercent,
        min,
        max,
    }
}

pub(super) const fn octal(c: C, min: i128, max: i128) -> Kind {
    Kind::Number {
        c,
        unit: Unit::Octal,
        min,
        max,
    }
}

/// Properties of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// CONFIG SET may change it.
    pub const MODIFIABLE: Self = Self(1);
    /// Only files and the command line set it.
    pub const IMMUTABLE: Self = Self(1 << 1);
    /// A secret: kept out of logs.
    pub const SENSITIVE: Self = Self(1 << 2);
    /// Left out of CONFIG GET unless asked for by its name.
    pub const HIDDEN: Self = Self(1 << 3);
    /// CONFIG SET needs `enable-protected-configs`.
    pub const PROTECTED: Self = Self(1 << 4);
    /// CONFIG SET is refused while a dataset is loading.
    pub const DENY_LOADING: Self = Self(1 << 5);
    /// Of interest to developers.
    pub const DEBUG: Self = Self(1 << 6);
    /// Its value is a list of words.
    pub const MULTI_ARG: Self = Self(1 << 7);
    /// Applied by CONFIG SET even if unchanged: what it names may have changed.
    pub const VOLATILE: Self = Self(1 << 8);

    /// Both sets of flags.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Which parameter this is.
    pub param: super::Param,
    /// Its name, lower-case.
    pub name: &'static str,
    /// Its older name.
    pub alias: Option<&'static str>,
    /// How its value is read and printed.
    pub kind: Kind,
    /// Its properties.
    pub flags: Flags,
    /// What it does, in one line; may start with a space.
    pub doc: &'static str,
}

/// Whether values come from files and the command line, or from CONFIG SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Lines are read one after the other; some parameters add up.
    Startup,
    /// A value replaces the one before.
    Runtime,
}

/// Turns rows into `Config`, `Param`, `TABLE` and the dispatch from a parameter to its field.
macro_rules! parameters {
    ($(
        #[doc = $doc:literal]
        $param:ident $field:ident: $type:ty = $default:expr,
        $name:literal $(| $alias:literal)?, $kind:expr, [$($flag:ident)+];
    )+) => {
        /// The value of every parameter, for hot code to read.
        ///
        /// Field names are the parameters' names with `_` for `-`. `Config::default()` holds the defaults.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $(#[doc = $doc] pub $field: $type,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        /// A parameter, as an index into [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Param {
            $(#[doc = $doc] $param,)+
        }

        /// All parameters, ordered by name.
        pub static TABLE: &[Row] = &[
            $(Row {
                param: Param::$param,
                name: $name,
                alias: { let alias: &[&'static str] = &[$($alias)?]; alias.first().copied() },
                kind: $kind,
                flags: Flags::NONE$(.and(Flags::$flag))+,
                doc: $doc,
            },)+
        ];

        impl Config {
            /// Puts the value that `args` spell into the field of `param`.
            pub(super) fn read(&mut self, param: Param, args: &[&[u8]], phase: Phase) -> Result<(), Problem> {
                let kind = &param.row().kind;
                match param {
                    $(Param::$param => self.$field = Setting::read(&self.$field, args, kind, phase)?,)+
                }
                Ok(())
            }

            /// The value of `param` as CONFIG GET prints it.
            pub fn print(&self, param: Param) -> Vec<u8> {
                let kind = &param.row().kind;
                match param {
                    $(Param::$param => Setting::print(&self.$field, kind),)+
                }
            }

            /// Whether `param` has the same value in both.
            pub fn same(&self, other: &Self, param: Param) -> bool {
                match param {
                    $(Param::$param => self.$field == other.$field,)+
                }
            }
        }
    };
}

pub(super) use parameters;
