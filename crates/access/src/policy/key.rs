//! Policies of KMS keys. The language is that of every resource's policy; what differs is that a key's policy must let
//! the principal in, and that every key has one from the start.

use cairn_model::AccountId;

/// The longest policy of a key, in bytes.
pub const KEY_POLICY_BYTES_MAX: usize = 32 * 1024;

/// The policy of a key that was made without one: the account decides by its identities' policies who may do what.
pub fn default_key_policy(account: AccountId) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:aws:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}
