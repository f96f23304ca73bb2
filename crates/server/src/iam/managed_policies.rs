//! Managed policies: those of the customer, which change by versions, and AWS's own, which do not.

use cairn_access::policy::{PolicyKind, managed, managed_by_arn};
use cairn_catalog::identity::{
    Edit, IdPrefix, Identity, IdentityKind, ManagedPolicy, NewManagedPolicy, PolicyVersion, View,
    new_unique_id,
};

use super::paging::page;
use super::shapes::{self, PolicyUse};
use super::subject::check_document;
use crate::query_protocol::{
    Caller, Fields, QueryAnswer, QueryError, QueryErrorCode, ReadCall, Running, Shape, WriteCall,
};

/// CreatePolicy.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let input = call.input;
        let document = input.required("PolicyDocument").to_owned();
        check_document(&document, PolicyKind::Identity)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let new = NewManagedPolicy {
            id: new_unique_id(IdPrefix::ManagedPolicy, call.world.entropy.as_ref()),
            name: input.required("PolicyName").to_owned(),
            path: input.text("Path").unwrap_or("/").to_owned(),
            description: input.text("Description").map(str::to_owned),
            document,
            tags: input.tags().to_vec(),
        };
        let policy = edit
            .create_managed_policy(new)
            .await
            .map_err(QueryError::from_catalog)?;
        let fields = shapes::managed_policy(&policy, PolicyUse::default())
            .maybe("Tags", shapes::some_tags(input.tags()));
        Ok(QueryAnswer::of(
            Fields::new().with("Policy", fields.shape()),
        ))
    })
}

/// GetPolicy.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let arn = call.input.required("PolicyArn");
        let mut view = call.transaction.identities(call.caller.account);
        let held = policy_use(&mut view, arn).await?;
        let fields = if let Some(policy) = managed_by_arn(arn) {
            shapes::aws_policy(policy, held).text("Description", policy.description)
        } else {
            let policy = own(&mut view, arn, call.caller).await?;
            let tags = view
                .tags(&policy.id)
                .await
                .map_err(QueryError::from_catalog)?;
            shapes::managed_policy(&policy, held)
                .maybe("Description", policy.description.map(Shape::Text))
                .with("Tags", shapes::tags(&tags))
        };
        Ok(QueryAnswer::of(
            Fields::new().with("Policy", fields.shape()),
        ))
    })
}

/// ListPolicies.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let input = call.input;
        let prefix = input.text("PathPrefix").unwrap_or("/");
        let scope = input.text("Scope").unwrap_or("All");
        let usage = input.text("PolicyUsageFilter");
        let mut view = call.transaction.identities(call.caller.account);
        let mut rows: Vec<(String, Fields)> = Vec::new();
        if scope != "Local" {
            for policy in managed()
                .iter()
                .filter(|policy| policy.path.starts_with(prefix))
            {
                let held = policy_use(&mut view, &policy.arn).await?;
                if listed(held, input.flag("OnlyAttached"), usage) {
                    let key = policy.name.to_ascii_lowercase();
                    rows.push((key, shapes::aws_policy(policy, held)));
                }
            }
        }
        if scope != "AWS" {
            let own = view
                .managed_policies(prefix)
                .await
                .map_err(QueryError::from_catalog)?;
            for policy in own {
                let held = policy_use(&mut view, &policy.arn).await?;
                if listed(held, input.flag("OnlyAttached"), usage) {
                    let key = policy.name.to_ascii_lowercase();
                    rows.push((key, shapes::managed_policy(&policy, held)));
                }
            }
        }
        // A customer's policy may have the name of one of AWS's: the key must still be unique.
        for (ordinal, row) in rows.iter_mut().enumerate() {
            row.0 = format!("{}\u{1f}{ordinal:06}", row.0);
        }
        let page = page(rows, input, |(key, _)| key.clone())?;
        Ok(QueryAnswer::of(
            page.fields("Policies", |(_, fields)| fields.clone().shape()),
        ))
    })
}

