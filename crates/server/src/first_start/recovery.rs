//! When nobody can get in any more: another key for the operator's administrator, made offline by
//! whoever can read DATA_DIR and its master key, and recorded like any other change.

use std::path::Path;

use cairn_catalog::identity::IdentityKind;
use cairn_catalog::{OutboxEntry, OutboxRecord};
use cairn_eventlog::RecordKind;
use cairn_model::{AccountId, Completion, canonicalize};
use serde_json::json;

use super::{
    ADMINISTRATOR_ACCESS, FirstStartError, create_administrator, credentials_text,
    operator_account, publish_private, stage_private,
};
use crate::doors::ServiceEvent;
use crate::iam::{IssuedKey, issue_access_key};
use crate::query_protocol::World;

/// Replaces the keys of the operator's administrator, makes the user anew if it is gone, and writes
/// `credentials`. None if there has been no first start.
pub(crate) async fn recover(
    world: &World,
    data_dir: &Path,
    administrator: &str,
) -> Result<Option<AccountId>, FirstStartError> {
    let catalog = FirstStartError::Catalog;
    let Some(account) = operator_account(&world.catalog).await.map_err(catalog)? else {
        return Ok(None);
    };
    let mut transaction = world.catalog.begin().await.map_err(catalog)?;
    let mut edit = transaction.identities(account);
    let held = edit
        .find_identity(IdentityKind::User, administrator)
        .await
        .map_err(catalog)?;
    let key = match held {
        None => create_administrator(world, &mut transaction, account, administrator).await?,
        Some(user) => {
            for key in edit.access_keys(Some(&user.id)).await.map_err(catalog)? {
                let deleted = edit.delete_access_key(Some(&user.id), &key.key_id).await;
                deleted.map_err(catalog)?;
            }
            edit.set_boundary(&user.id, None).await.map_err(catalog)?;
            edit.attach_policy(&user, ADMINISTRATOR_ACCESS)
                .await
                .map_err(catalog)?;
            let issued = issue_access_key(world, &mut edit, Some(&user.id)).await;
            issued.map_err(FirstStartError::Key)?
        }
    };
    let entry = OutboxEntry {
        records: vec![event(world, account, administrator, &key)],
    };
    transaction.enqueue(entry).await.map_err(catalog)?;
    // The old file is good until the commit, the new one from then on; whoever is interrupted between
    // finds the new one beside the old.
    let path = data_dir.join("credentials");
    stage_private(&path, credentials_text(&key).as_bytes())?;
    transaction.commit().await.map_err(catalog)?;
    publish_private(&path)?;
    Ok(Some(account))
}

/// A service event, as of something that no API call did (REC-124 to REC-126).
fn event(world: &World, account: AccountId, administrator: &str, key: &IssuedKey) -> OutboxRecord {
    let event = ServiceEvent {
        account,
        region: "us-east-1",
        completed_ms: world.clock.now_ms(),
        event_source: "cairn.amazonaws.com",
        event_name: "RecoverAdministrator",
        details: json!({"userName": administrator, "accessKeyId": key.key_id}),
    };
    let source = event.to_json(&world.entropy.uuid());
    let mut new_event_id = || world.entropy.uuid();
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let canonical =
        canonicalize(&source, &mut completion).expect("the event above is complete and small");
    let mut header = Vec::new();
    canonical.header.encode(&mut header);
    OutboxRecord {
        kind: RecordKind::Event as u8,
        header,
        body: canonical.json.to_vec(),
    }
}
