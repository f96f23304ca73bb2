//! Tests of the event log through its public interface.

/// One suite of promises, run on every implementation.
mod conformance;
/// What fuzzing found, replayed.
mod corpus;
/// Damaged files (C5), and the planted bugs that they must find.
mod damage;
/// The log when its disk fails, fills up or stops answering (C6, C7, C8), and when it is killed at a named point.
mod faults;
/// Logs and disks for the tests of this folder.
mod fixture;
/// The frozen files of each format version.
mod frozen;
/// Readers: catching up, releasing, scrubbing.
mod readers;
/// The log on real files.
mod real_files;
/// What fault runs leave for docs/reliability.md.
mod results;
/// Seeded histories of appends, faults and restarts, checked against a model (C4), and the planted bugs
/// that they must find.
mod simulation;
