//! The fuzz targets as a library.

pub mod aof;
pub mod targets;
