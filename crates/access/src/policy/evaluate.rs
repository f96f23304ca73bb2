//! The decision over all policies that apply to a request: an explicit deny anywhere wins; else the
//! layers intersect, and a resource policy may grant by itself inside one account (SEC-102 to
//! SEC-110).

use super::principal_clause::Grant;
use super::{ContextKeys, PolicyDocument, PolicyKind};
use crate::Principal;

/// What KMS says of keys of other accounts, whether they are there or not.
pub const FOREIGN_KEY: &str = "because the resource does not exist in this Region, no resource-based policies allow \
                               access, or a resource-based policy explicitly denies access";

/// What is asked: may this principal do this to that?
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The action, such as `cloudtrail:LookupEvents`.
    pub action: &'a str,
    /// The resource's ARN, or `*` for actions that have no particular resource. (SEC-128)
    pub resource: &'a str,
    /// Who asks.
    pub principal: &'a Principal,
    /// What else is known of the request.
    pub keys: &'a ContextKeys,
}

/// The policies that apply to a request.
#[derive(Clone, Copy, Debug)]
pub struct PolicySets<'a> {
    /// Those of the user and its groups, or of the role. Empty for root and for services.
    pub identity: &'a [&'a PolicyDocument],
    /// The permissions boundary of the user or role.
    pub boundary: Option<&'a PolicyDocument>,
    /// The session policies, if the session was opened with any: an empty list allows nothing.
    pub session: Option<&'a [&'a PolicyDocument]>,
    /// The policy of the resource; for `sts:AssumeRole` the role's trust policy, for a KMS key its key policy.
    pub resource: Option<&'a PolicyDocument>,
    /// Whether principal and resource belong to one account.
    pub same_account: bool,
}

/// A set of policies, as error messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyLayer {
    /// Policies of users, groups and roles.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// Session policies.
    Session,
    /// The resource's policy.
    Resource,
    /// The role's trust policy.
    Trust,
    /// The KMS key's policy.
    Key,
}

/// The outcome, with the set of policies that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The request may proceed.
    Allow,
    /// A set of policies that had to allow the request does not.
    ImplicitDeny {
        /// The set.
        missing: PolicyLayer,
    },
    /// A statement denies the request.
    ExplicitDeny {
        /// The set it stands in.
        layer: PolicyLayer,
    },
}

/// Decides a request.
pub fn evaluate(request: &RequestContext<'_>, sets: &PolicySets<'_>) -> Decision {
    if let Some(layer) = explicit_deny(request, sets) {
        return Decision::ExplicitDeny { layer };
    }
    let resource_grant = sets.resource.and_then(|policy| policy.allows(request));
    let missing = match (request.principal, resource_grant) {
        // A service has no identity policies: the resource's policy alone speaks.
        (Principal::Service { .. }, Some(_)) => None,
        (Principal::Service { .. }, None) => Some(resource_layer(sets)),
        (_, Some(Grant::Direct)) if sets.same_account => None,
        (_, Some(Grant::Role)) if sets.same_account => missing_limit(request, sets),
        (_, None) if !sets.same_account || must_be_granted(sets) => {
            missing_identity(request, sets).or(Some(resource_layer(sets)))
        }
        _ => missing_identity(request, sets),
    };
    missing.map_or(Decision::Allow, |missing| Decision::ImplicitDeny {
        missing,
    })
}

impl Decision {
    /// Whether the request may proceed.
    pub fn is_allowed(self) -> bool {
        self == Self::Allow
    }

