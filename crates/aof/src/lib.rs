//! The append-only file: its names and manifest, reading and writing, start, and rewriting.
//!
//! This crate knows files and records. It does not know what commands do, it has no threads, and it reads no clock: time
//! comes in as an argument. What it does to files goes through the trait [`Files`](files::Files), so that tests put a
//! disk below it that fails on cue.
//!
//! - [`names`], [`manifest`]: what belongs to a log.
//! - [`start`]: what lies there when a server starts, and what is to be done about it.
//! - [`decoder`], [`reader`]: records out of bytes, and what the end of a file means.
//! - [`encoder`], [`writer`]: bytes out of records, in the order they were made, and how far they have got.
//! - [`identity`]: where in the history of replication a log ends.
//! - [`rewrite`]: a new base takes the place of what has grown.
//! - [`files`], [`steps`]: what all of them do to files.
//!
//! # In which order
//!
//! A start: [`start::look`], [`start::plan`], and with a log, [`Load::before`](start::Load); then each file through a
//! [`reader::LogReader`] (its snapshot first, where it has one), [`Ending::verdict`](reader::Ending::verdict) and, if that
//! says so, a cut and a sync; then [`writer::settle`] for each increment but the last one. With none,
//! [`Begin::before`](start::Begin), and a base that is written and synced. Then what `after` says
//! ([`Ready`](start::Ready)), [`writer::begin`], and a [`writer::Writer`].
//!
//! A unit: [`Writer::append`](writer::Writer::append) with [`encoder::Encoder::unit`]; before any byte leaves that shows it,
//! [`Writer::flush`](writer::Writer::flush), and where that is the policy, a sync.
//!
//! A rewrite: flush and sync, [`rewrite::Rewrite::begin`], its steps, [`Writer::switch`](writer::Writer::switch) to the new
//! file and [`Encoder::begin_file`](encoder::Encoder::begin_file), all before anything else is appended; the snapshot of that
//! moment; [`Rewrite::commit`](rewrite::Rewrite::commit) and its steps, [`Writer::covered`](writer::Writer::covered),
//! [`steps::remove_history`]. The manifest that steps lead to holds once all of them are done, and not before.
//!
//! `tests/campaign.rs` has a server in small that does all of it.
//!
//! Source: the files of Valkey 8.0.1 (checked against the binary by the tests of this crate and of `tools`).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod decoder;
pub mod defect;
pub mod encoder;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
pub mod files;
pub mod identity;
pub mod limits;
pub mod manifest;
pub mod names;
pub mod reader;
pub mod rewrite;
pub mod start;
pub mod steps;
pub mod writer;
