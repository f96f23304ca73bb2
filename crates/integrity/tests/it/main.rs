//! What the crate promises to those who deliver and to those who validate.

/// Walks along chains that are whole, broken and forged.
mod chain;
/// The digest document's bytes.
mod document;
/// The fuzzer's seeds and small changes of them.
mod foreign_bytes;
/// The file that stays as it is, for this and for other validators.
mod frozen;
/// Decompression within limits.
mod gzip;
/// Keys of log files and digests.
mod object_keys;
/// Key pairs, signatures and their forms.
mod signing;
/// Chains in memory, and what a walk along one tells.
mod stand;
