//! TagResource, UntagResource and ListResourceTags, and the rules that tags keep.

use std::collections::HashSet;

use cairn_catalog::identity::Tag;
use cairn_catalog::keys::{KmsKey, ReadKeys};
use cairn_catalog::{CatalogError, WriteTransaction};
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::operation::{ChangeCall, KmsAnswer, ReadCall, Running};
use super::paging::Page;
use super::states;

/// A page of ListResourceTags that says no number.
const PAGE_ITEMS: u32 = 50;

/// Tags that may be put on a key.
pub(super) fn checked(tags: Vec<Tag>) -> Result<Vec<Tag>, KmsError> {
    let mut keys = HashSet::new();
    for tag in &tags {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(refused("Tags beginning with aws: are reserved"));
        }
        if !keys.insert(tag.key.as_str()) {
            return Err(refused("Duplicate tag keys"));
        }
        let is_allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
        if !tag.key.chars().chain(tag.value.chars()).all(is_allowed) {
            return Err(refused(
                "Tags can only contain letters, numbers, spaces and the characters _ . : / = + - @",
            ));
        }
    }
    Ok(tags)
}

/// Puts tags on a key.
pub(super) async fn put(
    transaction: &mut WriteTransaction,
    key: &KmsKey,
    tags: &[Tag],
) -> Result<(), KmsError> {
    let arn = key.arn();
    let put = transaction.put_resource_tags(key.account, &arn, tags);
    put.await.map_err(|error| match error {
        CatalogError::LimitExceeded { limit, .. } => {
            let message = format!("A key can have {limit} tags.");
            KmsError::new(KmsErrorCode::LimitExceeded, message)
        }
        error => KmsError::from_catalog(error),
    })
}

/// TagResource.
pub(super) fn tag(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = call.found.key();
        states::refuse_pending_deletion(key)?;
        let tags = checked(call.input.tags())?;
        put(call.transaction, key, &tags).await?;
        Ok(KmsAnswer::changed(key))
    })
}

/// UntagResource.
pub(super) fn untag(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = call.found.key();
        states::refuse_pending_deletion(key)?;
        let keys = call.input.tag_keys();
        let arn = key.arn();
        let deleted = call
            .transaction
            .delete_resource_tags(key.account, &arn, &keys);
        deleted.await.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer::changed(key))
    })
}

/// ListResourceTags.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let page = Page::of(call.input, PAGE_ITEMS)?;
        let tags = call.transaction.keys().tags(call.found.key()).await;
        let mut tags = tags.map_err(KmsError::from_catalog)?;
        tags.retain(|tag| tag.key.as_str() > page.after.as_str());
        let shape = |tag: &Tag| json!({"TagKey": tag.key, "TagValue": tag.value});
        Ok(KmsAnswer::read(page.answer(
            "Tags",
            tags,
            |tag| &tag.key,
            shape,
        )))
    })
}

fn refused(message: &str) -> KmsError {
    KmsError::new(KmsErrorCode::Tag, message)
}
