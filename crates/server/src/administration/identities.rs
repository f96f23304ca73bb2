//! Identities as one document: out of the catalog, compared with it, into it.

use cairn_catalog::identity::{Account, View};

use super::accounts::require_operator;
use super::apply;
use super::document::{AccountEntry, IdentityDocument};
use super::export::account_entry;
use super::plan::{self, PlannedChange};
use crate::query_protocol::{
    Fields, QueryAnswer, QueryError, QueryErrorCode, ReadCall, Running, Shape, WriteCall,
};

/// Changes in one call: the record of the call lists them all.
const CHANGES_MAX: usize = 1_000;

/// GetIdentities.
pub(super) fn export(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        require_operator(world, caller).await?;
        let wanted = input.text("AccountId");
        let mut document = IdentityDocument::default();
        for account in transaction
            .accounts()
            .await
            .map_err(QueryError::from_catalog)?
        {
            if wanted.is_none_or(|wanted| wanted == account.account.as_str()) {
                let mut view = transaction.identities(account.account);
                let entry = account_entry(&mut view, &account).await;
                document
                    .accounts
                    .push(entry.map_err(QueryError::from_catalog)?);
            }
        }
        let json = serde_json::to_string(&document).expect("texts and lists have a JSON form");
        Ok(QueryAnswer::of(Fields::new().text("Document", json)))
    })
}

/// GetIdentitiesPlan: what ApplyIdentities would change.
pub(super) fn plan(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        require_operator(world, caller).await?;
        let document = IdentityDocument::parse(input.required("Document"))?;
        let mut changes = Vec::new();
        for wanted in &document.accounts {
            let mut view = transaction.identities(wanted.id);
            changes.extend(plan_account(&mut view, wanted).await?);
        }
        answer(&changes)
    })
}

/// ApplyIdentities.
pub(super) fn apply(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let WriteCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        require_operator(world, caller).await?;
        let document = IdentityDocument::parse(input.required("Document"))?;
        let mut changes = Vec::new();
        for wanted in &document.accounts {
            let planned = plan_account(&mut transaction.identities(wanted.id), wanted).await?;
            for change in &planned {
                apply::apply(transaction, change, world.entropy.as_ref()).await?;
            }
            changes.extend(planned);
        }
        answer(&changes)
    })
}

async fn plan_account(
    view: &mut View<'_>,
    wanted: &AccountEntry,
) -> Result<Vec<PlannedChange>, QueryError> {
    let held: Option<Account> = view
        .account_facts()
        .await
        .map_err(QueryError::from_catalog)?;
    let current = match held {
        None => None,
        Some(account) => Some(
            account_entry(view, &account)
                .await
                .map_err(QueryError::from_catalog)?,
        ),
    };
    Ok(plan::plan(current.as_ref(), wanted))
}

fn answer(changes: &[PlannedChange]) -> Result<QueryAnswer, QueryError> {
    if changes.len() > CHANGES_MAX {
        let message = format!(
            "{} changes are more than the {CHANGES_MAX} of one call. Split the document.",
            changes.len()
        );
        return Err(QueryError::new(QueryErrorCode::LimitExceeded, message));
    }
    let lines = changes
        .iter()
        .map(|change| Shape::Text(change.to_string()))
        .collect();
    Ok(QueryAnswer::of(
        Fields::new().with("Changes", Shape::List(lines)),
    ))
}
