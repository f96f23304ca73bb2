//! Users.

use cairn_catalog::identity::{IdPrefix, IdentityKind, NewIdentity, new_unique_id};

use super::paging::page;
use super::shapes;
use super::subject::{check_attachable, named, named_or_calling_user};
use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, Shape, WriteCall};

/// CreateUser.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let boundary = call.input.text("PermissionsBoundary");
        if let Some(arn) = boundary {
            check_attachable(&mut edit, arn).await?;
        }
        let new = NewIdentity {
            id: new_unique_id(IdPrefix::User, call.world.entropy.as_ref()),
            kind: IdentityKind::User,
            name: call.input.required("UserName").to_owned(),
            path: call.input.text("Path").unwrap_or("/").to_owned(),
            boundary_arn: boundary.map(str::to_owned),
            role: None,
            tags: call.input.tags().to_vec(),
        };
        let user = edit
            .create_identity(new)
            .await
            .map_err(QueryError::from_catalog)?;
        let fields = shapes::user(&user)
            .maybe("PermissionsBoundary", shapes::boundary(&user))
            .maybe("Tags", shapes::some_tags(call.input.tags()));
        Ok(QueryAnswer::of(Fields::new().with("User", fields.shape())))
    })
}

/// GetUser. Without a name it is about the caller, the root user included.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let account = call.caller.account;
        let mut view = call.transaction.identities(account);
        let user = named_or_calling_user(&mut view, call.input, call.caller).await?;
        let fields = if let Some(user) = user {
            let tags = view
                .tags(&user.id)
                .await
                .map_err(QueryError::from_catalog)?;
            shapes::user(&user)
                .maybe("PermissionsBoundary", shapes::boundary(&user))
                .maybe("Tags", shapes::some_tags(&tags))
        } else {
            let facts = view
                .account_facts()
                .await
                .map_err(QueryError::from_catalog)?;
            let created_ms = facts.map_or(0, |facts| facts.created_ms);
            Fields::new()
                .text("Path", "/")
                .text("UserId", account.as_str())
                .text("Arn", call.caller.principal.arn())
                .with("CreateDate", Shape::Time(created_ms))
        };
        Ok(QueryAnswer::of(Fields::new().with("User", fields.shape())))
    })
}

/// ListUsers.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let prefix = call.input.text("PathPrefix").unwrap_or("/");
        let mut view = call.transaction.identities(call.caller.account);
        let users = view
            .identities_of_kind(IdentityKind::User, prefix)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(users, call.input, |user| user.name.to_ascii_lowercase())?;
        Ok(QueryAnswer::of(
            page.fields("Users", |user| shapes::user(user).shape()),
        ))
    })
}

/// UpdateUser.
pub(super) fn update(call: WriteCall<'_>) -> Running<'_> {
    rename(call, IdentityKind::User, "NewUserName")
}

/// UpdateGroup.
pub(super) fn update_group(call: WriteCall<'_>) -> Running<'_> {
    rename(call, IdentityKind::Group, "NewGroupName")
}

fn rename<'a>(call: WriteCall<'a>, kind: IdentityKind, new_name: &'static str) -> Running<'a> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let held = named(&mut edit, kind, call.input).await?;
        let name = call.input.text(new_name).unwrap_or(&held.name);
        let path = call.input.text("NewPath").unwrap_or(&held.path);
        edit.rename_identity(&held, name, path)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DeleteUser, DeleteGroup and DeleteRole.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let kind = super::subject::kind_of(call.operation)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let held = named(&mut edit, kind, call.input).await?;
        super::subject::refuse_protected(&held)?;
        edit.delete_identity(&held)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}
