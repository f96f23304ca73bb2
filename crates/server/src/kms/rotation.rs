//! New material for a key that keeps its ID: EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus,
//! RotateKeyOnDemand and ListKeyRotations. Ciphertexts name the version that made them, so older ones go on to open.

use cairn_catalog::WriteTransaction;
use cairn_catalog::keys::{KeyRotation, KmsKey, MaterialFacts, ReadKeys};
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::operation::{ChangeCall, KmsAnswer, ReadCall, Running};
use super::paging::Page;
use super::{material, shapes, states};
use crate::query_protocol::World;

/// How often a key gets new material if the call does not say.
const PERIOD_DAYS: u32 = 365;
/// New materials that may be asked for in a key's life.
const ON_DEMAND_MAX: usize = 25;
/// A page of ListKeyRotations that says no number.
const PAGE_ITEMS: u32 = 100;

/// Gives the key new material.
pub(super) async fn rotate(
    world: &World,
    transaction: &mut WriteTransaction,
    key: &mut KmsKey,
    is_on_demand: bool,
) -> Result<(), KmsError> {
    key.version = key.version.checked_add(1).ok_or_else(KmsError::internal)?;
    material::make(world, transaction, key, is_on_demand).await?;
    let put = transaction.put_kms_key(key).await;
    put.map_err(KmsError::from_catalog)
}

/// EnableKeyRotation. The days count from the first call; another period leaves their beginning as it is.
pub(super) fn enable(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        states::require_usable(call.found.key())?;
        let mut key = call.found.key().clone();
        let asked = call.input.number("RotationPeriodInDays");
        let now_ms = call.site.world.clock.now_ms();
        key.rotation = Some(match key.rotation {
            None => KeyRotation {
                period_days: asked.unwrap_or(PERIOD_DAYS),
                from_ms: now_ms,
            },
            Some(rotation) => KeyRotation {
                period_days: asked.unwrap_or(rotation.period_days),
                ..rotation
            },
        });
        put(call, key).await
    })
}

/// DisableKeyRotation.
pub(super) fn disable(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        states::require_usable(call.found.key())?;
        let mut key = call.found.key().clone();
        key.rotation = None;
        put(call, key).await
    })
}

async fn put(call: ChangeCall<'_>, key: KmsKey) -> Result<KmsAnswer, KmsError> {
    let put = call.transaction.put_kms_key(&key).await;
    put.map_err(KmsError::from_catalog)?;
    Ok(KmsAnswer::changed(&key))
}

/// GetKeyRotationStatus. A key that waits for its deletion gets no new material.
pub(super) fn status(ReadCall { found, .. }: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = found.key();
        let rotation = key.rotation.filter(|_| key.deletion.is_none());
        let mut answer = json!({"KeyId": key.arn(), "KeyRotationEnabled": rotation.is_some()});
        if let Some(rotation) = rotation {
            answer["RotationPeriodInDays"] = rotation.period_days.into();
            answer["NextRotationDate"] = shapes::time(rotation.due_ms());
        }
        Ok(KmsAnswer::read(answer))
    })
}

/// RotateKeyOnDemand.
pub(super) fn rotate_on_demand(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        states::require_usable(call.found.key())?;
        let mut key = call.found.key().clone();
        let made = call.transaction.keys().materials(&key).await;
        let made = made.map_err(KmsError::from_catalog)?;
        if made.iter().filter(|facts| facts.is_on_demand).count() >= ON_DEMAND_MAX {
            let message = format!("A key can be rotated on demand {ON_DEMAND_MAX} times.");
            return Err(KmsError::new(KmsErrorCode::LimitExceeded, message));
        }
        rotate(call.site.world, call.transaction, &mut key, true).await?;
        Ok(KmsAnswer {
            output: json!({"KeyId": key.arn()}),
            ..KmsAnswer::changed(&key)
        })
    })
}

/// ListKeyRotations.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let page = Page::of(call.input, PAGE_ITEMS)?;
        let key = call.found.key();
        let materials = call.transaction.keys().materials(key).await;
        let materials = materials.map_err(KmsError::from_catalog)?;
        let shows_first = call.input.text("IncludeKeyMaterial") == Some("ALL_KEY_MATERIAL");
        let mut rotations: Vec<(String, MaterialFacts)> = materials
            .into_iter()
            .filter(|facts| shows_first || facts.version > 1)
            .map(|facts| (format!("{:010}", facts.version), facts))
            .collect();
        rotations.retain(|(number, _)| number.as_str() > page.after.as_str());
        let shape = |(_, facts): &(String, MaterialFacts)| {
            let mut rotation = json!({"KeyId": key.arn()});
            if facts.version > 1 {
                let kind = if facts.is_on_demand {
                    "ON_DEMAND"
                } else {
                    "AUTOMATIC"
                };
                rotation["RotationType"] = kind.into();
                rotation["RotationDate"] = shapes::time(facts.created_ms);
            }
            let is_current = facts.version == key.version;
            rotation["KeyMaterialState"] =
                if is_current { "CURRENT" } else { "NON_CURRENT" }.into();
            rotation
        };
        let answer = page.answer("Rotations", rotations, |(number, _)| number, shape);
        Ok(KmsAnswer::read(answer))
    })
}
