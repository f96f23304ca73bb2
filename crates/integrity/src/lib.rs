//! This crate decides whether log files and digests are what was delivered: hashes, signing strings, digest
//! documents, public keys and the walk along a chain of digests.

mod chain;
mod check;
mod digest;
mod error;
mod gzip;
mod hexadecimal;
mod object_key;
mod public_key;
mod signing;
mod time_text;

pub use chain::{ChainWalk, Finding, Step, WalkRange};
pub use check::{DigestFault, FetchedDigest, PublicKeys, SignedDigest};
pub use digest::{Digest, LogFileEntry, PreviousDigest};
pub use error::IntegrityError;
pub use gzip::{LogFileFault, LogFileHash, SIZE_LIMITS, SizeLimits, inflate};
pub use hexadecimal::{hexadecimal, sha256_hex};
pub use object_key::{DigestKind, DigestListing, KeyFolder, ListedDigest, LogKind};
pub use public_key::verify;
pub use signing::{SIGNATURE_ALGORITHM, SigningKeyPair, signing_string};
pub use time_text::read_time;
