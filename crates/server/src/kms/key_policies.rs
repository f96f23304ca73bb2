//! GetKeyPolicy, PutKeyPolicy and ListKeyPolicies. A key has one policy, whose name is `default`.

use cairn_access::policy::{KEY_POLICY_BYTES_MAX, PolicyDocument, PolicyKind, RequestContext};
use cairn_catalog::keys::KmsKey;
use serde_json::json;

use super::error::{KmsError, KmsErrorCode};
use super::input::KmsInput;
use super::operation::{ChangeCall, KmsAnswer, ReadCall, Running, Site};
use super::paging::Page;
use super::shapes;

/// The only name that a key's policy has.
const POLICY_NAME: &str = "default";

/// Refuses what is no policy of a key, and one that would lock its author out.
pub(super) fn check(
    policy: &str,
    key: &KmsKey,
    site: Site<'_>,
    input: &KmsInput,
) -> Result<(), KmsError> {
    if policy.len() > KEY_POLICY_BYTES_MAX {
        let message = format!("The key policy is longer than {KEY_POLICY_BYTES_MAX} bytes.");
        return Err(KmsError::new(KmsErrorCode::LimitExceeded, message));
    }
    let malformed = |message: String| KmsError::new(KmsErrorCode::MalformedPolicyDocument, message);
    let document = PolicyDocument::parse(policy, PolicyKind::Key);
    let document = document.map_err(|error| malformed(error.to_string()))?;
    if input.flag("BypassPolicyLockoutSafetyCheck") {
        return Ok(());
    }
    let mut keys = site.policy_keys();
    for (name, values) in shapes::condition_keys() {
        keys.set_all(&name, values);
    }
    keys.set("kms:CallerAccount", site.caller.account.as_str());
    keys.set("kms:BypassPolicyLockoutSafetyCheck", "false");
    let next = RequestContext {
        action: "kms:PutKeyPolicy",
        resource: &key.arn(),
        principal: &site.caller.principal,
        keys: &keys,
    };
    if document.lets_in(&next) {
        return Ok(());
    }
    let message = "The new key policy will not allow you to update the key policy in the future.";
    Err(malformed(message.to_owned()))
}

/// GetKeyPolicy.
pub(super) fn get(ReadCall { input, found, .. }: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        require_name(input)?;
        let policy = &found.key().policy;
        let answer = json!({"Policy": policy, "PolicyName": POLICY_NAME});
        Ok(KmsAnswer::read(answer))
    })
}

/// PutKeyPolicy. A key that waits for its deletion takes one too.
pub(super) fn put(call: ChangeCall<'_>) -> Running<'_> {
    Box::pin(async move {
        require_name(call.input)?;
        let policy = call.input.required("Policy");
        let mut key = call.found.key().clone();
        check(policy, &key, call.site, call.input)?;
        policy.clone_into(&mut key.policy);
        let put = call.transaction.put_kms_key(&key).await;
        put.map_err(KmsError::from_catalog)?;
        Ok(KmsAnswer::changed(&key))
    })
}

/// ListKeyPolicies.
pub(super) fn list(ReadCall { input, .. }: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let page = Page::of(input, 1)?;
        let names = [POLICY_NAME].into_iter();
        let names: Vec<&str> = names.filter(|name| *name > page.after.as_str()).collect();
        let answer = page.answer("PolicyNames", names, |name| name, |name| (*name).into());
        Ok(KmsAnswer::read(answer))
    })
}

fn require_name(input: &KmsInput) -> Result<(), KmsError> {
    match input.text("PolicyName") {
        None | Some(POLICY_NAME) => Ok(()),
        Some(_) => {
            let message = "No such policy exists";
            Err(KmsError::new(KmsErrorCode::NotFound, message))
        }
    }
}
