//! This crate is being laid out.
