//! Tests of the lake through its public interface.
//!
//! - `journey`: from the log to the tables and over a restart.
//! - `backlog`: a log that grows faster than commits.
//! - `damage`: files of a stopped node that were changed (C5).
//! - `faults`: failing stores and catalogs, zombies, poison, damage.
//! - `flipped`: data files that change under an open lake.
//! - `formats`: files of earlier builds. `public_formats`: what other engines read.
//! - `large`: events of a megabyte.
//! - `lookup`: LookupEvents against a plain model.
//! - `scrub`: stored objects compared with their checksums, round by round.
//! - `store`: the folder of objects, and lookups at once.
//! - `unreadable`: background work beside objects that cannot be read.
//! - `upkeep`: compaction, retention, expiry, orphans.

mod backlog;
mod damage;
mod faults;
mod faulty;
mod flipped;
mod formats;
mod journey;
mod large;
mod lookup;
mod lookup_shown;
mod public_formats;
mod results;
mod scrub;
mod stage;
mod store;
mod unreadable;
mod upkeep;
