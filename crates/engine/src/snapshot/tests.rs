//! Tests of saving and loading together.
