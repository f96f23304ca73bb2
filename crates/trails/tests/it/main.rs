//! Tests of delivery, from records in a log to objects in buckets.
//!
//! - `full_disk`: a disk that fails when a test says so.
//! - `stage`: log, catalog, spool and buckets, with a clock that tests move.
//! - `log_files`: which events go into which file, and how files look.
//! - `digests`: chains, windows, keys.
//! - `notifications`: what topics are told, and when they are not.
//! - `feeds`: what log groups and buses get, and when they do not.
//! - `troubles`: buckets that fail, crashes at each step, clocks that jump, spools that are full.

mod digests;
mod feeds;
mod full_disk;
mod log_files;
mod notifications;
mod stage;
mod troubles;
