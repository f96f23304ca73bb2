//! ScheduleKeyDeletion and CancelKeyDeletion. The deletion itself is one of the appointments of `due`.

use cairn_catalog::keys::KeyDeletion;
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::operation::{ChangeCall, KmsAnswer, Running};
use super::{shapes, states};

/// How long a key waits for its deletion if the call does not say.
const WINDOW_DAYS: u32 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// ScheduleKeyDeletion.
pub(super) fn schedule(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        states::refuse_pending_deletion(call.found.key())?;
        let window_days = call
            .input
            .number("PendingWindowInDays")
            .unwrap_or(WINDOW_DAYS);
        // While two clocks disagree, the window begins by the later one: nobody's key is lost to a clock that is
        // put right (S8).
        let latest_ms = call.site.lake.lake().map(|lake| lake.latest_ms());
        let latest_ms = latest_ms.ok_or_else(|| {
            let message = "The time is not certain yet. Try again later.";
            KmsError::new(KmsErrorCode::Unavailable, message)
        })?;
        let due_ms = latest_ms.saturating_add(i64::from(window_days) * DAY_MS);
        let mut key = call.found.key().clone();
        key.deletion = Some(KeyDeletion {
            due_ms,
            window_days,
        });
        let put = call.transaction.put_kms_key(&key).await;
        put.map_err(KmsError::from_catalog)?;
        let (arn, state) = (key.arn(), shapes::state(&key));
        Ok(KmsAnswer {
            output: json!({
                "KeyId": arn,
                "DeletionDate": shapes::time(due_ms),
                "KeyState": state,
                "PendingWindowInDays": window_days,
            }),
            elements: json!({
                "keyId": arn,
                "deletionDate": shapes::recorded_time(due_ms),
                "keyState": state,
                "pendingWindowInDays": window_days,
            }),
            made: Vec::new(),
        })
    })
}

/// CancelKeyDeletion. The key stays disabled until somebody enables it.
pub(super) fn cancel(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut key = call.found.key().clone();
        if key.deletion.take().is_none() {
            let message = format!("{} is not pending deletion.", key.arn());
            return Err(KmsError::new(KmsErrorCode::InvalidState, message));
        }
        key.is_enabled = false;
        let put = call.transaction.put_kms_key(&key).await;
        put.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer {
            output: json!({"KeyId": key.arn()}),
            ..KmsAnswer::changed(&key)
        })
    })
}