fn listed(held: PolicyUse, only_attached: bool, usage: Option<&str>) -> bool {
    let attached_enough = !only_attached || held.attached > 0 || held.bounding > 0;
    attached_enough
        && match usage {
            Some("PermissionsBoundary") => held.bounding > 0,
            Some(_) => held.attached > 0,
            None => true,
        }
}

/// DeletePolicy.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let policy = own(&mut edit, call.input.required("PolicyArn"), call.caller).await?;
        edit.delete_managed_policy(&policy)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// CreatePolicyVersion.
pub(super) fn create_version(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let document = call.input.required("PolicyDocument");
        check_document(document, PolicyKind::Identity)?;
        let mut edit = call.transaction.identities(call.caller.account);
        let policy = own(&mut edit, call.input.required("PolicyArn"), call.caller).await?;
        let version = new_version(&mut edit, &policy, document).await?;
        let in_force = call.input.flag("SetAsDefault");
        if in_force {
            edit.set_default_version(&policy, version.version)
                .await
                .map_err(QueryError::from_catalog)?;
        }
        let fields = version_fields(&version, in_force);
        Ok(QueryAnswer::of(
            Fields::new().with("PolicyVersion", fields.shape()),
        ))
    })
}

async fn new_version(
    edit: &mut Edit<'_>,
    policy: &ManagedPolicy,
    document: &str,
) -> Result<PolicyVersion, QueryError> {
    edit.create_policy_version(policy, document).await.map_err(|error| {
        let mut error = QueryError::from_catalog(error);
        if error.message.contains("VersionsPerPolicy") {
            "A managed policy can have up to 5 versions. Before you create a new version, you must \
             delete an existing version."
                .clone_into(&mut error.message);
        }
        error
    })
}

/// GetPolicyVersion.
pub(super) fn get_version(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let arn = call.input.required("PolicyArn");
        let version = call.input.required("VersionId");
        let mut view = call.transaction.identities(call.caller.account);
        let fields = match managed_by_arn(arn) {
            Some(policy) if version == "v1" => shapes::aws_policy_version(policy),
            Some(_) => {
                let message =
                    format!("Policy {arn} version {version} does not exist or is not attachable.");
                return Err(QueryError::new(QueryErrorCode::NoSuchEntity, message));
            }
            None => {
                let policy = own(&mut view, arn, call.caller).await?;
                let held = view
                    .policy_version(&policy, number(version))
                    .await
                    .map_err(QueryError::from_catalog)?;
                let in_force = held.version == policy.default_version;
                Fields::new()
                    .with("Document", Shape::Document(held.document.clone()))
                    .extend(version_fields(&held, in_force))
            }
        };
        Ok(QueryAnswer::of(
            Fields::new().with("PolicyVersion", fields.shape()),
        ))
    })
}

/// ListPolicyVersions.
pub(super) fn list_versions(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let arn = call.input.required("PolicyArn");
        let mut view = call.transaction.identities(call.caller.account);
        let rows: Vec<(u32, Fields)> = if let Some(policy) = managed_by_arn(arn) {
            vec![(1, shapes::aws_policy_version(policy).without("Document"))]
        } else {
            let policy = own(&mut view, arn, call.caller).await?;
            let held = view
                .policy_versions(&policy.id)
                .await
                .map_err(QueryError::from_catalog)?;
            let fields = |held: &PolicyVersion| {
                (
                    held.version,
                    version_fields(held, held.version == policy.default_version),
                )
            };
            held.iter().map(fields).collect()
        };
        // Newest first.
        let page = page(rows, call.input, |(version, _)| {
            format!("{:010}", u32::MAX - version)
        })?;
        Ok(QueryAnswer::of(
            page.fields("Versions", |(_, fields)| fields.clone().shape()),
        ))
    })
}

