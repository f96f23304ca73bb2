//! Access keys. A secret is in the answer that makes it, sealed in the catalog, and nowhere else.

use cairn_catalog::identity::{
    CredentialRecord, Edit, IdPrefix, Identity, NewAccessKey, View, new_access_key_id, new_secret,
};
use zeroize::Zeroizing;

use super::paging::page;
use super::subject::named_or_calling_user;
use crate::query_protocol::{
    Caller, Fields, QueryAnswer, QueryError, QueryErrorCode, QueryInput, ReadCall, Running, Shape,
    World, WriteCall,
};

/// A key that was just made, to be shown once.
pub(crate) struct IssuedKey {
    pub(crate) key_id: String,
    pub(crate) secret: Zeroizing<String>,
}

/// Makes a key for a user, or for the root user.
pub(crate) async fn issue_access_key(
    world: &World,
    edit: &mut Edit<'_>,
    user_id: Option<&str>,
) -> Result<IssuedKey, QueryError> {
    let entropy = world.entropy.as_ref();
    let account = edit.account();
    let key_id = new_access_key_id(IdPrefix::AccessKey, account, entropy);
    let secret = Zeroizing::new(new_secret(entropy));
    let context = CredentialRecord::secret_context(account, &key_id);
    let secret_sealed = world.master_key.seal(&context, secret.as_bytes(), entropy);
    let user_id = user_id.map(str::to_owned);
    let new = NewAccessKey {
        key_id: key_id.clone(),
        user_id,
        secret_sealed,
    };
    edit.create_access_key(new)
        .await
        .map_err(QueryError::from_catalog)?;
    Ok(IssuedKey { key_id, secret })
}

/// CreateAccessKey.
pub(super) fn create(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let now_ms = call.transaction.now_ms();
        let mut edit = call.transaction.identities(call.caller.account);
        let user = named_or_calling_user(&mut edit, call.input, call.caller).await?;
        let user_id = user.as_ref().map(|user| user.id.as_str());
        let issued = issue_access_key(call.world, &mut edit, user_id).await?;
        let fields = Fields::new()
            .maybe("UserName", user.map(|user| Shape::Text(user.name)))
            .text("AccessKeyId", issued.key_id)
            .text("Status", "Active")
            .with("SecretAccessKey", Shape::Secret(issued.secret.to_string()))
            .with("CreateDate", Shape::Time(now_ms));
        Ok(QueryAnswer::of(
            Fields::new().with("AccessKey", fields.shape()),
        ))
    })
}

/// ListAccessKeys.
pub(super) fn list(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let user = named_or_calling_user(&mut view, call.input, call.caller).await?;
        let user_id = user.as_ref().map(|user| user.id.as_str());
        let keys = view
            .access_keys(user_id)
            .await
            .map_err(QueryError::from_catalog)?;
        let page = page(keys, call.input, |key| {
            format!("{:020}{}", key.created_ms, key.key_id)
        })?;
        let name = user.map(|user| Shape::Text(user.name));
        Ok(QueryAnswer::of(page.fields("AccessKeyMetadata", |key| {
            Fields::new()
                .maybe("UserName", name.clone())
                .text("AccessKeyId", &key.key_id)
                .text("Status", if key.active { "Active" } else { "Inactive" })
                .with("CreateDate", Shape::Time(key.created_ms))
                .shape()
        })))
    })
}

/// UpdateAccessKey.
pub(super) fn update(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let owner = key_owner(&mut edit, call.input, call.caller).await?;
        let active = call.input.required("Status") == "Active";
        edit.set_key_active(owner.as_deref(), call.input.required("AccessKeyId"), active)
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DeleteAccessKey.
pub(super) fn delete(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        let owner = key_owner(&mut edit, call.input, call.caller).await?;
        edit.delete_access_key(owner.as_deref(), call.input.required("AccessKeyId"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// GetAccessKeyLastUsed.
pub(super) fn get_last_used(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key_id = call.input.required("AccessKeyId");
        let mut view = call.transaction.identities(call.caller.account);
        let key = view
            .access_key(key_id)
            .await
            .map_err(QueryError::from_catalog)?;
        let Some(key) = key else {
            let message = format!("The Access Key with id {key_id} cannot be found.");
            return Err(QueryError::new(QueryErrorCode::NoSuchEntity, message));
        };
        let user = match &key.user_id {
            None => None,
            Some(id) => view
                .identity_by_id(id)
                .await
                .map_err(QueryError::from_catalog)?,
        };
        let noted = call.world.catalog.noted_key_use(key_id).or(key.last_use);
        let used = match noted {
            Some(used) => Fields::new()
                .with("LastUsedDate", Shape::Time(used.used_ms))
                .text("ServiceName", used.service)
                .text("Region", used.region),
            None => Fields::new()
                .text("ServiceName", "N/A")
                .text("Region", "N/A"),
        };
        let fields = Fields::new()
            .maybe("UserName", user.map(|user| Shape::Text(user.name)))
            .with("AccessKeyLastUsed", used.shape());
        Ok(QueryAnswer::of(fields))
    })
}

/// The user whose key it must be: the one named, else the caller.
async fn key_owner(
    view: &mut View<'_>,
    input: &QueryInput,
    caller: &Caller,
) -> Result<Option<String>, QueryError> {
    let user: Option<Identity> = named_or_calling_user(view, input, caller).await?;
    Ok(user.map(|user| user.id))
}
