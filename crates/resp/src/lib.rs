//! RESP2 and RESP3: requests in, replies out.
//!
//! [`Decoder`] turns bytes into requests: it resumes where it stopped, allocates nothing per argument and
//! applies every bound on the way in. [`Reply`] encodes what goes out in the protocol version of the client.
//! The crate knows no command names and no sockets.
//!
//! Source: the Valkey protocol specification (RESP2, RESP3, inline commands).
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "tests index their own data"
    )
)]

mod decoder;
mod inline;
pub mod limits;
mod output;
mod reply;

pub use decoder::{Arg, Batch, Decoder, ProtocolError, Violation};
pub use inline::split_args;
pub use output::{Output, Piece};
pub use reply::{Mark, Protocol, Reply};
