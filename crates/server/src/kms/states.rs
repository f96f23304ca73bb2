//! What a key's state allows, EnableKey and DisableKey.

use cairn_catalog::keys::KmsKey;

use super::error::KmsError;
use super::operation::{ChangeCall, KmsAnswer, Running};
use crate::keys::KeyProblem;

/// Whether the key may encrypt and decrypt now (SEC-321, SEC-323).
pub(super) fn require_usable(key: &KmsKey) -> Result<(), KeyProblem> {
    refuse_pending_deletion(key)?;
    if key.is_enabled {
        return Ok(());
    }
    Err(KeyProblem::Disabled { key: key.arn() })
}

/// Whether the key may be changed: not while it waits for its end.
pub(super) fn refuse_pending_deletion(key: &KmsKey) -> Result<(), KeyProblem> {
    if key.deletion.is_none() {
        return Ok(());
    }
    Err(KeyProblem::PendingDeletion { key: key.arn() })
}

/// EnableKey.
pub(super) fn enable(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(set_enabled(call, true))
}

/// DisableKey.
pub(super) fn disable(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(set_enabled(call, false))
}

async fn set_enabled(call: ChangeCall<'_>, is_enabled: bool) -> Result<KmsAnswer, KmsError> {
    refuse_pending_deletion(call.found.key())?;
    let mut key = call.found.key().clone();
    key.is_enabled = is_enabled;
    let put = call.transaction.put_kms_key(&key).await;
    put.map_err(KmsError::from_catalog)?;
    Ok(KmsAnswer::changed(&key))
}
