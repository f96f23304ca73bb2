//! The local key service: keys that encrypt what trails deliver and buckets hold, and the part of KMS's API that makes,
//! governs and uses them, so that `aws kms` and the SDKs work.
//!
//! `table` lists every operation. `asking` finds the keys that a call means and says what its caller must be allowed;
//! the pipeline decides, records and answers. `local_keys` is the same service for the rest of the node.

mod aliases;
mod asking;
mod ciphertext;
mod cryptography;
mod deletion;
mod due;
mod error;
mod input;
mod key_policies;
mod keys;
mod local_keys;
mod material;
mod members;
mod operation;
mod paging;
mod reference;
mod rotation;
mod shapes;
mod states;
mod table;
mod tags;

pub(crate) use asking::ask;
pub(crate) use ciphertext::is_own as is_own_ciphertext;
pub(crate) use due::keep_appointments;
pub(crate) use error::{KmsError, KmsErrorCode};
pub(crate) use input::{KmsInput, wipe};
pub(crate) use local_keys::LocalKeys;
pub(crate) use operation::{ChangeCall, Found, KmsAnswer, KmsOperation, ReadCall, Run, Site};
pub(crate) use table::OPERATIONS;

#[cfg(any(test, fuzzing))]
pub(crate) use ciphertext::fuzz;

#[cfg(test)]
mod tests;
