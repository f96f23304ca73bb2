//! AssumeRole: what is asked before it, and the session that it opens.

use cairn_access::policy::{PolicyDocument, PolicyKind, SESSION_SIZE_MAX, managed_by_arn};
use cairn_access::{Principal, RoleSession};
use cairn_catalog::identity::{Identity, IdentityKind, ReadIdentities, RoleFacts};
use cairn_model::AccountId;

use super::session::{NewSession, issue};
use super::session_token::no_such_device;
use crate::query_protocol::{
    AuthorizationTarget, Caller, CrossAccountCopy, Fields, QueryAnswer, QueryError, QueryErrorCode,
    QueryInput, ReadCall, RecordedResource, Running, Shape,
};

/// The session length without `DurationSeconds`.
const SESSION_SECONDS: i64 = 3_600;
/// The most that a role may give to a role.
const CHAINED_SECONDS_MAX: i64 = 3_600;
/// Session tags of one session.
const SESSION_TAGS_MAX: usize = 50;
/// Characters of session policies and tags together, of which `PackedPolicySize` tells the share.
const PACKED_CHARACTERS_MAX: usize = 8_192;
/// The trust policy of a role that does not exist: it trusts a name that no caller has, so the caller
/// hears the same as where there is a role that does not trust it.
const TRUSTS_NOBODY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"nobody.invalid"},"Action":"sts:AssumeRole"}]}"#;

/// The questions before AssumeRole: the role itself, and tags and source identity if there are any.
/// Each must be allowed by the caller's policies and by the role's trust policy.
pub(crate) async fn targets(
    input: &QueryInput,
    caller: &Caller,
    identities: &mut dyn ReadIdentities,
) -> Result<Vec<AuthorizationTarget>, QueryError> {
    let role_arn = input.required("RoleArn");
    let account = role_account(role_arn)?;
    let role = find_role(role_arn, account, identities).await?;
    let (tags, trust_policy) = match role {
        Some((role, facts)) => {
            let mut view = identities.view(account);
            let tags = view
                .tags(&role.id)
                .await
                .map_err(QueryError::from_catalog)?;
            (tags, facts.trust_policy)
        }
        None => (Vec::new(), TRUSTS_NOBODY.to_owned()),
    };
    let mut keys = vec![one_key(
        "sts:RoleSessionName",
        input.required("RoleSessionName"),
    )];
    if let Some(external_id) = input.text("ExternalId") {
        keys.push(one_key("sts:ExternalId", external_id));
    }
    let source_identity = input
        .text("SourceIdentity")
        .or(inherited_source_identity(caller));
    if let Some(source_identity) = source_identity {
        keys.push(one_key("sts:SourceIdentity", source_identity));
    }
    if let Some(seconds) = input.number("DurationSeconds") {
        keys.push(one_key("sts:DurationSeconds", &seconds.to_string()));
    }
    let transitive = input.texts("TransitiveTagKeys");
    if !transitive.is_empty() {
        keys.push(("sts:TransitiveTagKeys".to_owned(), transitive.to_vec()));
    }
    let target = |action: &str| AuthorizationTarget {
        action: action.to_owned(),
        resource: role_arn.to_owned(),
        resource_account: account,
        resource_tags: tags.clone(),
        request_tags: input.tags().to_vec(),
        tag_keys: Vec::new(),
        keys: keys.clone(),
        trust_policy: Some(trust_policy.clone()),
        key_policy: None,
        refusal: None,
    };
    let mut targets = vec![target("sts:AssumeRole")];
    let inherits_tags = caller
        .session
        .as_ref()
        .is_some_and(|s| !s.transitive_tag_keys.is_empty());
    if !input.tags().is_empty() || inherits_tags {
        targets.push(target("sts:TagSession"));
    }
    if source_identity.is_some() {
        targets.push(target("sts:SetSourceIdentity"));
    }
    Ok(targets)
}

fn one_key(name: &str, value: &str) -> (String, Vec<String>) {
    (name.to_owned(), vec![value.to_owned()])
}

