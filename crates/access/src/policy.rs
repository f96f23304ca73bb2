//! IAM's policy language: documents, the context of a request, and the decision over all policies that
//! apply to it. Which policies those are, and what the context holds, the caller says.

mod arn_pattern;
mod bucket;
mod condition;
mod context;
mod document;
mod error;
mod evaluate;
mod json;
mod key;
mod managed;
mod principal_clause;
mod statement;
mod template;
mod value;

pub use bucket::{BUCKET_POLICY_BYTES_MAX, bucket_policy};
pub use context::{ContextKeys, RequestFacts};
pub use document::{
    GROUP_INLINE_SIZE_MAX, MANAGED_SIZE_MAX, PolicyDocument, PolicyKind, ROLE_INLINE_SIZE_MAX,
    SESSION_SIZE_MAX, TRUST_SIZE_MAX, USER_INLINE_SIZE_MAX, policy_size,
};
pub use error::PolicyError;
pub use evaluate::{Decision, FOREIGN_KEY, PolicyLayer, PolicySets, RequestContext, evaluate};
pub use key::{KEY_POLICY_BYTES_MAX, default_key_policy};
pub use managed::{ManagedPolicy, managed, managed_by_arn};
