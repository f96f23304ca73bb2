//! Tests of the event log through its public interface.

/// One suite of promises, run on every implementation.
mod conformance;
/// Damaged files (C5), and the planted bugs that they must find.
mod damage;
/// Logs and disks for the tests of this folder.
mod fixture;
/// The log on real files.
mod real_files;
/// Seeded histories of appends, faults and restarts, checked against a model (C4), and the planted bugs
/// that they must find.
mod simulation;
