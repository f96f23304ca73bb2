//! CreateAlias, UpdateAlias, DeleteAlias and ListAliases.

use cairn_catalog::CatalogError;
use cairn_catalog::keys::{Alias, ReadKeys};
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::operation::{ChangeCall, Found, KmsAnswer, ReadCall, Running};
use super::paging::Page;
use super::reference::Meant;
use super::{reference, shapes, states};
use crate::trail_destinations::is_reserved_alias;

/// Aliases of one key.
const ALIASES_MAX: usize = 50;
/// A page of ListAliases that says no number.
const PAGE_ITEMS: u32 = 50;
const PREFIX: &str = "alias/";

/// A name that an alias of a customer can have (TRL-282).
pub(super) fn checked_name(name: &str) -> Result<&str, KmsError> {
    let refused = |message: &str| Err(KmsError::new(KmsErrorCode::InvalidAliasName, message));
    match name.strip_prefix(PREFIX) {
        None => refused("Alias must start with the prefix \"alias/\"."),
        Some("") => refused("Alias must not be empty after the prefix \"alias/\"."),
        Some(rest) if is_reserved_alias(rest) => {
            refused("The prefix alias/aws is reserved for the keys of services.")
        }
        Some(rest) if rest.contains(':') => {
            refused("Alias contains a character that is not allowed.")
        }
        Some(_) => Ok(name),
    }
}

/// CreateAlias.
pub(super) fn create(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = call.found.key();
        states::refuse_pending_deletion(key)?;
        refuse_one_more(&mut *call.transaction, call.found).await?;
        let name = call.input.required("AliasName");
        let now_ms = call.site.world.clock.now_ms();
        let alias = Alias {
            name: name.to_owned(),
            key_id: key.id.clone(),
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let place = call.site.place();
        match call.transaction.insert_kms_alias(place, &alias).await {
            Ok(()) => Ok(KmsAnswer::changed(key)),
            Err(CatalogError::EntityAlreadyExists(_)) => {
                let arn = call.found.alias.as_ref().map_or("", |(_, arn)| arn);
                let message = format!("An alias with the name {arn} already exists");
                Err(KmsError::new(KmsErrorCode::AlreadyExists, message))
            }
            Err(error) => Err(KmsError::from_catalog(error)),
        }
    })
}

/// UpdateAlias.
pub(super) fn update(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = call.found.key();
        states::refuse_pending_deletion(key)?;
        let is_new = call.found.keys.get(1).is_none_or(|old| old.id != key.id);
        if is_new {
            refuse_one_more(&mut *call.transaction, call.found).await?;
        }
        let name = call.input.required("AliasName");
        let moved = call.transaction.move_kms_alias(name, key).await;
        moved.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer::changed(key))
    })
}

/// DeleteAlias.
pub(super) fn delete(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let name = call.input.required("AliasName");
        let deleted = call
            .transaction
            .delete_kms_alias(call.site.place(), name)
            .await;
        deleted.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer::changed(call.found.key()))
    })
}

/// ListAliases.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let page = Page::of(call.input, PAGE_ITEMS)?;
        let (account, region) = call.site.place();
        let mut view = call.transaction.keys();
        let mut of_key = None;
        if let Some(text) = call.input.text("KeyId") {
            let reference = reference::read(text, (account, region), false)?;
            let found = Meant::find(&mut view, &reference).await;
            let found = found.map_err(KmsError::from_catalog)?;
            let own = found.filter(|meant| meant.key.account == account);
            of_key = Some(own.ok_or_else(|| reference::not_found(&reference))?.key.id);
        }
        let after = (page.after.as_str(), page.reads());
        let aliases = view
            .aliases((account, region), of_key.as_deref(), after)
            .await;
        let aliases = aliases.map_err(KmsError::from_catalog)?;
        let shape = |alias: &Alias| {
            json!({
                "AliasName": alias.name,
                "AliasArn": format!("arn:aws:kms:{region}:{account}:{}", alias.name),
                "TargetKeyId": alias.key_id,
                "CreationDate": shapes::time(alias.created_ms),
                "LastUpdatedDate": shapes::time(alias.updated_ms),
            })
        };
        let answer = page.answer("Aliases", aliases, |alias| &alias.name, shape);
        Ok(KmsAnswer::read(answer))
    })
}

async fn refuse_one_more(catalog: &mut dyn ReadKeys, found: &Found) -> Result<(), KmsError> {
    let key = found.key();
    let place = (key.account, &key.region);
    let limit = u32::try_from(ALIASES_MAX).unwrap_or(u32::MAX);
    let aliases = catalog
        .keys()
        .aliases(place, Some(&key.id), ("", limit))
        .await;
    if aliases.map_err(KmsError::from_catalog)?.len() < ALIASES_MAX {
        return Ok(());
    }
    let message = format!("{} has {ALIASES_MAX} aliases already.", key.arn());
    Err(KmsError::new(KmsErrorCode::LimitExceeded, message))
}
