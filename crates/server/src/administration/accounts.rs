//! Accounts, and who may administer them.

use cairn_catalog::identity::NewAccount;
use cairn_model::AccountId;

use crate::first_start::{FirstStartError, create_administrator, operator_account};
use crate::query_protocol::{
    Caller, Fields, QueryAnswer, QueryError, QueryErrorCode, QueryInput, ReadCall, Running, Shape,
    World, WriteCall,
};

/// The administrator of an account that is made without saying.
const ADMINISTRATOR: &str = "admin";

/// Refuses callers of other accounts than the operator's.
pub(super) async fn require_operator(
    world: &World,
    caller: &Caller,
) -> Result<AccountId, QueryError> {
    let operator = operator_account(&world.catalog)
        .await
        .map_err(QueryError::from_catalog)?;
    match operator {
        Some(account) if account == caller.account => Ok(account),
        _ => Err(QueryError::new(
            QueryErrorCode::AccessDenied,
            "Only the operator's account administers accounts.",
        )),
    }
}

/// ListAccounts.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let ReadCall {
            world,
            caller,
            transaction,
            ..
        } = call;
        require_operator(world, caller).await?;
        let accounts = transaction
            .accounts()
            .await
            .map_err(QueryError::from_catalog)?;
        let shapes = accounts.into_iter().map(|account| {
            Fields::new()
                .text("AccountId", account.account.as_str())
                .text("Name", account.name)
                .maybe("Alias", account.alias.map(Shape::Text))
                .with("Enabled", Shape::Flag(account.enabled))
                .with("CreateDate", Shape::Time(account.created_ms))
                .shape()
        });
        Ok(QueryAnswer::of(
            Fields::new().with("Accounts", Shape::List(shapes.collect())),
        ))
    })
}

/// CreateAccount: the account, its administrator and the administrator's key, which is shown once.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let WriteCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        require_operator(world, caller).await?;
        let account = account_of(input)?;
        let name = input.text("Name").unwrap_or(account.as_str()).to_owned();
        let new = NewAccount { account, name };
        transaction
            .create_account(new)
            .await
            .map_err(QueryError::from_catalog)?;
        let administrator = input.text("AdministratorName").unwrap_or(ADMINISTRATOR);
        let key = create_administrator(world, transaction, account, administrator)
            .await
            .map_err(made_query_error)?;
        let fields = Fields::new()
            .text("AccountId", account.as_str())
            .text("UserName", administrator)
            .text("AccessKeyId", key.key_id)
            .with("SecretAccessKey", Shape::Secret(key.secret.to_string()));
        Ok(QueryAnswer::of(
            Fields::new().with("Account", fields.shape()),
        ))
    })
}

fn made_query_error(error: FirstStartError) -> QueryError {
    match error {
        FirstStartError::Catalog(error) => QueryError::from_catalog(error),
        FirstStartError::Key(error) => error,
        FirstStartError::File { .. }
        | FirstStartError::MasterKey { .. }
        | FirstStartError::NoMasterKey { .. }
        | FirstStartError::NoCatalog { .. }
        | FirstStartError::OtherMasterKey { .. } => QueryError::new(
            QueryErrorCode::ServiceFailure,
            "The administrator was not made.",
        ),
    }
}

/// EnableAccount.
pub(super) fn enable(call: WriteCall<'_>) -> Running<'_> {
    set_enabled(call, Access::Open)
}

/// DisableAccount: its credentials are refused from now on, and so are events for it.
pub(super) fn disable(call: WriteCall<'_>) -> Running<'_> {
    set_enabled(call, Access::Closed)
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Open,
    Closed,
}

fn set_enabled(call: WriteCall<'_>, access: Access) -> Running<'_> {
    Box::pin(async move {
        let WriteCall {
            world,
            caller,
            input,
            transaction,
            ..
        } = call;
        let operator = require_operator(world, caller).await?;
        let account = account_of(input)?;
        if access == Access::Closed && account == operator {
            let message = "The operator's account cannot be disabled: nobody could enable it.";
            return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
        }
        transaction
            .identities(account)
            .set_account_enabled(access == Access::Open)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// The table has checked that these are twelve digits.
fn account_of(input: &QueryInput) -> Result<AccountId, QueryError> {
    input.required("AccountId").parse().map_err(|_| {
        QueryError::new(
            QueryErrorCode::InvalidInput,
            "An account ID has exactly twelve digits.",
        )
    })
}
