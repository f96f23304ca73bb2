//! Every operation of IAM that Cairn has: parameters, authorization, record and function, a row each.

use cairn_catalog::identity::IdentityKind::{self, Group, Role, User};

use super::{
    access_keys, account, attachments, boundaries, details, groups, inline_policies,
    managed_policies, roles, tags, users,
};
use crate::query_protocol::{
    Parameter, ParameterKind, Pattern, QueryOperation, QueryService, ReadCall, ResourceRule, Run,
    Running, WriteCall,
};

const fn text(min: usize, max: usize, pattern: Pattern) -> ParameterKind {
    ParameterKind::Text { min, max, pattern }
}

const NAME_64: ParameterKind = text(1, 64, Pattern::Name);
const NAME_128: ParameterKind = text(1, 128, Pattern::Name);
const ARN: ParameterKind = text(20, 2048, Pattern::Any);
const DOCUMENT: ParameterKind = text(1, 131_072, Pattern::Document);
const KEY_ID: ParameterKind = text(16, 128, Pattern::Word);
const DESCRIPTION: ParameterKind = text(0, 1000, Pattern::Any);
const ALIAS_FORM: ParameterKind = text(3, 63, Pattern::Alias);

const USER: Parameter = Parameter::required("UserName", NAME_64);
const MAYBE_USER: Parameter = Parameter::optional("UserName", NAME_128);
const GROUP: Parameter = Parameter::required("GroupName", NAME_128);
const ROLE: Parameter = Parameter::required("RoleName", NAME_64);
const POLICY_NAME: Parameter = Parameter::required("PolicyName", NAME_128);
const POLICY_ARN: Parameter = Parameter::required("PolicyArn", ARN);
const PATH: Parameter = Parameter::optional("Path", text(1, 512, Pattern::Path));
const NEW_PATH: Parameter = Parameter::optional("NewPath", text(1, 512, Pattern::Path));
const PREFIX: Parameter = Parameter::optional("PathPrefix", text(1, 512, Pattern::PathPrefix));
const POLICY_DOCUMENT: Parameter = Parameter::required("PolicyDocument", DOCUMENT);
const TRUST_DOCUMENT: Parameter = Parameter::required("AssumeRolePolicyDocument", DOCUMENT);
const MAYBE_BOUNDARY: Parameter = Parameter::optional("PermissionsBoundary", ARN);
const BOUNDARY: Parameter = Parameter::required("PermissionsBoundary", ARN);
const MAYBE_TAGS: Parameter = Parameter::optional("Tags", ParameterKind::Tags);
const TAGS: Parameter = Parameter::required("Tags", ParameterKind::Tags);
const TAG_KEYS: Parameter = Parameter::required("TagKeys", ParameterKind::Texts);
const MARKER: Parameter = Parameter::optional("Marker", text(1, 1024, Pattern::Any));
const MAX_ITEMS: Parameter =
    Parameter::optional("MaxItems", ParameterKind::Number { min: 1, max: 1000 });
const MAYBE_DESCRIPTION: Parameter = Parameter::optional("Description", DESCRIPTION);
const SESSION_SECONDS: Parameter = Parameter::optional(
    "MaxSessionDuration",
    ParameterKind::Number {
        min: 3600,
        max: 43_200,
    },
);
const ACCESS_KEY: Parameter = Parameter::required("AccessKeyId", KEY_ID);
const STATUS: Parameter =
    Parameter::required("Status", ParameterKind::OneOf(&["Active", "Inactive"]));
const VERSION: Parameter = Parameter::required("VersionId", text(1, 64, Pattern::Version));
const ALIAS: Parameter = Parameter::required("AccountAlias", ALIAS_FORM);
const USAGE: Parameter = Parameter::optional(
    "PolicyUsageFilter",
    ParameterKind::OneOf(&["PermissionsPolicy", "PermissionsBoundary"]),
);
const SCOPE: Parameter =
    Parameter::optional("Scope", ParameterKind::OneOf(&["All", "AWS", "Local"]));
