//! IAM's output structures.

use cairn_access::policy::{ManagedPolicy as AwsPolicy, policy_size};
use cairn_access::sigv4::sha256_hex;
use cairn_catalog::identity::{Identity, ManagedPolicy, Tag};

use crate::query_protocol::{Fields, Shape};

/// When AWS's managed policies were made: AWS gives each its own time, this program one to all.
const AWS_POLICIES_CREATED_MS: i64 = 1_423_247_986_000;

pub(super) fn tags(tags: &[Tag]) -> Shape {
    let tag = |tag: &Tag| {
        Fields::new()
            .text("Key", &tag.key)
            .text("Value", &tag.value)
            .shape()
    };
    Shape::List(tags.iter().map(tag).collect())
}

/// A list of tags that is left out when empty.
pub(super) fn some_tags(held: &[Tag]) -> Option<Shape> {
    (!held.is_empty()).then(|| tags(held))
}

pub(super) fn boundary(identity: &Identity) -> Option<Shape> {
    identity.boundary_arn.as_ref().map(|arn| {
        Fields::new()
            .text("PermissionsBoundaryType", "Policy")
            .text("PermissionsBoundaryArn", arn)
            .shape()
    })
}

pub(super) fn user(identity: &Identity) -> Fields {
    Fields::new()
        .text("Path", &identity.path)
        .text("UserName", &identity.name)
        .text("UserId", &identity.id)
        .text("Arn", identity.arn())
        .with("CreateDate", Shape::Time(identity.created_ms))
}

pub(super) fn group(identity: &Identity) -> Fields {
    Fields::new()
        .text("Path", &identity.path)
        .text("GroupName", &identity.name)
        .text("GroupId", &identity.id)
        .text("Arn", identity.arn())
        .with("CreateDate", Shape::Time(identity.created_ms))
}

/// A role as CreateRole answers it: without description and session length (SEC-026).
pub(super) fn new_role(identity: &Identity) -> Fields {
    let document = identity
        .role
        .as_ref()
        .map(|role| Shape::Document(role.trust_policy.clone()));
    Fields::new()
        .text("Path", &identity.path)
        .text("RoleName", &identity.name)
        .text("RoleId", &identity.id)
        .text("Arn", identity.arn())
        .with("CreateDate", Shape::Time(identity.created_ms))
        .maybe("AssumeRolePolicyDocument", document)
}

pub(super) fn role(identity: &Identity) -> Fields {
    let facts = identity.role.as_ref();
    let description = facts.and_then(|role| role.description.clone());
    let seconds = facts.map(|role| Shape::Number(role.max_session_seconds.into()));
    new_role(identity)
        .maybe("Description", description.map(Shape::Text))
        .maybe("MaxSessionDuration", seconds)
}

/// How often a policy is held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PolicyUse {
    pub(super) attached: usize,
    pub(super) bounding: usize,
}

impl PolicyUse {
    fn fields(self, fields: Fields) -> Fields {
        let number = |count: usize| Shape::Number(i64::try_from(count).unwrap_or(i64::MAX));
        fields
            .with("AttachmentCount", number(self.attached))
            .with("PermissionsBoundaryUsageCount", number(self.bounding))
    }
}

pub(super) fn managed_policy(policy: &ManagedPolicy, held: PolicyUse) -> Fields {
    let fields = Fields::new()
        .text("PolicyName", &policy.name)
        .text("PolicyId", &policy.id)
        .text("Arn", &policy.arn)
        .text("Path", &policy.path)
        .text("DefaultVersionId", version_id(policy.default_version));
    held.fields(fields)
        .with("IsAttachable", Shape::Flag(true))
        .with("CreateDate", Shape::Time(policy.created_ms))
        .with("UpdateDate", Shape::Time(policy.updated_ms))
}

pub(super) fn aws_policy(policy: &AwsPolicy, held: PolicyUse) -> Fields {
    let fields = Fields::new()
        .text("PolicyName", policy.name)
        .text("PolicyId", aws_policy_id(&policy.arn))
        .text("Arn", &policy.arn)
        .text("Path", policy.path)
        .text("DefaultVersionId", "v1");
    held.fields(fields)
        .with("IsAttachable", Shape::Flag(policy.attachable))
        .with("CreateDate", Shape::Time(AWS_POLICIES_CREATED_MS))
        .with("UpdateDate", Shape::Time(AWS_POLICIES_CREATED_MS))
}

/// The only version of one of AWS's managed policies.
pub(super) fn aws_policy_version(policy: &AwsPolicy) -> Fields {
    debug_assert!(
        policy_size(policy.json) > 0,
        "every managed policy has a document"
    );
    Fields::new()
        .with("Document", Shape::Document(policy.json.to_owned()))
        .text("VersionId", "v1")
        .with("IsDefaultVersion", Shape::Flag(true))
        .with("CreateDate", Shape::Time(AWS_POLICIES_CREATED_MS))
}

pub(super) fn version_id(version: u32) -> String {
    format!("v{version}")
}

/// The same for ever, in the form of a unique ID: AWS's own are not published.
fn aws_policy_id(arn: &str) -> String {
    let digits = sha256_hex(arn.as_bytes()).to_ascii_uppercase();
    let letters = digits
        .chars()
        .filter(|c| !matches!(c, '0' | '1' | '8' | '9'))
        .take(17);
    std::iter::once("ANPA".to_owned())
        .chain(letters.map(String::from))
        .collect()
}
