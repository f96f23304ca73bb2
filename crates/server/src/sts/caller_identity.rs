//! Who am I, and whose key is this.

use cairn_catalog::identity::access_key_account;

use crate::query_protocol::{Fields, QueryAnswer, QueryError, QueryErrorCode, ReadCall, Running};

/// GetCallerIdentity. No policy can refuse it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the table's type of function"
)]
pub(super) fn get(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall { caller, .. } = call;
        let principal = &caller.principal;
        let fields = Fields::new()
            .text("Arn", principal.arn())
            .text("UserId", principal.principal_id())
            .text("Account", caller.account.as_str());
        Ok(QueryAnswer::of(fields))
    })
}

/// GetAccessKeyInfo: the account is part of the ID, temporary keys included.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the table's type of function"
)]
pub(super) fn key_info(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall { caller, input, .. } = call;
        if caller.is_token_holder() {
            let message = "Cannot call GetAccessKeyInfo with session credentials";
            return Err(QueryError::new(QueryErrorCode::AccessDenied, message));
        }
        let Some(account) = access_key_account(input.required("AccessKeyId")) else {
            let message = "The access key ID is not valid.";
            return Err(QueryError::new(QueryErrorCode::ValidationError, message));
        };
        Ok(QueryAnswer::of(
            Fields::new().text("Account", account.as_str()),
        ))
    })
}
