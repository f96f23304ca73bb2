//! CreateKey, DescribeKey, ListKeys, UpdateKeyDescription.

use cairn_access::policy::default_key_policy;
use cairn_catalog::keys::{KmsKey, ReadKeys};
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::input::KmsInput;
use super::operation::{ChangeCall, KmsAnswer, ReadCall, Running, key_resource};
use super::paging::Page;
use super::{key_policies, material, shapes, states, tags};

/// Keys in one Region of an account.
const KEYS_MAX: u64 = 100_000;
/// A page of ListKeys that says no number.
const PAGE_ITEMS: u32 = 100;

/// CreateKey.
pub(super) fn create(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let (world, input) = (call.site.world, call.input);
        refuse_other_kinds(input)?;
        let (account, region) = call.site.place();
        let mut key = KmsKey {
            account,
            region: region.clone(),
            id: world.entropy.uuid(),
            created_ms: world.clock.now_ms(),
            description: input.text("Description").unwrap_or_default().to_owned(),
            policy: default_key_policy(account),
            is_enabled: true,
            version: 1,
            deletion: None,
            rotation: None,
        };
        if let Some(policy) = input.text("Policy") {
            key_policies::check(policy, &key, call.site, input)?;
            policy.clone_into(&mut key.policy);
        }
        let new_tags = tags::checked(input.tags())?;
        let held = call.transaction.keys().count((account, region)).await;
        if held.map_err(KmsError::from_catalog)? >= KEYS_MAX {
            let message = format!("The account has {KEYS_MAX} keys in this Region already.");
            return Err(KmsError::new(KmsErrorCode::LimitExceeded, message));
        }
        let transaction = call.transaction;
        let inserted = transaction.insert_kms_key(&key).await;
        inserted.map_err(KmsError::from_catalog)?;
        material::make(world, transaction, &key, false).await?;
        tags::put(transaction, &key, &new_tags).await?;
        Ok(KmsAnswer {
            output: json!({"KeyMetadata": shapes::metadata(&key)}),
            elements: json!({"keyMetadata": shapes::recorded_metadata(&key)}),
            made: vec![key_resource(&key)],
        })
    })
}

/// Every key here is symmetric, of this service's own making and of one Region.
fn refuse_other_kinds(input: &KmsInput) -> Result<(), KmsError> {
    for (member, only) in [
        ("KeySpec", shapes::KEY_SPEC),
        ("CustomerMasterKeySpec", shapes::KEY_SPEC),
        ("KeyUsage", shapes::KEY_USAGE),
        ("Origin", shapes::ORIGIN),
    ] {
        if let Some(asked) = input.text(member).filter(|asked| *asked != only) {
            return Err(KmsError::unsupported(&format!("{member} {asked}")));
        }
    }
    if input.has("KeySpec") && input.has("CustomerMasterKeySpec") {
        let message = "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is \
             deprecated.";
        return Err(KmsError::validation(message));
    }
    if input.flag("MultiRegion") {
        return Err(KmsError::unsupported("MultiRegion"));
    }
    Ok(())
}

/// DescribeKey.
pub(super) fn describe(ReadCall { found, .. }: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let metadata = shapes::metadata(found.key());
        Ok(KmsAnswer::read(json!({"KeyMetadata": metadata})))
    })
}

/// ListKeys.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let page = Page::of(call.input, PAGE_ITEMS)?;
        let (account, region) = call.site.place();
        let mut view = call.transaction.keys();
        let ids = view.ids((account, region), &page.after, page.reads()).await;
        let ids = ids.map_err(KmsError::from_catalog)?;
        let shape = |id: &String| {
            let arn = format!("arn:aws:kms:{region}:{account}:key/{id}");
            json!({"KeyId": id, "KeyArn": arn})
        };
        Ok(KmsAnswer::read(page.answer("Keys", ids, |id| id, shape)))
    })
}

/// UpdateKeyDescription.
pub(super) fn update_description(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        states::refuse_pending_deletion(call.found.key())?;
        let mut key = call.found.key().clone();
        call.input
            .required("Description")
            .clone_into(&mut key.description);
        let put = call.transaction.put_kms_key(&key).await;
        put.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer::changed(&key))
    })
}
