//! The fuzz targets as a library.

pub mod acl_rules;
pub mod aof;
pub mod lua_parts;
pub mod targets;
