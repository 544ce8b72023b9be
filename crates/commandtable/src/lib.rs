//! The command table: everything the server knows of a command, before and without running it.
//!
//! The facts come from `data/commands.json`, which `build.rs` turns into plain statics. Nothing
//! here knows how a command works; handlers and statistics are arrays indexed by [`CommandInfo::id`].

#![forbid(unsafe_code)]

mod error;
mod flags;
mod fold;
mod keys;
mod names;
mod table;

pub use error::{Error, Outcome};
pub use flags::{AclCategories, ArgFlags, DocFlags, Flags, KeyFlags};
pub use keys::{KeyRef, KeyRefs, KeysError, keys};
pub use names::{Names, RenameError};
pub use table::{COMMANDS, COUNT, by_id, find, find_full};

use fold::Folded;

/// Names up to this many bytes are told apart by their folded words and their length.
const FOLDED_WHOLE_MAX: usize = 16;

/// What is known of a command or of a subcommand.
#[derive(Debug)]
pub struct CommandInfo {
    /// Dense index over all commands and subcommands, `0 <= id < COUNT`. Top-level commands come
    /// first, in the order of [`COMMANDS`].
    pub id: u16,
    /// Lower case; a subcommand by its own name, `get` for CONFIG GET.
    pub name: &'static str,
    /// Lower case; a subcommand with its container, `config|get`.
    pub full_name: &'static str,
    folded: Folded,
    /// Number of arguments, the names of the command and subcommand included; negative means at
    /// least that many.
    pub arity: i32,
    /// The dispatcher's checks.
    pub flags: Flags,
    /// ACL categories, implied ones included.
    pub acl: AclCategories,
    /// Index of the first key as COMMAND INFO prints it; 0 for no key at a fixed place.
    pub first_key: i32,
    /// Index of the last key; negative counts from the end, -1 being the last argument.
    pub last_key: i32,
    /// Distance from one key to the next; 0 when there is none.
    pub step: i32,
    /// How to find the keys in the arguments.
    pub key_specs: &'static [KeySpec],
    /// Finds the keys where the specs alone cannot.
    key_grammar: Option<KeyGrammar>,
    /// The commands inside a container, by name; empty for others.
    pub subcommands: &'static [CommandInfo],
    /// What COMMAND DOCS says.
    pub docs: &'static Docs,
}

/// The documentation of a command, kept off the cache lines that the dispatcher reads.
#[derive(Debug)]
pub struct Docs {
    /// One or two sentences.
    pub summary: &'static str,
    /// The reference does not have it.
    pub own: bool,
    /// The arity as COMMAND tells it: that of the reference, also where we take more.
    pub arity: i32,
    /// Version that brought the command.
    pub since: &'static str,
    /// Section of the command reference.
    pub group: &'static str,
    /// Time complexity; empty when there is nothing to say.
    pub complexity: &'static str,
    /// Hints for clients and proxies, such as `request_policy:all_shards`.
    pub tips: &'static [&'static str],
    /// Version and what it changed, oldest first.
    pub history: &'static [(&'static str, &'static str)],
    /// Marks such as deprecation.
    pub flags: DocFlags,
    /// Version that deprecated the command.
    pub deprecated_since: Option<&'static str>,
    /// What to use in its place.
    pub replaced_by: Option<&'static str>,
    /// The arguments in order.
    pub args: &'static [Arg],
}

/// One argument, or a group of them, in a command's grammar.
#[derive(Debug)]
pub struct Arg {
    /// Name, unique among its siblings.
    pub name: &'static str,
    /// What may stand there.
    pub kind: ArgKind,
    /// What a help text shows; none for groups.
    pub display_text: Option<&'static str>,
    /// Index of the key spec that finds it, for keys.
    pub key_spec_index: Option<u8>,
    /// The literal word before the argument.
    pub token: Option<&'static str>,
    /// Version that brought the argument, when later than the command.
    pub since: Option<&'static str>,
    /// Version that deprecated it.
    pub deprecated_since: Option<&'static str>,
    /// Whether it may be absent or repeated.
    pub flags: ArgFlags,
    /// Members of a group.
    pub args: &'static [Arg],
}

