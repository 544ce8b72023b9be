//! The fuzz targets as a library.

pub mod targets;
