//! Which key or alias a text means, and the key behind it.

use cairn_catalog::CatalogError;
use cairn_catalog::identity::Tag;
use cairn_catalog::keys::{KeyView, KmsKey, PAGE_ITEMS_MAX};
use cairn_model::{AccountId, Arn, Region};

use super::error::{KmsError, KmsErrorCode};
use crate::trail_destinations::{KeyReference, KeyReferenceKind, is_key_id};

/// The key that a call means.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    pub(super) key: KmsKey,
    /// The ARN by which it was named; none where a ciphertext says which key it is.
    pub(super) named: Option<String>,
    /// The alias by which it was named.
    pub(super) by_alias: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) tags: Vec<Tag>,
}

impl Meant {
    /// The key behind a reference, if there is one.
    pub(super) async fn find(
        view: &mut KeyView<'_>,
        reference: &KeyReference,
    ) -> Result<Option<Self>, CatalogError> {
        let place = (reference.account, &reference.region);
        let (id, by_alias) = match &reference.kind {
            KeyReferenceKind::Key(id) => (id.clone(), None),
            KeyReferenceKind::Alias(name) => {
                let name = format!("alias/{name}");
                match view.alias(place, &name).await? {
                    Some(alias) => (alias.key_id, Some(name)),
                    None => return Ok(None),
                }
            }
        };
        let Some(key) = view.find(place, &id).await? else {
            return Ok(None);
        };
        let aliases = view.aliases(place, Some(&id), ("", PAGE_ITEMS_MAX)).await?;
        Ok(Some(Self {
            tags: view.tags(&key).await?,
            named: Some(reference.arn()),
            key,
            by_alias,
            aliases: aliases.into_iter().map(|alias| alias.name).collect(),
        }))
    }
}

/// Reads the name of a key: an ID or an ARN, where it is allowed also an alias (SEC-357).
pub(super) fn read(
    text: &str,
    (account, region): (AccountId, &Region),
    takes_alias: bool,
) -> Result<KeyReference, KmsError> {
    let reference = |account, resource: &str| {
        let kind = match resource.split_once('/')? {
            ("alias", name) if takes_alias && !name.is_empty() => {
                KeyReferenceKind::Alias(name.to_owned())
            }
            ("key", id) if is_key_id(id) => KeyReferenceKind::Key(id.to_owned()),
            _ => return None,
        };
        Some(KeyReference {
            region: region.clone(),
            account,
            kind,
        })
    };
    if !text.starts_with("arn:") {
        let resource = if text.starts_with("alias/") {
            text.to_owned()
        } else {
            format!("key/{text}")
        };
        return reference(account, &resource).ok_or_else(|| {
            KmsError::new(KmsErrorCode::NotFound, format!("Invalid keyId '{text}'"))
        });
    }
    let invalid = || KmsError::new(KmsErrorCode::InvalidArn, format!("Invalid arn {text}"));
    let arn: Arn = text.parse().map_err(|_| invalid())?;
    if arn.service() != "kms" || arn.partition() != "aws" {
        return Err(invalid());
    }
    if arn.region() != region.as_str() {
        let message = format!("Invalid arn {}", arn.region());
        return Err(KmsError::new(KmsErrorCode::NotFound, message));
    }
    let account = arn.account().parse().map_err(|_| invalid())?;
    reference(account, arn.resource()).ok_or_else(invalid)
}

/// What a caller learns when there is no such key or alias in its own account.
pub(super) fn not_found(reference: &KeyReference) -> KmsError {
    let arn = reference.arn();
    let message = match reference.kind {
        KeyReferenceKind::Key(_) => format!("Key '{arn}' does not exist"),
        KeyReferenceKind::Alias(_) => format!("Alias {arn} is not found."),
    };
    KmsError::new(KmsErrorCode::NotFound, message)
}
