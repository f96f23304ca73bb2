//! Readers of others' formats that panic on some bytes instead of refusing them, as the fuzzer found of
//! Arrow's: such bytes are damage of one object, not the end of whoever reads it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;

use crate::error::LakeError;

/// What `read` makes of the object `key`; a panic of its is damage. `read` must own or drop all that it
/// changes.
pub(crate) fn contained<T>(
    key: &str,
    read: impl FnOnce() -> Result<T, LakeError>,
) -> Result<T, LakeError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(senseless(key)))
}

/// The same for a reader that waits.
pub(crate) async fn contained_reading<T>(
    key: &str,
    read: impl Future<Output = Result<T, LakeError>>,
) -> Result<T, LakeError> {
    let read = AssertUnwindSafe(read).catch_unwind().await;
    read.unwrap_or_else(|_| Err(senseless(key)))
}

fn senseless(key: &str) -> LakeError {
    LakeError::Damaged {
        key: key.to_owned(),
        reason: "its reader could not make sense of it".to_owned(),
    }
}
