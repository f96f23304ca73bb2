//! What policies can ask of a key's use, and what a refused caller hears, whoever keeps the key.

use std::collections::BTreeMap;

use cairn_access::policy::FOREIGN_KEY;
use cairn_model::{AccountId, Arn};

use super::EncryptionContext;
use crate::query_protocol::Caller;

/// The one algorithm of symmetric keys, and their spec.
pub(crate) const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";
/// What symmetric keys are for.
pub(crate) const ENCRYPT_DECRYPT: &str = "ENCRYPT_DECRYPT";

/// Condition keys with their values.
pub(crate) type ConditionKeys = Vec<(String, Vec<String>)>;

/// What holds of every symmetric key.
pub(crate) fn of_symmetric_keys() -> ConditionKeys {
    vec![
        one("kms:CustomerMasterKeySpec", SYMMETRIC),
        one("kms:CustomerMasterKeyUsage", ENCRYPT_DECRYPT),
        one("kms:KeySpec", SYMMETRIC),
        one("kms:KeyUsage", ENCRYPT_DECRYPT),
    ]
}

/// Encrypting or decrypting with this context. Condition keys fold case, so names of the context that differ in case
/// only share one key: none hides another's value.
pub(crate) fn of_cryptography(context: &EncryptionContext) -> ConditionKeys {
    let mut keys = vec![one("kms:EncryptionAlgorithm", SYMMETRIC)];
    let mut folded: BTreeMap<String, (&str, Vec<String>)> = BTreeMap::new();
    for (name, value) in context {
        let (_, values) = folded
            .entry(name.to_lowercase())
            .or_insert((name, Vec::new()));
        values.push(value.clone());
    }
    for (name, values) in folded.into_values() {
        keys.push((format!("kms:EncryptionContext:{name}"), values));
    }
    if !context.is_empty() {
        let names = context.keys().cloned().collect();
        keys.push(("kms:EncryptionContextKeys".to_owned(), names));
    }
    keys
}

/// A condition key with one value.
pub(crate) fn one(key: &str, value: &str) -> (String, Vec<String>) {
    (key.to_owned(), vec![value.to_owned()])
}

/// The account of a key or alias, by its ARN.
pub(crate) fn account_of(arn: &str) -> Option<AccountId> {
    let arn: Arn = arn.parse().ok()?;
    arn.account().parse().ok()
}

/// Whether a caller learns of keys of this account only what they let it do. Services call in nobody's name.
pub(crate) fn is_foreign(caller: &Caller, owner: AccountId) -> bool {
    caller.service_name().is_none() && caller.account != owner
}

/// The one refusal for a key or alias of another account, as it was named: whether it is there is nobody else's
/// business, nor what an alias stands for.
pub(crate) fn foreign_refusal(caller: &Caller, action: &str, named: &str) -> String {
    let caller = caller.principal.arn();
    format!(
        "User: {caller} is not authorized to perform: {action} on resource: {named} {FOREIGN_KEY}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_only_hide_no_value() {
        let context = [("Team", "blue"), ("team", "red"), ("x", "y")];
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let keys = of_cryptography(&context.into());
        let values = |wanted: &str| {
            let mut keys = keys.iter();
            let found = keys.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or(Vec::new(), |(_, values)| values.clone())
        };
        assert_eq!(values("kms:EncryptionContext:team"), ["blue", "red"]);
        assert_eq!(values("kms:EncryptionContext:x"), ["y"]);
        assert_eq!(values("kms:EncryptionContextKeys"), ["Team", "team", "x"]);
    }
}
