//! Scripts and libraries with a small server around them.

mod libraries;
mod scripts;
mod support;
