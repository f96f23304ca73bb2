//! The account: its alias and its summary.

use cairn_catalog::identity::{
    ATTACHED_POLICIES_MAX, IdentityKind, KEYS_PER_USER_MAX, POLICY_VERSIONS_MAX,
    SIZE_GROUP_POLICIES_MAX, SIZE_MANAGED_POLICY_MAX, SIZE_TRUST_POLICY_MAX,
    SIZE_USER_POLICIES_MAX,
};

use crate::query_protocol::{Fields, QueryAnswer, QueryError, ReadCall, Running, Shape, WriteCall};

/// CreateAccountAlias.
pub(super) fn create_alias(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        edit.set_alias(call.input.required("AccountAlias"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// DeleteAccountAlias.
pub(super) fn delete_alias(call: WriteCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut edit = call.transaction.identities(call.caller.account);
        edit.delete_alias(call.input.required("AccountAlias"))
            .await
            .map_err(QueryError::from_catalog)?;
        Ok(QueryAnswer::nothing())
    })
}

/// ListAccountAliases.
pub(super) fn list_aliases(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let facts = view
            .account_facts()
            .await
            .map_err(QueryError::from_catalog)?;
        let alias = facts.and_then(|facts| facts.alias).map(Shape::Text);
        let fields = Fields::new()
            .with("IsTruncated", Shape::Flag(false))
            .with("AccountAliases", Shape::List(alias.into_iter().collect()));
        Ok(QueryAnswer::of(fields))
    })
}

/// GetAccountSummary.
pub(super) fn summary(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut view = call.transaction.identities(call.caller.account);
        let mut counts = [0; 3];
        let kinds = [IdentityKind::User, IdentityKind::Group, IdentityKind::Role];
        for (count, kind) in counts.iter_mut().zip(kinds) {
            *count = view
                .count_identities(kind)
                .await
                .map_err(QueryError::from_catalog)?;
        }
        let policies = view
            .managed_policies("/")
            .await
            .map_err(QueryError::from_catalog)?;
        let mut versions = 0;
        for policy in &policies {
            let held = view
                .policy_versions(&policy.id)
                .await
                .map_err(QueryError::from_catalog)?;
            versions += held.len();
        }
        let root_keys = view
            .access_keys(None)
            .await
            .map_err(QueryError::from_catalog)?
            .len();
        let [users, groups, roles] = counts;
        let numbers = [
            ("Users", users),
            ("UsersQuota", 5_000),
            ("Groups", groups),
            ("GroupsQuota", 300),
            ("Roles", roles),
            ("RolesQuota", 1_000),
            ("Policies", policies.len()),
            ("PoliciesQuota", 1_500),
            ("PolicyVersionsInUse", versions),
            ("PolicyVersionsInUseQuota", 10_000),
            ("VersionsPerPolicyQuota", POLICY_VERSIONS_MAX),
            ("PolicySizeQuota", SIZE_MANAGED_POLICY_MAX),
            ("UserPolicySizeQuota", SIZE_USER_POLICIES_MAX),
            ("GroupPolicySizeQuota", SIZE_GROUP_POLICIES_MAX),
            ("AssumeRolePolicySizeQuota", SIZE_TRUST_POLICY_MAX),
            ("AttachedPoliciesPerUserQuota", ATTACHED_POLICIES_MAX),
            ("AttachedPoliciesPerGroupQuota", ATTACHED_POLICIES_MAX),
            ("AttachedPoliciesPerRoleQuota", ATTACHED_POLICIES_MAX),
            ("GroupsPerUserQuota", 10),
            ("AccessKeysPerUserQuota", KEYS_PER_USER_MAX),
            ("AccountAccessKeysPresent", root_keys.min(1)),
            ("AccountMFAEnabled", 0),
            ("AccountPasswordPresent", 0),
            ("AccountSigningCertificatesPresent", 0),
            ("MFADevices", 0),
            ("MFADevicesInUse", 0),
            ("InstanceProfiles", 0),
            ("Providers", 0),
            ("ServerCertificates", 0),
        ];
        let number =
            |(name, count): (&'static str, usize)| (name, i64::try_from(count).unwrap_or(i64::MAX));
        let map = Shape::Numbers(numbers.into_iter().map(number).collect());
        Ok(QueryAnswer::of(Fields::new().with("SummaryMap", map)))
    })
}
