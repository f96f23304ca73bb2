//! Tests of delivery, from records in a log to objects in buckets.
//!
//! - `full_disk`: a disk that fails when a test says so.
//! - `stage`: log, catalog, spool and buckets, with a clock that tests move.
//! - `log_files`: which events go into which file, and how files look.
//! - `digests`: chains, windows, keys.
//! - `troubles`: buckets that fail, crashes at each step, clocks that jump, spools that are full.

mod digests;
mod full_disk;
mod log_files;
mod stage;
mod troubles;
