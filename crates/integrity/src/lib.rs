//! This crate decides whether log files and digests are what was delivered: hashes, signing strings, digest
//! documents, public keys and the walk along a chain of digests.
