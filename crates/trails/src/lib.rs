//! This crate is the reader that delivers events to trails: log files, signed digests, and the spool that keeps
//! both until their bucket has them.
