//! GetSessionToken: temporary credentials of the calling user, with the user's own permissions.

use cairn_access::{Principal, UserSession};

use super::session::{NewSession, issue};
use crate::query_protocol::{Fields, QueryAnswer, QueryError, QueryErrorCode, ReadCall, Running};

/// What a user gets without asking; also the most that root gets is an hour.
const USER_SECONDS: i64 = 43_200;
const ROOT_SECONDS_MAX: i64 = 3_600;

/// GetSessionToken.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the table's type of function"
)]
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall {
            world,
            caller,
            input,
            ..
        } = call;
        if input.text("SerialNumber").is_some() || input.text("TokenCode").is_some() {
            return Err(no_such_device());
        }
        let now_ms = world.clock.now_ms();
        let asked = input.number("DurationSeconds");
        let refused = QueryError::new(
            QueryErrorCode::AccessDenied,
            "Cannot call GetSessionToken with session credentials",
        );
        if caller.session.is_some() {
            return Err(refused);
        }
        let (principal, seconds) = match &caller.principal {
            Principal::User(user) => {
                let user = user.clone();
                let session = UserSession {
                    user,
                    issued_ms: now_ms,
                    mfa: false,
                };
                (
                    Principal::UserSession(session),
                    asked.unwrap_or(USER_SECONDS),
                )
            }
            root @ Principal::Root { .. } => (
                root.clone(),
                asked.unwrap_or(ROOT_SECONDS_MAX).min(ROOT_SECONDS_MAX),
            ),
            Principal::RoleSession(_) | Principal::UserSession(_) | Principal::Service { .. } => {
                return Err(refused);
            }
        };
        let session = NewSession {
            principal,
            expires_ms: now_ms + seconds * 1000,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
        };
        let credentials = issue(world, caller.account, session);
        Ok(QueryAnswer::of(
            Fields::new().with("Credentials", credentials),
        ))
    })
}

/// Nobody has a device, so no code can be right.
pub(super) fn no_such_device() -> QueryError {
    QueryError::new(
        QueryErrorCode::AccessDenied,
        "MultiFactorAuthentication failed with invalid MFA one time pass code.",
    )
}
