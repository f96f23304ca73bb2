//! Permissions boundaries of users and roles: four operations, two functions.

use super::subject::{check_attachable, kind_of, named, refuse_protected};
use crate::query_protocol::{QueryAnswer, QueryError, QueryErrorCode, Running, WriteCall};

/// PutUserPermissionsBoundary, PutRolePermissionsBoundary.
pub(super) fn put(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let arn = call.input.required("PermissionsBoundary");
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        check_attachable(&mut edit, arn).await?;
        edit.set_boundary(&identity.id, Some(arn))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DeleteUserPermissionsBoundary, DeleteRolePermissionsBoundary.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = kind_of(call.operation)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let identity = named(&mut edit, kind, call.input).await?;
        refuse_protected(&identity)?;
        if identity.boundary_arn.is_none() {
            let (kind, name) = (kind.as_str(), &identity.name);
            let message =
                format!("The {kind} with name {name} does not have a permissions boundary.");
            return Err(QueryError::new(QueryErrorCode::NoSuchEntity, message));
        }
        edit.set_boundary(&identity.id, None)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}
