//! Everything that can be wrong with a value, with the texts users see.
//!
//! The texts are those of Valkey 8.0.1, captured by asking it.

use std::fmt;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Neither `yes` nor `no`.
    NotBool,
    /// Not an integer.
    NotInteger,
    /// Not a number of bytes.
    NotMemory,
    /// Neither bytes nor a percentage.
    NotMemoryOrPercent,
    /// A percentage above 100.
    PercentAbove100,
    /// Not an octal number.
    NotOctal,
    /// Out of bounds.
    NotBetween(i128, i128),
    /// Out of bounds that are written in octal.
    NotBetweenOctal(i128, i128),
    /// Not one of the words.
    NotOneOf(&'static [&'static str]),
    /// SAVE and NOSAVE together.
    SaveAndNosave,
    /// Too many or too few words.
    WrongArguments,
    /// Too many addresses.
    TooManyAddresses,
    /// Bad save points.
    Save,
    /// Words of a buffer limit do not come in fours.
    BufferLimitArguments,
    /// No such client class.
    BufferLimitClass,
    /// A number of a buffer limit.
    BufferLimitNumber,
    /// An unknown letter in `notify-keyspace-events`.
    EventClass,
    /// A percentile that is not a number.
    Percentile,
    /// A percentile outside 0 to 100.
    PercentileRange,
    /// A score outside its bounds.
    OomScore,
    /// The port of a primary.
    PrimaryPort,
    /// Must not be empty; the name of the parameter.
    Empty(&'static str),
    /// Must not contain a slash; the name of the parameter.
    IsPath(&'static str),
    /// `appenddirname` must not contain a slash.
    DirIsPath,
    /// A bad process title.
    ProcTitle,
    /// Not an IPv4 address.
    Ipv4,
    /// Not an IPv6 address.
    Ipv6,
    /// A character no host name has.
    HostnameCharacter,
    /// A host name that is too long.
    HostnameLength,
    /// A character no node name has.
    NodeName,
    /// Defragmentation is not available.
    ActiveDefrag,
    /// There is no cluster mode.
    Cluster,
    /// No such parameter or directive.
    BadDirective,
    /// A name with a dot, which belongs to a module, and no value.
    ModuleSetting,
    /// `rename-command` of a command nobody knows.
    NoSuchCommand,
    /// `rename-command` to the name of another command.
    CommandExists,
    /// A directive of Sentinel.
    Sentinel,
    /// A user that is declared twice; its name.
    DuplicateUser(String),
    /// Quotes that do not match.
    Unbalanced,
    /// A line longer than the limit of bytes.
    LineTooLong,
    /// More words than the limit.
    TooManyWords,
    /// More nested includes than the limit.
    IncludeDepth,
    /// Whatever the outside reported.
    Other(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotBool => "argument must be 'yes' or 'no'",
            Self::NotInteger => "argument couldn't be parsed into an integer",
            Self::NotMemory => "argument must be a memory value",
            Self::NotMemoryOrPercent => "argument must be a memory or percent value",
            Self::PercentAbove100 => "percentage argument must be less or equal to 100",
            Self::NotOctal => "argument couldn't be parsed as an octal number",
            Self::NotBetween(min, max) => {
                return write!(f, "argument must be between {min} and {max} inclusive");
            }
            Self::NotBetweenOctal(min, max) => {
                return write!(f, "argument must be between {min:o} and {max:o} inclusive");
            }
            Self::NotOneOf(words) => {
                return write!(
                    f,
                    "argument(s) must be one of the following: {}",
                    words.join(", ")
                );
            }
            Self::SaveAndNosave => "shutdown options SAVE and NOSAVE can't be used simultaneously",
            Self::WrongArguments => "wrong number of arguments",
            Self::TooManyAddresses => "Too many bind addresses specified.",
            Self::Save => "Invalid save parameters",
            Self::BufferLimitArguments => {
                "Wrong number of arguments in buffer limit configuration."
            }
            Self::BufferLimitClass => {
                "Invalid client class specified in buffer limit configuration."
            }
            Self::BufferLimitNumber => {
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
            }
            Self::EventClass => "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
            Self::Percentile => "Invalid latency-tracking-info-percentiles parameters",
            Self::PercentileRange => {
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
            }
            Self::OomScore => {
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            }
            Self::PrimaryPort => "Invalid primary port",
            Self::Empty(name) => return write!(f, "{name} can't be empty"),
            Self::IsPath(name) => return write!(f, "{name} can't be a path, just a filename"),
            Self::DirIsPath => "appenddirname can't be a path, just a dirname",
            Self::ProcTitle => "template format is invalid or contains unknown variables",
            Self::Ipv4 => "Invalid IPv4 address",
            Self::Ipv6 => "Invalid IPv6 address",
            Self::HostnameCharacter => {
                "Hostnames may only contain alphanumeric characters, hyphens or dots"
            }
            Self::HostnameLength => "Hostnames must be less than 256 characters",
            Self::NodeName => "Announced human node name contained invalid character",
            Self::Cluster => "this build has no cluster mode: cluster-enabled must be 'no'",
            Self::ActiveDefrag => {
                "Active defragmentation cannot be enabled: it requires a server compiled with a modified Jemalloc \
                 like the one shipped by default with the source distribution"
            }
            Self::BadDirective => "Bad directive or wrong number of arguments",
            Self::ModuleSetting => "Module config specified without value",
            Self::NoSuchCommand => "No such command in rename-command",
            Self::CommandExists => "Target command name already exists",
            Self::Sentinel => "sentinel directive while not in sentinel mode",
            Self::DuplicateUser(name) => {
                return write!(
                    f,
                    "Error in user declaration '{name}': Duplicate user found. A user can only be defined once in \
                     config files"
                );
            }
            Self::Unbalanced => "Unbalanced quotes in configuration line",
            Self::LineTooLong => "Line too long",
            Self::TooManyWords => "Too many arguments",
            Self::IncludeDepth => "Too many nested include directives",
            Self::Other(text) => text,
        };
        f.write_str(text)
    }
}

impl std::error::Error for Problem {}

impl From<commandtable::RenameError> for Problem {
    fn from(error: commandtable::RenameError) -> Self {
        match error {
            commandtable::RenameError::NoSuchCommand => Self::NoSuchCommand,
            commandtable::RenameError::Exists => Self::CommandExists,
        }
    }
}
