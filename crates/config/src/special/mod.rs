//! Parameters with a format of their own, one module each.

mod bind;
mod events;
mod oom;
mod output_limits;
mod percentiles;
mod primary;
mod save;

pub use oom::OomScores;
pub use output_limits::{OutputLimit, OutputLimits};
pub use percentiles::Percentiles;
pub use primary::Primary;
pub use save::{SaveRule, SaveRules};
