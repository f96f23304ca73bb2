//! What an IAM call is authorized on. Resources are named by their true ARNs, paths included, so the
//! identity is looked up first; one that does not exist is named as if it had no path.

use cairn_catalog::identity::{Identity, IdentityKind, ReadIdentities, Tag, View};
use cairn_model::AccountId;

use super::subject::name_parameter;
use crate::query_protocol::{
    AuthorizationTarget, Caller, QueryError, QueryInput, QueryOperation, ResourceRule,
};

/// The questions of an IAM operation: one each, and two for a new name or path, because whoever gives a
/// user a name must be allowed to touch the user of that name too.
pub(crate) async fn authorization_targets(
    operation: &'static QueryOperation,
    input: &QueryInput,
    caller: &Caller,
    identities: &mut dyn ReadIdentities,
) -> Result<Vec<AuthorizationTarget>, QueryError> {
    let account = caller.account;
    let mut view = identities.view(account);
    let subject = subject_of(operation.resource, input, caller, &mut view).await?;
    let mut keys = Vec::new();
    for tag in &subject.tags {
        keys.push((
            format!("iam:ResourceTag/{}", tag.key),
            vec![tag.value.clone()],
        ));
    }
    if let (Some(arn), false) = (input.text("PolicyArn"), subject.is_policy) {
        keys.push(("iam:PolicyARN".to_owned(), vec![arn.to_owned()]));
    }
    // The boundary that a call sets counts; else the one that the identity has.
    let boundary = input
        .text("PermissionsBoundary")
        .map(str::to_owned)
        .or(subject.boundary);
    if let Some(arn) = boundary {
        keys.push(("iam:PermissionsBoundary".to_owned(), vec![arn]));
    }
    let target = AuthorizationTarget {
        action: operation.action(),
        resource: subject.arn,
        resource_account: account,
        resource_tags: subject.tags,
        request_tags: input.tags().to_vec(),
        tag_keys: input.texts("TagKeys").to_vec(),
        keys,
        trust_policy: None,
        key_policy: None,
        refusal: None,
    };
    let renamed = renamed(operation.resource, input, &target.resource);
    let also = renamed.map(|resource| AuthorizationTarget {
        resource,
        ..target.clone()
    });
    Ok(std::iter::once(target).chain(also).collect())
}

/// The ARN that the identity will have.
fn renamed(rule: ResourceRule, input: &QueryInput, resource: &str) -> Option<String> {
    let ResourceRule::Identity(kind) = rule else {
        return None;
    };
    let new_name = match kind {
        IdentityKind::User => input.text("NewUserName"),
        IdentityKind::Group => input.text("NewGroupName"),
        IdentityKind::Role => None,
    };
    let new_path = input.text("NewPath");
    if new_name.is_none() && new_path.is_none() {
        return None;
    }
    let (owner, identity) = resource.split_once('/')?;
    let (path, name) = identity.rsplit_once('/').unwrap_or(("", identity));
    let path = new_path.map_or(path, |path| path.trim_matches('/'));
    let separator = if path.is_empty() { "" } else { "/" };
    let name = new_name.unwrap_or(name);
    Some(format!("{owner}/{path}{separator}{name}"))
}

#[derive(Default)]
struct Subject {
    arn: String,
    tags: Vec<Tag>,
    boundary: Option<String>,
    is_policy: bool,
}

async fn subject_of(
    rule: ResourceRule,
    input: &QueryInput,
    caller: &Caller,
    view: &mut View<'_>,
) -> Result<Subject, QueryError> {
    let account = caller.account;
    let path = input.text("Path").unwrap_or("/");
    let prefix = input.text("PathPrefix").unwrap_or("/");
    let arn_only = |arn: String| Subject {
        arn,
        ..Subject::default()
    };
    Ok(match rule {
        ResourceRule::Open | ResourceRule::Any | ResourceRule::AssumedRole => {
            arn_only("*".to_owned())
        }
        ResourceRule::Identity(kind) => identity_subject(kind, input, caller, view).await?,
        ResourceRule::KeyOwner => key_owner(input, caller, view).await?,
        ResourceRule::NewIdentity(kind) => arn_only(arn(
            account,
            kind.as_str(),
            path,
            input.required(name_parameter(kind)),
        )),
        ResourceRule::Identities(kind) => arn_only(arn(account, kind.as_str(), prefix, "")),
        ResourceRule::NewPolicy => {
            let arn = arn(account, "policy", path, input.required("PolicyName"));
            Subject {
                arn,
                is_policy: true,
                ..Subject::default()
            }
        }
        ResourceRule::Policies => arn_only(arn(account, "policy", prefix, "")),
        ResourceRule::Policy => {
            let arn = input.required("PolicyArn");
            let policy = view
                .find_managed_policy(arn)
                .await
                .map_err(QueryError::from_catalog)?;
            let tags = match policy {
                Some(policy) => view
                    .tags(&policy.id)
                    .await
                    .map_err(QueryError::from_catalog)?,
                None => Vec::new(),
            };
            Subject {
                arn: arn.to_owned(),
                tags,
                boundary: None,
                is_policy: true,
            }
        }
    })
}

async fn identity_subject(
    kind: IdentityKind,
    input: &QueryInput,
    caller: &Caller,
    view: &mut View<'_>,
) -> Result<Subject, QueryError> {
    let named = input.text(name_parameter(kind));
    let own = caller
        .principal
        .user_name()
        .filter(|_| kind == IdentityKind::User);
    let Some(name) = named.or(own) else {
        return Ok(Subject {
            arn: caller.principal.arn(),
            ..Subject::default()
        });
    };
    let found = view
        .find_identity(kind, name)
        .await
        .map_err(QueryError::from_catalog)?;
    if let Some(identity) = found {
        return described(identity, view).await;
    }
    let arn = arn(caller.account, kind.as_str(), "/", name);
    Ok(Subject {
        arn,
        ..Subject::default()
    })
}

/// The user whose key the call names.
async fn key_owner(
    input: &QueryInput,
    caller: &Caller,
    view: &mut View<'_>,
) -> Result<Subject, QueryError> {
    let key = view
        .access_key(input.required("AccessKeyId"))
        .await
        .map_err(QueryError::from_catalog)?;
    if let Some(id) = key.and_then(|key| key.user_id)
        && let Some(user) = view
            .identity_by_id(&id)
            .await
            .map_err(QueryError::from_catalog)?
    {
        return described(user, view).await;
    }
    let arn = arn(caller.account, IdentityKind::User.as_str(), "/", "*");
    Ok(Subject {
        arn,
        ..Subject::default()
    })
}

async fn described(identity: Identity, view: &mut View<'_>) -> Result<Subject, QueryError> {
    let tags = view
        .tags(&identity.id)
        .await
        .map_err(QueryError::from_catalog)?;
    Ok(Subject {
        arn: identity.arn(),
        tags,
        boundary: identity.boundary_arn,
        is_policy: false,
    })
}

fn arn(account: AccountId, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}{path}{name}")
}
