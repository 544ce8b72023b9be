//! Configuration: the typed table of parameters, files and command line, CONFIG GET, SET and REWRITE.
//!
//! Nothing here touches a file, a socket or the environment. Text comes in, values, errors and texts go out; the
//! server reads files through [`Surroundings`] and applies changes through [`Apply`]. Facts and texts are those of
//! Valkey 8.0.1.

#![forbid(unsafe_code)]

mod change;
mod checks;
mod choice;
mod command_line;
mod contradictions;
mod example;
pub mod limits;
mod load;
mod problem;
mod quoting;
mod rewrite;
mod row;
mod setting;
mod show;
mod special;
mod table;
mod text;

pub use change::{Access, Apply, SetError};
pub use choice::{
    AclPubsubDefault, AppendFsync, ClusterEndpointType, LogLevel, MaxmemoryPolicy, OomScoreAdj,
    PropagationErrorBehavior, ProtectedAction, RefuseEmptyPrimary, ReplCompression,
    ReplDisklessLoad, SanitizeDumpPayload, ShutdownOptions, Supervised, SyslogFacility,
    TlsAuthClients,
};
pub use command_line::{CommandLine, Invocation};
pub use contradictions::contradictions;
pub use example::example_conf;
pub use load::{Directive, LoadError, Place, Startup, Surroundings};
pub use problem::Problem;
pub use quoting::{quote_into, split_words};
pub use rewrite::rewrite;
pub use row::{C, Empty, Flags, Kind, Phase, Row, Unit};
pub use setting::memory_bytes;
pub use special::{
    OomScores, OutputLimit, OutputLimits, Percentiles, Primary, SaveRule, SaveRules,
};
pub use table::{Config, Param, TABLE};
pub use text::Text;
