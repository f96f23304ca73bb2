//! GetAccountAuthorizationDetails: everything that decides who may do what, in pages.

use cairn_access::policy::{ManagedPolicy as AwsPolicy, managed};
use cairn_catalog::identity::{Identity, IdentityKind, ManagedPolicy, View};

use super::attachments::path_and_name;
use super::managed_policies::{policy_use, version_fields};
use super::paging::page;
use super::shapes;
use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, Shape};

enum Item {
    Identity(Identity),
    Own(ManagedPolicy),
    Aws(&'static AwsPolicy),
}

/// GetAccountAuthorizationDetails.
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let wanted = call.input.texts("Filter");
        let mut view = call.transaction.identities(call.caller.account);
        let items = collect(&mut view, wanted).await?;
        let page = page(items, call.input, Item::key)?;
        let (mut users, mut groups, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        let mut policies = Vec::new();
        for item in &page.items {
            match item {
                Item::Own(policy) => policies.push(own_policy(&mut view, policy).await?),
                Item::Aws(policy) => policies.push(aws_policy(&mut view, policy).await?),
                Item::Identity(identity) => {
                    let shape = details(&mut view, identity).await?;
                    match identity.kind {
                        IdentityKind::User => users.push(shape),
                        IdentityKind::Group => groups.push(shape),
                        IdentityKind::Role => roles.push(shape),
                    }
                }
            }
        }
        let fields = Fields::new()
            .with("UserDetailList", Shape::List(users))
            .with("GroupDetailList", Shape::List(groups))
            .with("RoleDetailList", Shape::List(roles))
            .with("Policies", Shape::List(policies));
        Ok(QueryAnswer::of(page.end(fields)))
    })
}

impl Item {
    fn key(&self) -> String {
        match self {
            Self::Identity(identity) => {
                format!(
                    "{} {}",
                    identity.kind.as_str(),
                    identity.name.to_ascii_lowercase()
                )
            }
            Self::Own(policy) => format!("policy {}", policy.arn),
            Self::Aws(policy) => format!("policy {}", policy.arn),
        }
    }
}

/// What the filter names; everything if it names nothing. Of AWS's policies only those in use.
async fn collect(view: &mut View<'_>, wanted: &[String]) -> Result<Vec<Item>, QueryError> {
    let asks = |name: &str| wanted.is_empty() || wanted.iter().any(|filter| filter == name);
    let mut items = Vec::new();
    for (name, kind) in [
        ("User", IdentityKind::User),
        ("Group", IdentityKind::Group),
        ("Role", IdentityKind::Role),
    ] {
        if asks(name) {
            let held = view.identities_of_kind(kind, "/").await;
            items.extend(
                held.map_err(QueryError::from_catalog)?
                    .into_iter()
                    .map(Item::Identity),
            );
        }
    }
    if asks("LocalManagedPolicy") {
        let own = view
            .managed_policies("/")
            .await
            .map_err(QueryError::from_catalog)?;
        items.extend(own.into_iter().map(Item::Own));
    }
    if asks("AWSManagedPolicy") {
        for policy in managed() {
            let held = policy_use(view, &policy.arn).await?;
            if held.attached > 0 || held.bounding > 0 {
                items.push(Item::Aws(policy));
            }
        }
    }
    Ok(items)
}

async fn details(view: &mut View<'_>, identity: &Identity) -> Result<Shape, QueryError> {
    let inline = view
        .inline_policies(&identity.id)
        .await
        .map_err(QueryError::from_catalog)?;
    let inline = inline.into_iter().map(|(name, document)| {
        let document = Shape::Document(document);
        Fields::new()
            .text("PolicyName", name)
            .with("PolicyDocument", document)
            .shape()
    });
    let inline = Shape::List(inline.collect());
    let arns = view
        .attached_policies(&identity.id)
        .await
        .map_err(QueryError::from_catalog)?;
    let attached = arns.iter().map(|arn| {
        Fields::new()
            .text("PolicyName", path_and_name(arn).1)
            .text("PolicyArn", arn)
            .shape()
    });
    let attached = Shape::List(attached.collect());
    let tags = view
        .tags(&identity.id)
        .await
        .map_err(QueryError::from_catalog)?;
    let fields = match identity.kind {
        IdentityKind::User => {
            let groups = view
                .groups_of(&identity.id)
                .await
                .map_err(QueryError::from_catalog)?;
            let names = groups
                .into_iter()
                .map(|group| Shape::Text(group.name))
                .collect();
            shapes::user(identity)
                .with("UserPolicyList", inline)
                .with("GroupList", Shape::List(names))
        }
        IdentityKind::Group => shapes::group(identity).with("GroupPolicyList", inline),
        IdentityKind::Role => shapes::new_role(identity)
            .with("InstanceProfileList", Shape::List(Vec::new()))
            .with("RolePolicyList", inline)
            .with("RoleLastUsed", Fields::new().shape()),
    };
    let fields = fields
        .with("AttachedManagedPolicies", attached)
        .maybe("PermissionsBoundary", shapes::boundary(identity));
    let tagged = identity.kind != IdentityKind::Group;
    Ok(fields
        .maybe("Tags", tagged.then(|| shapes::tags(&tags)))
        .shape())
}

async fn own_policy(view: &mut View<'_>, policy: &ManagedPolicy) -> Result<Shape, QueryError> {
    let held = policy_use(view, &policy.arn).await?;
    let versions = view
        .policy_versions(&policy.id)
        .await
        .map_err(QueryError::from_catalog)?;
    let versions = versions.iter().map(|version| {
        Fields::new()
            .with("Document", Shape::Document(version.document.clone()))
            .extend(version_fields(
                version,
                version.version == policy.default_version,
            ))
            .shape()
    });
    let list = Shape::List(versions.collect());
    Ok(shapes::managed_policy(policy, held)
        .with("PolicyVersionList", list)
        .shape())
}

async fn aws_policy(view: &mut View<'_>, policy: &AwsPolicy) -> Result<Shape, QueryError> {
    let held = policy_use(view, &policy.arn).await?;
    let list = Shape::List(vec![shapes::aws_policy_version(policy).shape()]);
    Ok(shapes::aws_policy(policy, held)
        .with("PolicyVersionList", list)
        .shape())
}
