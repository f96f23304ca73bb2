//! Managed policies attached to users, groups and roles: nine operations, three functions.

use super::paging::page;
use super::subject::{check_attachable, kind_of, named, refuse_protected};
use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, WriteCall};

/// AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy.
pub(super) fn attach(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let arn = call.input.required("PolicyArn");
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        check_attachable(&mut edit, arn).await?;
        edit.attach_policy(&identity, arn)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy.
pub(super) fn detach(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        edit.detach_policy(&identity, call.input.required("PolicyArn"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let prefix = call.input.text("PathPrefix").unwrap_or("/");
        let mut view = call.transaction.identities(call.caller.account);
        let identity = named(&mut view, kind, call.input).await?;
        let mut arns = view
            .attached_policies(&identity.id)
            .await
            .map_err(QueryError::from_catalog)?;
        arns.retain(|arn| path_and_name(arn).0.starts_with(prefix));
        let page = page(arns, call.input, Clone::clone)?;
        Ok(QueryAnswer::of(page.fields("AttachedPolicies", |arn| {
            Fields::new()
                .text("PolicyName", path_and_name(arn).1)
                .text("PolicyArn", arn)
                .shape()
        })))
    })
}

/// `/path/` and the name, of `arn:aws:iam::…:policy/path/name`.
pub(super) fn path_and_name(arn: &str) -> (&str, &str) {
    let resource = arn
        .find(":policy/")
        .map_or(arn, |at| &arn[at + ":policy".len()..]);
    let name_at = resource.rfind('/').map_or(0, |slash| slash + 1);
    resource.split_at(name_at)
}
