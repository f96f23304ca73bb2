//! Whom an operation is about.

use cairn_access::policy::{PolicyDocument, PolicyKind, managed_by_arn};
use cairn_catalog::identity::{Identity, IdentityKind, View};

use crate::query_protocol::{Caller, QueryError, QueryErrorCode, QueryInput, QueryOperation};

/// The parameter that names a user, group or role.
pub(super) fn name_parameter(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::User => "UserName",
        IdentityKind::Group => "GroupName",
        IdentityKind::Role => "RoleName",
    }
}

/// What the table's row is about; rows of twins all say it.
pub(super) fn kind_of(operation: &QueryOperation) -> Result<IdentityKind, QueryError> {
    operation.subject.ok_or_else(|| {
        QueryError::new(
            QueryErrorCode::ServiceFailure,
            "The operation has no subject.",
        )
    })
}

/// The identity that the call names.
pub(super) async fn named(
    view: &mut View<'_>,
    kind: IdentityKind,
    input: &QueryInput,
) -> Result<Identity, QueryError> {
    let name = input.required(name_parameter(kind));
    view.identity(kind, name)
        .await
        .map_err(QueryError::from_catalog)
}

/// The user that the call names, or the calling user if it names none. None is the root user, whose
/// credentials may leave the name out too.
pub(super) async fn named_or_calling_user(
    view: &mut View<'_>,
    input: &QueryInput,
    caller: &Caller,
) -> Result<Option<Identity>, QueryError> {
    let name = match (input.text("UserName"), caller.principal.user_name()) {
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) if caller.principal.is_root() => return Ok(None),
        (None, None) => {
            return Err(QueryError::new(
                QueryErrorCode::ValidationError,
                "Must specify userName when calling with non-User credentials",
            ));
        }
    };
    let user = view.identity(IdentityKind::User, name).await;
    user.map(Some).map_err(QueryError::from_catalog)
}

/// Refuses changes to roles that belong to a service.
pub(super) fn refuse_protected(identity: &Identity) -> Result<(), QueryError> {
    if identity.kind == IdentityKind::Role && identity.path.starts_with("/aws-service-role/") {
        let name = &identity.name;
        let message = format!(
            "Cannot perform the operation on the protected role '{name}' - this role is only \
             modifiable by AWS"
        );
        return Err(QueryError::new(QueryErrorCode::UnmodifiableEntity, message));
    }
    Ok(())
}

/// Refuses a text that is no policy of that kind.
pub(super) fn check_document(document: &str, kind: PolicyKind) -> Result<(), QueryError> {
    match PolicyDocument::parse(document, kind) {
        Ok(_) => Ok(()),
        Err(error) => Err(QueryError::new(
            QueryErrorCode::MalformedPolicyDocument,
            error.to_string(),
        )),
    }
}

/// Refuses an ARN that names no policy which could be attached or bound with.
pub(super) async fn check_attachable(
    view: &mut View<'_>,
    policy_arn: &str,
) -> Result<(), QueryError> {
    let found = match managed_by_arn(policy_arn) {
        Some(policy) if !policy.attachable => {
            return Err(QueryError::new(
                QueryErrorCode::PolicyNotAttachable,
                "Cannot attach a Service Role Policy to a Customer Role.",
            ));
        }
        Some(_) => true,
        None => view
            .find_managed_policy(policy_arn)
            .await
            .map_err(QueryError::from_catalog)?
            .is_some(),
    };
    if found {
        return Ok(());
    }
    let message = format!("Policy {policy_arn} does not exist or is not attachable.");
    Err(QueryError::new(QueryErrorCode::NoSuchEntity, message))
}
