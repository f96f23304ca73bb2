//! Inline policies of users, groups and roles: twelve operations, four functions.

use cairn_access::policy::PolicyKind;

use super::paging::page;
use super::subject::{check_document, kind_of, name_parameter, named, refuse_protected};
use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, Shape, WriteCall};

/// PutUserPolicy, PutGroupPolicy, PutRolePolicy.
pub(super) fn put(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let document = call.input.required("PolicyDocument");
        check_document(document, PolicyKind::Identity)?;
        let kind = kind_of(call.operation)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        edit.put_inline_policy(&identity, call.input.required("PolicyName"), document)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// GetUserPolicy, GetGroupPolicy, GetRolePolicy.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let name = call.input.required("PolicyName");
        let mut view = call.transaction.identities(call.caller.account);
        let identity = named(&mut view, kind, call.input).await?;
        let document = view
            .inline_policy(&identity, name)
            .await
            .map_err(QueryError::from_catalog)?;
        let fields = Fields::new()
            .text(name_parameter(kind), identity.name)
            .text("PolicyName", name)
            .with("PolicyDocument", Shape::Document(document));
        Ok(QueryAnswer::of(fields))
    })
}

/// DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        edit.delete_inline_policy(&identity, call.input.required("PolicyName"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListUserPolicies, ListGroupPolicies, ListRolePolicies.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let mut view = call.transaction.identities(call.caller.account);
        let identity = named(&mut view, kind, call.input).await?;
        let policies = view
            .inline_policies(&identity.id)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(policies, call.input, |(name, _)| name.to_ascii_lowercase())?;
        Ok(QueryAnswer::of(page.fields("PolicyNames", |(name, _)| {
            Shape::Text(name.clone())
        })))
    })
}
