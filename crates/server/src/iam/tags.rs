//! Tags of users, roles and managed policies: nine operations, three functions.

use cairn_catalog::identity::View;

use super::paging::page;
use super::subject::{named, refuse_protected};
use crate::query_protocol::{
    Fields, QueryAnswer, QueryError, QueryInput, QueryOperation, ReadCall, Running, WriteCall,
};

/// TagUser, TagRole, TagPolicy.
pub(super) fn put(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let owner = owner_id(&mut edit, call.operation, call.input).await?;
        edit.put_tags(&owner, call.input.tags())
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// UntagUser, UntagRole, UntagPolicy.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let owner = owner_id(&mut edit, call.operation, call.input).await?;
        edit.delete_tags(&owner, call.input.texts("TagKeys"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListUserTags, ListRoleTags, ListPolicyTags.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let owner = owner_id(&mut view, call.operation, call.input).await?;
        let tags = view.tags(&owner).await.map_err(QueryError::from_catalog)?;
        let page = page(tags, call.input, |tag| tag.key.clone())?;
        Ok(QueryAnswer::of(page.fields("Tags", |tag| {
            Fields::new()
                .text("Key", &tag.key)
                .text("Value", &tag.value)
                .shape()
        })))
    })
}

/// The user or role that the row is about, or the policy that the call names.
async fn owner_id(
    view: &mut View<'_>,
    operation: &QueryOperation,
    input: &QueryInput,
) -> Result<String, QueryError> {
    if let Some(kind) = operation.subject {
        let identity = named(view, kind, input).await?;
        if !operation.read_only {
            refuse_protected(&identity)?;
        }
        return Ok(identity.id);
    }
    let policy = view.managed_policy(input.required("PolicyArn")).await;
    policy
        .map(|policy| policy.id)
        .map_err(QueryError::from_catalog)
}