/// Kinds of arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    /// Any bytes.
    String,
    /// A whole number.
    Integer,
    /// A floating point number.
    Double,
    /// A key name.
    Key,
    /// A glob pattern.
    Pattern,
    /// A time in seconds or milliseconds since the epoch.
    UnixTime,
    /// A literal word without a value.
    PureToken,
    /// One of the members.
    OneOf,
    /// All members in order.
    Block,
}

impl ArgKind {
    /// Wire name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }
}

/// A rule that finds keys among arguments: where to begin, then how to go on.
#[derive(Debug)]
pub struct KeySpec {
    /// What the command does to these keys.
    pub flags: KeyFlags,
    /// Finds the start.
    pub begin: BeginSearch,
    /// Finds the keys from there.
    pub find: FindKeys,
    /// A remark for people.
    pub notes: Option<&'static str>,
}

/// Where the keys of a spec begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BeginSearch {
    /// Nobody can tell without running the command's own grammar.
    Unknown,
    /// At this argument.
    Index(i32),
    /// Right after a word.
    Keyword {
        /// The word, in any case.
        word: &'static str,
        /// First argument to look at; negative counts from the end and searches backwards.
        start_from: i32,
    },
}

/// Which arguments from the start on are keys. Indexes are relative to the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FindKeys {
    /// Nobody can tell without running the command's own grammar.
    Unknown,
    /// Every `step`-th argument.
    Range {
        /// Last key; negative counts from the end of the arguments.
        last_key: i32,
        /// Distance between keys.
        step: i32,
        /// With `last_key == -1` and a limit of two or more: only the first `1/limit` of what
        /// follows are keys.
        limit: i32,
    },
    /// As many as an argument says.
    KeyNum {
        /// Where the number stands.
        keynum_index: i32,
        /// Where the first key stands.
        first_key: i32,
        /// Distance between keys.
        step: i32,
    },
}

/// Commands whose keys, or what happens to them, depend on their own grammar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyGrammar {
    Set,
    Bitfield,
    Sort,
    Migrate,
    XReadGroup,
    GeoRadius,
}

impl CommandInfo {
    /// The subcommand of this name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static CommandInfo> {
        let folded = Folded::new(name);
        self.subcommands.iter().find(|m| m.is_named(folded, name))
    }

    /// True when the command can only be called through a subcommand or has some.
    pub const fn is_container(&self) -> bool {
        !self.subcommands.is_empty()
    }

    /// True when `count` arguments, names included, are not too few and not too many.
    #[inline]
    pub const fn accepts(&self, count: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 {
            count >= wanted
        } else {
            count == wanted
        }
    }

    /// Where the keys stand among `count` arguments, as far as [`Self::first_key`] and its companions tell: from, to
    /// (exclusive), distance. Empty for a command without keys or with its keys elsewhere.
    #[inline]
    pub fn key_range(&self, count: usize) -> (usize, usize, usize) {
        let first = self.first_key.unsigned_abs() as usize;
        if first == 0 {
            return (0, 0, 1);
        }
        let last = self.last_key.unsigned_abs() as usize;
        let end = if self.last_key < 0 {
            (count + 1).saturating_sub(last)
        } else {
            count.min(last + 1)
        };
        (first, end, (self.step.unsigned_abs() as usize).max(1))
    }

    /// Where a member or a field may stand among `count` arguments, for a command that works on sets, hashes or sorted
    /// sets: a guess that is right for those that name one.
    #[inline]
    pub fn member_index(&self, count: usize) -> Option<usize> {
        if count < 3 {
            None
        } else if self
            .acl
            .intersects(AclCategories::SET.and(AclCategories::HASH))
        {
            Some(2)
        } else if self.acl.intersects(AclCategories::SORTEDSET) {
            Some(count - 1)
        } else {
            None
        }
    }

    fn is_named(&self, folded: Folded, name: &[u8]) -> bool {
        self.folded == folded
            && self.name.len() == name.len()
            && (name.len() <= FOLDED_WHOLE_MAX || self.name.as_bytes().eq_ignore_ascii_case(name))
    }
}
