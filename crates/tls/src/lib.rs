//! TLS for a server of the Valkey protocol: parameters in, contexts and sessions out.
//!
//! [`Settings`] are the `tls-*` parameters as plain values. [`Contexts::load`] reads the files that they name and makes what
//! new connections need: contexts for both directions, which live on as long as a connection uses them. A [`Session`] is one
//! connection's TLS, between buffers: the peer's bytes go in, what is meant for the application and for the peer comes out.
//! It can be moved to another thread or process as long as nothing of it stays behind.
//!
//! The protocol and all cryptography are rustls'. Chains and dates are verified by its own verifier; names are not checked,
//! as in Valkey. What that verifier refuses and users have all the same is in the module `legacy` alone.
//!
//! This crate opens no socket and reads no clock; files and time come in as arguments ([`Outside`]).
#![forbid(unsafe_code)]

mod cache;
mod ciphers;
mod context;
mod error;
mod files;
mod legacy;
mod protocols;
mod session;
mod settings;
mod traditional;
mod verify;

pub use context::{ClientContext, Contexts, ServerContext};
pub use error::{Error, Failure};
pub use session::{Progress, Session};
pub use settings::{AuthClients, KeyPair, Outside, Settings};