/// AssumeRole.
pub(super) fn run(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        if caller.principal.is_root() {
            let message = "Roles may not be assumed by root accounts.";
            return Err(denied(message));
        }
        if input.text("SerialNumber").is_some() || input.text("TokenCode").is_some() {
            return Err(no_such_device());
        }
        let role_arn = input.required("RoleArn");
        let account = role_account(role_arn)?;
        let found = find_role(role_arn, account, transaction).await?;
        let Some((role, facts)) = found else {
            let caller = caller.principal.arn();
            return Err(denied(&format!(
                "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            )));
        };
        let seconds = session_seconds(input, caller, &facts)?;
        let policy_arns = session_policy_arns(input, account, transaction).await?;
        let policy = session_policy(input)?;
        let (tags, transitive_tag_keys) = session_tags(input, caller)?;
        let packed = packed_percent(policy, &policy_arns, &tags)?;
        let source_identity = source_identity(input, caller)?;
        let now_ms = world.clock.now_ms();
        let principal = RoleSession {
            account,
            role_name: role.name.clone(),
            role_path: role.path.clone(),
            role_id: role.id.clone(),
            session_name: input.required("RoleSessionName").to_owned(),
            source_identity: source_identity.clone(),
            issued_ms: now_ms,
            mfa: false,
        };
        let assumed = Fields::new()
            .text(
                "AssumedRoleId",
                Principal::RoleSession(principal.clone()).principal_id(),
            )
            .text("Arn", principal.arn());
        let session = NewSession {
            principal: Principal::RoleSession(principal),
            expires_ms: now_ms + seconds * 1000,
            policy: policy.map(str::to_owned),
            policy_arns,
            tags,
            transitive_tag_keys,
        };
        let result = Fields::new()
            .with("Credentials", issue(world, account, session))
            .with("AssumedRoleUser", assumed.shape())
            .maybe("PackedPolicySize", packed.map(Shape::Number))
            .maybe("SourceIdentity", source_identity.map(Shape::Text));
        let mut answer = QueryAnswer::of(result);
        answer.resources = vec![RecordedResource {
            arn: role.arn(),
            account,
            kind: "AWS::IAM::Role",
        }];
        answer.cross_account = (account != caller.account).then_some(CrossAccountCopy { account });
        Ok(answer)
    })
}

fn denied(message: &str) -> QueryError {
    QueryError::new(QueryErrorCode::AccessDenied, message)
}

fn invalid(message: impl Into<String>) -> QueryError {
    QueryError::new(QueryErrorCode::ValidationError, message)
}

/// The account of `arn:aws:iam::ACCOUNT:role/…`.
fn role_account(role_arn: &str) -> Result<AccountId, QueryError> {
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    let ["arn", "aws", "iam", "", account, resource] = parts[..] else {
        return Err(invalid(format!("{role_arn} is invalid")));
    };
    if !resource.starts_with("role/") {
        return Err(invalid(format!("{role_arn} is invalid")));
    }
    account
        .parse()
        .map_err(|_| invalid("Invalid principal account ID in the role ARN."))
}

/// The role with exactly that ARN, unless its account is disabled.
async fn find_role(
    role_arn: &str,
    account: AccountId,
    identities: &mut dyn ReadIdentities,
) -> Result<Option<(Identity, RoleFacts)>, QueryError> {
    let mut view = identities.view(account);
    let facts = view
        .account_facts()
        .await
        .map_err(QueryError::from_catalog)?;
    if !facts.is_some_and(|facts| facts.enabled) {
        return Ok(None);
    }
    let name = role_arn.rsplit('/').next().unwrap_or_default();
    let role = view.find_identity(IdentityKind::Role, name).await;
    let role = role
        .map_err(QueryError::from_catalog)?
        .filter(|role| role.arn() == role_arn);
    Ok(role.and_then(|role| role.role.clone().map(|facts| (role, facts))))
}

fn session_seconds(
    input: &QueryInput,
    caller: &Caller,
    role: &RoleFacts,
) -> Result<i64, QueryError> {
    let seconds = input.number("DurationSeconds").unwrap_or(SESSION_SECONDS);
    let chained = matches!(caller.principal, Principal::RoleSession(_));
    if chained && seconds > CHAINED_SECONDS_MAX {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining",
        ));
    }
    if seconds > i64::from(role.max_session_seconds) {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

async fn session_policy_arns(
    input: &QueryInput,
    account: AccountId,
    identities: &mut dyn ReadIdentities,
) -> Result<Vec<String>, QueryError> {
    let arns = input.texts("PolicyArns");
    let mut view = identities.view(account);
    for arn in arns {
        if managed_by_arn(arn).is_none()
            && view
                .find_managed_policy(arn)
                .await
                .map_err(QueryError::from_catalog)?
                .is_none()
        {
            return Err(invalid(format!(
                "Policy {arn} does not exist or is not attachable."
            )));
        }
    }
    Ok(arns.to_vec())
}

fn session_policy(input: &QueryInput) -> Result<Option<&str>, QueryError> {
    let Some(policy) = input.text("Policy") else {
        return Ok(None);
    };
    if policy.chars().count() > SESSION_SIZE_MAX {
        return Err(QueryError::new(
            QueryErrorCode::PackedPolicyTooLarge,
            format!("Packed policy consumes more than {SESSION_SIZE_MAX} characters."),
        ));
    }
    PolicyDocument::parse(policy, PolicyKind::Identity).map_err(|error| {
        QueryError::new(QueryErrorCode::MalformedPolicyDocument, error.to_string())
    })?;
    Ok(Some(policy))
}

/// The new session's tags and which of them go on: the call's own and those inherited.
type SessionTags = (Vec<(String, String)>, Vec<String>);

fn session_tags(input: &QueryInput, caller: &Caller) -> Result<SessionTags, QueryError> {
    let mut tags: Vec<(String, String)> = input
        .tags()
        .iter()
        .map(|tag| (tag.key.clone(), tag.value.clone()))
        .collect();
    let mut transitive = input.texts("TransitiveTagKeys").to_vec();
    if let Some(unknown) = transitive
        .iter()
        .find(|key| !tags.iter().any(|(held, _)| held.eq_ignore_ascii_case(key)))
    {
        return Err(invalid(format!(
            "The transitive tag key {unknown} is not among the keys of the session tags."
        )));
    }
    if let Some(session) = &caller.session {
        for (key, value) in &session.tags {
            let goes_on = session
                .transitive_tag_keys
                .iter()
                .any(|k| k.eq_ignore_ascii_case(key));
            if !goes_on {
                continue;
            }
            if tags.iter().any(|(held, _)| held.eq_ignore_ascii_case(key)) {
                return Err(invalid(format!(
                    "The session tag {key} was set in an earlier role session and cannot change."
                )));
            }
            tags.push((key.clone(), value.clone()));
            transitive.push(key.clone());
        }
    }
    if tags.len() > SESSION_TAGS_MAX {
        return Err(invalid(format!(
            "A session has at most {SESSION_TAGS_MAX} tags."
        )));
    }
    Ok((tags, transitive))
}

/// How much of the room for policies and tags is used; none if there are none.
fn packed_percent(
    policy: Option<&str>,
    policy_arns: &[String],
    tags: &[(String, String)],
) -> Result<Option<i64>, QueryError> {
    if policy.is_none() && policy_arns.is_empty() && tags.is_empty() {
        return Ok(None);
    }
    let arns: usize = policy_arns.iter().map(String::len).sum();
    let pairs: usize = tags
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let used = policy.map_or(0, str::len) + arns + pairs;
    let percent = (used * 100).div_ceil(PACKED_CHARACTERS_MAX);
    if percent > 100 {
        return Err(QueryError::new(
            QueryErrorCode::PackedPolicyTooLarge,
            format!("Packed policy consumes {percent}% of allotted space."),
        ));
    }
    Ok(Some(i64::try_from(percent).unwrap_or(100)))
}

fn inherited_source_identity(caller: &Caller) -> Option<&str> {
    match &caller.principal {
        Principal::RoleSession(session) => session.source_identity.as_deref(),
        _ => None,
    }
}

/// Once set, a source identity stays through every role of the chain (REC-119, REC-123).
fn source_identity(input: &QueryInput, caller: &Caller) -> Result<Option<String>, QueryError> {
    let asked = input.text("SourceIdentity");
    match (asked, inherited_source_identity(caller)) {
        (Some(asked), Some(held)) if asked != held => Err(denied(
            "The source identity was set in an earlier session and cannot be changed.",
        )),
        (asked, held) => Ok(asked.or(held).map(str::to_owned)),
    }
}
