//! Tests of the lake through its public interface.
//!
//! - `journey`: from the log to the tables and over a restart.
//! - `backlog`: a log that grows faster than commits.
//! - `damage`: files of a stopped node that were changed (C5).
//! - `faults`: failing stores and catalogs, zombies, poison, damage.
//! - `formats`: files of earlier builds. `public_formats`: what other engines read.
//! - `lookup`: LookupEvents against a plain model.
//! - `upkeep`: compaction, retention, expiry, orphans.

mod backlog;
mod damage;
mod faults;
mod faulty;
mod formats;
mod journey;
mod lookup;
mod public_formats;
mod results;
mod stage;
mod upkeep;
