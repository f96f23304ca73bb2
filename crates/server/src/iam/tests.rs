//! IAM as its callers see it: forms go in, XML and records come out, over a catalog in a folder.
//!
//! `users_and_keys`: users, access keys, tags, boundaries, the account. `groups_and_policies`: groups,
//! inline, attached and managed policies. `roles`: roles and what is authorized on them.

mod groups_and_policies;
mod roles;
mod users_and_keys;

/// Lets account 123456789012 assume a role.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}]}"#;
/// Allows all of CloudTrail.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"}]}"#;