const ONLY_ATTACHED: Parameter = Parameter::optional("OnlyAttached", ParameterKind::Flag);
const SET_AS_DEFAULT: Parameter = Parameter::optional("SetAsDefault", ParameterKind::Flag);
const ENTITIES: &[&str] = &[
    "User",
    "Role",
    "Group",
    "LocalManagedPolicy",
    "AWSManagedPolicy",
];
const ENTITY_FILTER: Parameter =
    Parameter::optional("EntityFilter", ParameterKind::OneOf(ENTITIES));
const FILTER: Parameter = Parameter::optional("Filter", ParameterKind::EachOneOf(ENTITIES));
const NEW_USER: Parameter = Parameter::optional("NewUserName", NAME_64);
const NEW_GROUP: Parameter = Parameter::optional("NewGroupName", NAME_128);

type ReadFunction = for<'a> fn(ReadCall<'a>) -> Running<'a>;
type WriteFunction = for<'a> fn(WriteCall<'a>) -> Running<'a>;
type Parameters = &'static [Parameter];

const fn reads(
    name: &'static str,
    resource: ResourceRule,
    parameters: Parameters,
    run: ReadFunction,
) -> QueryOperation {
    QueryOperation {
        name,
        service: QueryService::Iam,
        read_only: true,
        records_answer: false,
        subject: None,
        parameters,
        resource,
        run: Run::Read(run),
    }
}

const fn writes(
    name: &'static str,
    resource: ResourceRule,
    parameters: Parameters,
    run: WriteFunction,
) -> QueryOperation {
    QueryOperation {
        name,
        service: QueryService::Iam,
        read_only: false,
        records_answer: true,
        subject: None,
        parameters,
        resource,
        run: Run::Write(run),
    }
}

/// A row of twins: the resource is the user, group or role that the call names.
const fn about(kind: IdentityKind, row: QueryOperation) -> QueryOperation {
    QueryOperation {
        subject: Some(kind),
        ..row
    }
}

const OF_USER: ResourceRule = ResourceRule::Identity(User);
const OF_GROUP: ResourceRule = ResourceRule::Identity(Group);
const OF_ROLE: ResourceRule = ResourceRule::Identity(Role);
const OF_POLICY: ResourceRule = ResourceRule::Policy;
const ANY: ResourceRule = ResourceRule::Any;

