//! Who there is: accounts, users, groups, roles, access keys and their policies.
//!
//! `View` reads and `Edit` writes one account inside a transaction. Errors that a caller of IAM can
//! cause carry IAM's own wording. What a policy means is not decided here: documents are text.

mod accounts;
mod cache;
mod identifiers;
mod identities;
mod keys;
mod managed_policies;
mod memberships;
mod policies;
mod quotas;
mod snapshot;
mod tags;
mod view;

pub use accounts::{Account, NewAccount};
pub use cache::{IdentityCache, KeyUse};
pub use identifiers::{IdPrefix, access_key_account, new_access_key_id, new_secret, new_unique_id};
pub use identities::{Identity, IdentityKind, NewIdentity, RoleFacts};
pub use keys::{AccessKey, NewAccessKey};
pub use managed_policies::{ManagedPolicy, NewManagedPolicy, PolicyVersion};
pub use quotas::{
    ATTACHED_POLICIES_MAX, KEYS_PER_USER_MAX, POLICY_VERSIONS_MAX, SIZE_GROUP_POLICIES_MAX,
    SIZE_MANAGED_POLICY_MAX, SIZE_ROLE_POLICIES_MAX, SIZE_TRUST_POLICY_MAX, SIZE_USER_POLICIES_MAX,
    TAGS_MAX,
};
pub use snapshot::{CredentialRecord, IdentitySnapshot, SnapshotPolicy};
pub use tags::Tag;
pub use view::{Edit, ReadIdentities, View};
