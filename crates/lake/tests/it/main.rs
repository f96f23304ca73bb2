//! Tests of the lake through its public interface.
//!
//! - `journey`: from the log to the tables and over a restart.
//! - `backlog`: a log that grows faster than commits.
//! - `faults`: failing stores and catalogs, zombies, poison, damage.
//! - `formats`: files of earlier builds. `public_formats`: what other engines read.
//! - `lookup`: LookupEvents against a plain model.
//! - `upkeep`: compaction, retention, expiry, orphans.

mod backlog;
mod faults;
mod faulty;
mod formats;
mod journey;
mod lookup;
mod public_formats;
mod stage;
mod upkeep;