/// The table.
#[rustfmt::skip]
pub static OPERATIONS: &[QueryOperation] = &[
    // Users.
    writes("CreateUser", ResourceRule::NewIdentity(User), &[PATH, USER, MAYBE_BOUNDARY, MAYBE_TAGS], users::create),
    reads("GetUser", OF_USER, &[MAYBE_USER], users::get),
    reads("ListUsers", ResourceRule::Identities(User), &[PREFIX, MARKER, MAX_ITEMS], users::list),
    writes("UpdateUser", OF_USER, &[USER, NEW_PATH, NEW_USER], users::update),
    about(User, writes("DeleteUser", OF_USER, &[USER], users::delete)),
    // Groups.
    writes("CreateGroup", ResourceRule::NewIdentity(Group), &[PATH, GROUP], groups::create),
    reads("GetGroup", OF_GROUP, &[GROUP, MARKER, MAX_ITEMS], groups::get),
    reads("ListGroups", ResourceRule::Identities(Group), &[PREFIX, MARKER, MAX_ITEMS], groups::list),
    reads("ListGroupsForUser", OF_USER, &[USER, MARKER, MAX_ITEMS], groups::list_for_user),
    writes("UpdateGroup", OF_GROUP, &[GROUP, NEW_PATH, NEW_GROUP], users::update_group),
    about(Group, writes("DeleteGroup", OF_GROUP, &[GROUP], users::delete)),
    writes("AddUserToGroup", OF_GROUP, &[GROUP, USER], groups::add_user),
    writes("RemoveUserFromGroup", OF_GROUP, &[GROUP, USER], groups::remove_user),
    // Roles.
    writes("CreateRole", ResourceRule::NewIdentity(Role), &[PATH, ROLE, TRUST_DOCUMENT, MAYBE_DESCRIPTION, SESSION_SECONDS, MAYBE_BOUNDARY, MAYBE_TAGS], roles::create),
    reads("GetRole", OF_ROLE, &[ROLE], roles::get),
    reads("ListRoles", ResourceRule::Identities(Role), &[PREFIX, MARKER, MAX_ITEMS], roles::list),
    writes("UpdateRole", OF_ROLE, &[ROLE, MAYBE_DESCRIPTION, SESSION_SECONDS], roles::update),
    writes("UpdateRoleDescription", OF_ROLE, &[ROLE, Parameter::required("Description", DESCRIPTION)], roles::update_description),
    writes("UpdateAssumeRolePolicy", OF_ROLE, &[ROLE, POLICY_DOCUMENT], roles::update_trust),
    about(Role, writes("DeleteRole", OF_ROLE, &[ROLE], users::delete)),
    reads("ListInstanceProfilesForRole", OF_ROLE, &[ROLE, MARKER, MAX_ITEMS], roles::list_instance_profiles),
    // Access keys.
    writes("CreateAccessKey", OF_USER, &[MAYBE_USER], access_keys::create),
    reads("ListAccessKeys", OF_USER, &[MAYBE_USER, MARKER, MAX_ITEMS], access_keys::list),
    writes("UpdateAccessKey", OF_USER, &[MAYBE_USER, ACCESS_KEY, STATUS], access_keys::update),
    writes("DeleteAccessKey", OF_USER, &[MAYBE_USER, ACCESS_KEY], access_keys::delete),
    reads("GetAccessKeyLastUsed", ResourceRule::KeyOwner, &[ACCESS_KEY], access_keys::get_last_used),
    // Inline policies.
    about(User, writes("PutUserPolicy", OF_USER, &[USER, POLICY_NAME, POLICY_DOCUMENT], inline_policies::put)),
    about(Group, writes("PutGroupPolicy", OF_GROUP, &[GROUP, POLICY_NAME, POLICY_DOCUMENT], inline_policies::put)),
    about(Role, writes("PutRolePolicy", OF_ROLE, &[ROLE, POLICY_NAME, POLICY_DOCUMENT], inline_policies::put)),
    about(User, reads("GetUserPolicy", OF_USER, &[USER, POLICY_NAME], inline_policies::get)),
    about(Group, reads("GetGroupPolicy", OF_GROUP, &[GROUP, POLICY_NAME], inline_policies::get)),
    about(Role, reads("GetRolePolicy", OF_ROLE, &[ROLE, POLICY_NAME], inline_policies::get)),
    about(User, writes("DeleteUserPolicy", OF_USER, &[USER, POLICY_NAME], inline_policies::delete)),
    about(Group, writes("DeleteGroupPolicy", OF_GROUP, &[GROUP, POLICY_NAME], inline_policies::delete)),
    about(Role, writes("DeleteRolePolicy", OF_ROLE, &[ROLE, POLICY_NAME], inline_policies::delete)),
    about(User, reads("ListUserPolicies", OF_USER, &[USER, MARKER, MAX_ITEMS], inline_policies::list)),
    about(Group, reads("ListGroupPolicies", OF_GROUP, &[GROUP, MARKER, MAX_ITEMS], inline_policies::list)),
    about(Role, reads("ListRolePolicies", OF_ROLE, &[ROLE, MARKER, MAX_ITEMS], inline_policies::list)),
    // Attached policies.
    about(User, writes("AttachUserPolicy", OF_USER, &[USER, POLICY_ARN], attachments::attach)),
    about(Group, writes("AttachGroupPolicy", OF_GROUP, &[GROUP, POLICY_ARN], attachments::attach)),
    about(Role, writes("AttachRolePolicy", OF_ROLE, &[ROLE, POLICY_ARN], attachments::attach)),
    about(User, writes("DetachUserPolicy", OF_USER, &[USER, POLICY_ARN], attachments::detach)),
    about(Group, writes("DetachGroupPolicy", OF_GROUP, &[GROUP, POLICY_ARN], attachments::detach)),
    about(Role, writes("DetachRolePolicy", OF_ROLE, &[ROLE, POLICY_ARN], attachments::detach)),
    about(User, reads("ListAttachedUserPolicies", OF_USER, &[USER, PREFIX, MARKER, MAX_ITEMS], attachments::list)),
    about(Group, reads("ListAttachedGroupPolicies", OF_GROUP, &[GROUP, PREFIX, MARKER, MAX_ITEMS], attachments::list)),
    about(Role, reads("ListAttachedRolePolicies", OF_ROLE, &[ROLE, PREFIX, MARKER, MAX_ITEMS], attachments::list)),
    // Managed policies.
    writes("CreatePolicy", ResourceRule::NewPolicy, &[POLICY_NAME, PATH, POLICY_DOCUMENT, MAYBE_DESCRIPTION, MAYBE_TAGS], managed_policies::create),
    reads("GetPolicy", OF_POLICY, &[POLICY_ARN], managed_policies::get),
    reads("ListPolicies", ResourceRule::Policies, &[SCOPE, ONLY_ATTACHED, PREFIX, USAGE, MARKER, MAX_ITEMS], managed_policies::list),
    writes("DeletePolicy", OF_POLICY, &[POLICY_ARN], managed_policies::delete),
    writes("CreatePolicyVersion", OF_POLICY, &[POLICY_ARN, POLICY_DOCUMENT, SET_AS_DEFAULT], managed_policies::create_version),
    reads("GetPolicyVersion", OF_POLICY, &[POLICY_ARN, VERSION], managed_policies::get_version),
    reads("ListPolicyVersions", OF_POLICY, &[POLICY_ARN, MARKER, MAX_ITEMS], managed_policies::list_versions),
    writes("SetDefaultPolicyVersion", OF_POLICY, &[POLICY_ARN, VERSION], managed_policies::set_default_version),
    writes("DeletePolicyVersion", OF_POLICY, &[POLICY_ARN, VERSION], managed_policies::delete_version),
    reads("ListEntitiesForPolicy", OF_POLICY, &[POLICY_ARN, ENTITY_FILTER, PREFIX, USAGE, MARKER, MAX_ITEMS], managed_policies::list_entities),
    // Permissions boundaries.
    about(User, writes("PutUserPermissionsBoundary", OF_USER, &[USER, BOUNDARY], boundaries::put)),
    about(Role, writes("PutRolePermissionsBoundary", OF_ROLE, &[ROLE, BOUNDARY], boundaries::put)),
    about(User, writes("DeleteUserPermissionsBoundary", OF_USER, &[USER], boundaries::delete)),
    about(Role, writes("DeleteRolePermissionsBoundary", OF_ROLE, &[ROLE], boundaries::delete)),
    // Tags.
    about(User, writes("TagUser", OF_USER, &[USER, TAGS], tags::put)),
    about(Role, writes("TagRole", OF_ROLE, &[ROLE, TAGS], tags::put)),
    writes("TagPolicy", OF_POLICY, &[POLICY_ARN, TAGS], tags::put),
    about(User, writes("UntagUser", OF_USER, &[USER, TAG_KEYS], tags::delete)),
    about(Role, writes("UntagRole", OF_ROLE, &[ROLE, TAG_KEYS], tags::delete)),
    writes("UntagPolicy", OF_POLICY, &[POLICY_ARN, TAG_KEYS], tags::delete),
    about(User, reads("ListUserTags", OF_USER, &[USER, MARKER, MAX_ITEMS], tags::list)),
    about(Role, reads("ListRoleTags", OF_ROLE, &[ROLE, MARKER, MAX_ITEMS], tags::list)),
    reads("ListPolicyTags", OF_POLICY, &[POLICY_ARN, MARKER, MAX_ITEMS], tags::list),
    // The account.
    writes("CreateAccountAlias", ANY, &[ALIAS], account::create_alias),
    writes("DeleteAccountAlias", ANY, &[ALIAS], account::delete_alias),
    reads("ListAccountAliases", ANY, &[MARKER, MAX_ITEMS], account::list_aliases),
    reads("GetAccountSummary", ANY, &[], account::summary),
    reads("GetAccountAuthorizationDetails", ANY, &[FILTER, MARKER, MAX_ITEMS], details::get),
];