    /// The message that a refused caller sees, in AWS's words; `None` when the request is allowed.
    /// The resource is left out where AWS leaves it out: when there is no particular one, and for
    /// `iam:PassRole`. (SEC-176, SEC-177)
    pub fn refusal(self, request: &RequestContext<'_>) -> Option<String> {
        let action = request.action;
        let reason = match self {
            Self::Allow => return None,
            Self::ImplicitDeny {
                missing: PolicyLayer::Key,
            }
            | Self::ExplicitDeny {
                layer: PolicyLayer::Key,
            } if is_foreign(request) => FOREIGN_KEY.to_owned(),
            Self::ImplicitDeny { missing } => {
                format!("because no {} allows the {action} action", missing.name())
            }
            Self::ExplicitDeny { layer } => {
                format!(
                    "with an explicit deny in {} {}",
                    layer.article(),
                    layer.name()
                )
            }
        };
        let place = match (request.resource, action) {
            ("*", _) | (_, "iam:PassRole") => String::new(),
            (resource, _) => format!(" on resource: {resource}"),
        };
        let caller = request.principal.arn();
        Some(format!(
            "User: {caller} is not authorized to perform: {action}{place} {reason}"
        ))
    }
}

impl PolicyLayer {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource | Self::Key => "resource-based policy",
            Self::Trust => "role trust policy",
        }
    }

    fn article(self) -> &'static str {
        match self {
            Self::Identity => "an",
            Self::Boundary | Self::Session | Self::Resource | Self::Key => "a",
            Self::Trust => "the",
        }
    }
}

fn explicit_deny(request: &RequestContext<'_>, sets: &PolicySets<'_>) -> Option<PolicyLayer> {
    let denies = |policy: &&PolicyDocument| policy.denies(request);
    if sets.identity.iter().any(denies) {
        return Some(PolicyLayer::Identity);
    }
    if sets.boundary.iter().any(denies) {
        return Some(PolicyLayer::Boundary);
    }
    if sets
        .session
        .is_some_and(|policies| policies.iter().any(denies))
    {
        return Some(PolicyLayer::Session);
    }
    sets.resource
        .iter()
        .any(denies)
        .then(|| resource_layer(sets))
}

/// What is missing before the principal's own account allows the request. Root needs no policy.
/// (SEC-095)
fn missing_identity(request: &RequestContext<'_>, sets: &PolicySets<'_>) -> Option<PolicyLayer> {
    if request.principal.is_root() {
        return None;
    }
    let allowed = sets
        .identity
        .iter()
        .any(|policy| policy.allows(request).is_some());
    if allowed {
        missing_limit(request, sets)
    } else {
        Some(PolicyLayer::Identity)
    }
}

/// Which limit on the identity's permissions leaves the request out. (SEC-107, SEC-110)
fn missing_limit(request: &RequestContext<'_>, sets: &PolicySets<'_>) -> Option<PolicyLayer> {
    let allows = |policy: &PolicyDocument| policy.allows(request).is_some();
    if sets.boundary.is_some_and(|boundary| !allows(boundary)) {
        return Some(PolicyLayer::Boundary);
    }
    let outside_session = sets
        .session
        .is_some_and(|policies| !policies.iter().any(|policy| allows(policy)));
    outside_session.then_some(PolicyLayer::Session)
}

/// Whether the policy of the resource must let the principal in, whatever the principal's own policies say: roles and
/// keys belong to those whom their policies name.
fn must_be_granted(sets: &PolicySets<'_>) -> bool {
    matches!(resource_layer(sets), PolicyLayer::Trust | PolicyLayer::Key)
}

fn resource_layer(sets: &PolicySets<'_>) -> PolicyLayer {
    match sets.resource.map(PolicyDocument::kind) {
        Some(PolicyKind::Trust) => PolicyLayer::Trust,
        Some(PolicyKind::Key) => PolicyLayer::Key,
        Some(PolicyKind::Resource | PolicyKind::Identity) | None => PolicyLayer::Resource,
    }
}

/// Whether principal and resource belong to different accounts.
fn is_foreign(request: &RequestContext<'_>) -> bool {
    let owner = request.resource.split(':').nth(4);
    request
        .principal
        .account()
        .is_some_and(|account| owner != Some(account.as_str()))
}
