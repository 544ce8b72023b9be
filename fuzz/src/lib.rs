//! The fuzz targets as a library.

pub mod acl_rules;
pub mod targets;