/// SetDefaultPolicyVersion.
pub(super) fn set_default_version(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let policy = own(&mut edit, call.input.required("PolicyArn"), call.caller).await?;
        edit.set_default_version(&policy, number(call.input.required("VersionId")))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DeletePolicyVersion.
pub(super) fn delete_version(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let policy = own(&mut edit, call.input.required("PolicyArn"), call.caller).await?;
        edit.delete_policy_version(&policy, number(call.input.required("VersionId")))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListEntitiesForPolicy.
pub(super) fn list_entities(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let input = call.input;
        let arn = input.required("PolicyArn");
        let prefix = input.text("PathPrefix").unwrap_or("/");
        let mut view = call.transaction.identities(call.caller.account);
        if managed_by_arn(arn).is_none() {
            own(&mut view, arn, call.caller).await?;
        }
        let mut holders = match input.text("PolicyUsageFilter") {
            Some("PermissionsBoundary") => view.bounded_by(arn).await,
            Some(_) => view.attached_to(arn).await,
            None => both(&mut view, arn).await,
        }
        .map_err(QueryError::from_catalog)?;
        let kind = match input.text("EntityFilter") {
            Some("User") => Some(IdentityKind::User),
            Some("Group") => Some(IdentityKind::Group),
            Some("Role") => Some(IdentityKind::Role),
            _ => None,
        };
        holders.retain(|held| {
            held.path.starts_with(prefix) && kind.is_none_or(|kind| held.kind == kind)
        });
        let page = page(holders, input, |held| {
            format!("{} {}", held.kind.as_str(), held.name.to_ascii_lowercase())
        })?;
        let fields = Fields::new()
            .with("PolicyGroups", of_kind(&page.items, IdentityKind::Group))
            .with("PolicyUsers", of_kind(&page.items, IdentityKind::User))
            .with("PolicyRoles", of_kind(&page.items, IdentityKind::Role));
        Ok(QueryAnswer::of(page.end(fields)))
    })
}

async fn both(
    view: &mut View<'_>,
    arn: &str,
) -> Result<Vec<Identity>, cairn_catalog::CatalogError> {
    let mut holders = view.attached_to(arn).await?;
    for bounded in view.bounded_by(arn).await? {
        if !holders.contains(&bounded) {
            holders.push(bounded);
        }
    }
    Ok(holders)
}

fn of_kind(holders: &[Identity], kind: IdentityKind) -> Shape {
    let (name, id) = match kind {
        IdentityKind::User => ("UserName", "UserId"),
        IdentityKind::Group => ("GroupName", "GroupId"),
        IdentityKind::Role => ("RoleName", "RoleId"),
    };
    let holder = |held: &Identity| {
        Fields::new()
            .text(name, &held.name)
            .text(id, &held.id)
            .shape()
    };
    Shape::List(
        holders
            .iter()
            .filter(|held| held.kind == kind)
            .map(holder)
            .collect(),
    )
}

/// A policy of the caller's account; AWS's own and other accounts' are out of reach.
async fn own(view: &mut View<'_>, arn: &str, caller: &Caller) -> Result<ManagedPolicy, QueryError> {
    if !arn.starts_with("arn:") {
        let message = format!("ARN {arn} is not valid.");
        return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
    }
    let ours = format!("arn:aws:iam::{}:policy/", caller.account);
    if managed_by_arn(arn).is_some() || (arn.contains(":policy/") && !arn.starts_with(&ours)) {
        let message = "Policy is outside your own account.";
        return Err(QueryError::new(QueryErrorCode::AccessDenied, message));
    }
    view.managed_policy(arn)
        .await
        .map_err(QueryError::from_catalog)
}

pub(super) async fn policy_use(view: &mut View<'_>, arn: &str) -> Result<PolicyUse, QueryError> {
    let attached = view
        .attached_to(arn)
        .await
        .map_err(QueryError::from_catalog)?
        .len();
    let bounding = view
        .bounded_by(arn)
        .await
        .map_err(QueryError::from_catalog)?
        .len();
    Ok(PolicyUse { attached, bounding })
}

pub(super) fn version_fields(version: &PolicyVersion, in_force: bool) -> Fields {
    Fields::new()
        .text("VersionId", shapes::version_id(version.version))
        .with("IsDefaultVersion", Shape::Flag(in_force))
        .with("CreateDate", Shape::Time(version.created_ms))
}

/// The number of a version ID, whose form the table has checked.
fn number(version_id: &str) -> u32 {
    version_id.trim_start_matches('v').parse().unwrap_or(0)
}
