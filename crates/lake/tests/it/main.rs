//! Tests of the lake through its public interface.
//!
//! `journey`: from the log to the tables and over a restart. `faults`: failing stores and catalogs, zombies,
//! poison, damage. `formats`: files of earlier builds. `lookup`: LookupEvents against a plain model. `upkeep`: compaction, retention, expiry, orphans.

mod faults;
mod faulty;
mod formats;
mod journey;
mod lookup;
mod public_formats;
mod stage;
mod upkeep;
