//! IAM's default quotas. Each is kept inside the mutation's own transaction, so a race cannot pass it.

/// Users in an account.
pub(crate) const USERS_MAX: usize = 5_000;
/// Groups in an account.
pub(crate) const GROUPS_MAX: usize = 300;
/// Roles in an account.
pub(crate) const ROLES_MAX: usize = 1_000;
/// Customer managed policies in an account.
pub(crate) const POLICIES_MAX: usize = 1_500;
/// Groups that one user is in.
pub(crate) const GROUPS_PER_USER_MAX: usize = 10;
/// Access keys of one user.
pub const KEYS_PER_USER_MAX: usize = 2;
/// Managed policies attached to one identity.
pub const ATTACHED_POLICIES_MAX: usize = 10;
/// Versions of one managed policy.
pub const POLICY_VERSIONS_MAX: usize = 5;
/// Tags of one resource.
pub const TAGS_MAX: usize = 50;
/// Characters of all inline policies of a user, white space not counted.
pub const SIZE_USER_POLICIES_MAX: usize = 2_048;
/// Characters of all inline policies of a group, white space not counted.
pub const SIZE_GROUP_POLICIES_MAX: usize = 5_120;
/// Characters of all inline policies of a role, white space not counted.
pub const SIZE_ROLE_POLICIES_MAX: usize = 10_240;
/// Characters of a managed policy, white space not counted.
pub const SIZE_MANAGED_POLICY_MAX: usize = 6_144;
/// Characters of a role's trust policy, white space not counted.
pub const SIZE_TRUST_POLICY_MAX: usize = 2_048;

/// How IAM counts a document's size.
pub(crate) fn counted_size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}
