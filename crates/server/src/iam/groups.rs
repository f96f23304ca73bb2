//! Groups and who is in them.

use cairn_catalog::identity::{IdPrefix, IdentityKind, NewIdentity, new_unique_id};

use super::paging::page;
use super::shapes;
use super::subject::named;
use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, Shape, WriteCall};

/// CreateGroup.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let new = NewIdentity {
            id: new_unique_id(IdPrefix::Group, call.world.entropy.as_ref()),
            kind: IdentityKind::Group,
            name: call.input.required("GroupName").to_owned(),
            path: call.input.text("Path").unwrap_or("/").to_owned(),
            boundary_arn: None,
            role: None,
            tags: Vec::new(),
        };
        let group = edit
            .create_identity(new)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::of(
            Fields::new().with("Group", shapes::group(&group).shape()),
        ))
    })
}

/// GetGroup: the group and a page of its members.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let group = named(&mut view, IdentityKind::Group, call.input).await?;
        let members = view
            .members_of(&group.id)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(members, call.input, |user| user.name.to_ascii_lowercase())?;
        let users = page
            .items
            .iter()
            .map(|user| shapes::user(user).shape())
            .collect();
        let fields = Fields::new()
            .with("Group", shapes::group(&group).shape())
            .with("Users", Shape::List(users));
        Ok(QueryAnswer::of(page.end(fields)))
    })
}

/// ListGroups.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let prefix = call.input.text("PathPrefix").unwrap_or("/");
        let mut view = call.transaction.identities(call.caller.account);
        let groups = view
            .identities_of_kind(IdentityKind::Group, prefix)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(groups, call.input, |group| group.name.to_ascii_lowercase())?;
        Ok(QueryAnswer::of(
            page.fields("Groups", |group| shapes::group(group).shape()),
        ))
    })
}

/// ListGroupsForUser.
pub(super) fn list_for_user(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let user = named(&mut view, IdentityKind::User, call.input).await?;
        let groups = view
            .groups_of(&user.id)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(groups, call.input, |group| group.name.to_ascii_lowercase())?;
        Ok(QueryAnswer::of(
            page.fields("Groups", |group| shapes::group(group).shape()),
        ))
    })
}

/// AddUserToGroup.
pub(super) fn add_user(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let group = named(&mut edit, IdentityKind::Group, call.input).await?;
        let user = named(&mut edit, IdentityKind::User, call.input).await?;
        edit.add_member(&group, &user)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// RemoveUserFromGroup.
pub(super) fn remove_user(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let group = named(&mut edit, IdentityKind::Group, call.input).await?;
        let user = named(&mut edit, IdentityKind::User, call.input).await?;
        edit.remove_member(&group, &user)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}
