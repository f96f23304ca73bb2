//! Tests of the event log through its public interface.

/// One suite of promises, run on every implementation.
mod conformance;
/// Logs and disks for the tests of this folder.
mod fixture;
/// The log on real files.
mod real_files;
