//! Scripts and functions in the engine: what may run, how, and what its commands are judged by.
//!
//! The crate [`scripting`] has the interpreter, the cache and the libraries; here is what it knows nothing of.

pub(crate) mod busy;
pub(crate) mod checks;
mod host;
pub(crate) mod libraries;
pub(crate) mod parked;
pub(crate) mod run;
