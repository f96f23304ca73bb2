//! Roles.

use cairn_access::policy::PolicyKind;
use cairn_catalog::identity::{
    IdPrefix, Identity, IdentityKind, NewIdentity, RoleFacts, new_unique_id,
};

use super::paging::page;
use super::shapes;
use super::subject::{check_attachable, check_document, named, refuse_protected};
use crate::query_protocol::{
    Fields, QueryAnswer, QueryError, QueryErrorCode, ReadCall, Running, Shape, WriteCall,
};

/// The session length of a role that says none.
const SESSION_SECONDS: u32 = 3_600;

/// CreateRole.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let input = call.input;
        let trust_policy = input.required("AssumeRolePolicyDocument").to_owned();
        check_document(&trust_policy, PolicyKind::Trust)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let boundary = input.text("PermissionsBoundary");
        if let Some(arn) = boundary {
            check_attachable(&mut edit, arn).await?;
        }
        let new = NewIdentity {
            id: new_unique_id(IdPrefix::Role, call.world.entropy.as_ref()),
            kind: IdentityKind::Role,
            name: input.required("RoleName").to_owned(),
            path: input.text("Path").unwrap_or("/").to_owned(),
            boundary_arn: boundary.map(str::to_owned),
            role: Some(RoleFacts {
                trust_policy,
                description: input.text("Description").map(str::to_owned),
                max_session_seconds: seconds(input.number("MaxSessionDuration"))
                    .unwrap_or(SESSION_SECONDS),
            }),
            tags: input.tags().to_vec(),
        };
        if new.path.starts_with("/aws-service-role/") {
            let message = "Only a service may create roles under /aws-service-role/.";
            return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
        }
        let role = edit
            .create_identity(new)
            .await
            .map_err(QueryError::from_catalog)?;
        let fields = shapes::new_role(&role)
            .maybe("PermissionsBoundary", shapes::boundary(&role))
            .maybe("Tags", shapes::some_tags(input.tags()));
        Ok(QueryAnswer::of(Fields::new().with("Role", fields.shape())))
    })
}

/// GetRole.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let role = named(&mut view, IdentityKind::Role, call.input).await?;
        let tags = view
            .tags(&role.id)
            .await
            .map_err(QueryError::from_catalog)?;
        let fields = shapes::role(&role)
            .maybe("PermissionsBoundary", shapes::boundary(&role))
            .maybe("Tags", shapes::some_tags(&tags))
            .with("RoleLastUsed", Fields::new().shape());
        Ok(QueryAnswer::of(Fields::new().with("Role", fields.shape())))
    })
}

/// ListRoles.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let prefix = call.input.text("PathPrefix").unwrap_or("/");
        let mut view = call.transaction.identities(call.caller.account);
        let roles = view
            .identities_of_kind(IdentityKind::Role, prefix)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(roles, call.input, |role| role.name.to_ascii_lowercase())?;
        Ok(QueryAnswer::of(
            page.fields("Roles", |role| shapes::role(role).shape()),
        ))
    })
}

/// UpdateRole: what is not given becomes empty, as IAM documents it for the description.
pub(super) fn update(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let description = call.input.text("Description").map(str::to_owned);
        let max_session_seconds = seconds(call.input.number("MaxSessionDuration"));
        change(call, |facts| {
            facts.description = description;
            facts.max_session_seconds = max_session_seconds.unwrap_or(facts.max_session_seconds);
        })
        .await?;
        Ok(QueryAnswer::of(Fields::new()))
    })
}

/// UpdateRoleDescription.
pub(super) fn update_description(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let description = call.input.text("Description").map(str::to_owned);
        let role = change(call, |facts| facts.description = description).await?;
        Ok(QueryAnswer::of(
            Fields::new().with("Role", shapes::role(&role).shape()),
        ))
    })
}

/// UpdateAssumeRolePolicy.
pub(super) fn update_trust(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let document = call.input.required("PolicyDocument").to_owned();
        check_document(&document, PolicyKind::Trust)?;
        change(call, |facts| facts.trust_policy = document).await?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListInstanceProfilesForRole: there are no instance profiles, which tools that delete roles ask for.
pub(super) fn list_instance_profiles(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        named(&mut view, IdentityKind::Role, call.input).await?;
        let none = Fields::new()
            .with("IsTruncated", Shape::Flag(false))
            .with("InstanceProfiles", Shape::List(Vec::new()));
        Ok(QueryAnswer::of(none))
    })
}

async fn change(
    call: WriteCall<'_>,
    apply: impl FnOnce(&mut RoleFacts) + Send,
) -> Result<Identity, QueryError> {
    let mut edit = call.transaction.identities(call.caller.account);
    let mut role = named(&mut edit, IdentityKind::Role, call.input).await?;
    refuse_protected(&role)?;
    if let Some(facts) = &mut role.role {
        apply(facts);
        edit.update_role(&role.id, facts)
            .await
            .map_err(QueryError::from_catalog)?;
    }
    Ok(role)
}

/// The table has checked the range.
fn seconds(asked: Option<i64>) -> Option<u32> {
    asked.and_then(|asked| u32::try_from(asked).ok())
}
