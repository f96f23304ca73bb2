//! The managed policies that exist in every account under AWS's own ARNs. Those of CloudTrail say what
//! the manual says they say (SEC-152 to SEC-165, SEC-255, SEC-268); the general ones cover the
//! services that Cairn speaks. Their texts are files in `managed/`.

use std::sync::LazyLock;

use super::{PolicyDocument, PolicyKind};

/// A managed policy that belongs to AWS. (SEC-164)
#[derive(Clone, Debug)]
pub struct ManagedPolicy {
    /// The name, such as `AWSCloudTrail_FullAccess`.
    pub name: &'static str,
    /// The path, `/` or `/aws-service-role/`.
    pub path: &'static str,
    /// `arn:aws:iam::aws:policy/…`.
    pub arn: String,
    /// What the policy is for.
    pub description: &'static str,
    /// Whether it may be attached to users, groups and roles; those of service-linked roles may not.
    /// (SEC-163)
    pub attachable: bool,
    /// The text.
    pub json: &'static str,
    /// The text, read.
    pub document: PolicyDocument,
}

/// Every managed policy, by name.
pub fn managed() -> &'static [ManagedPolicy] {
    static POLICIES: LazyLock<Vec<ManagedPolicy>> =
        LazyLock::new(|| TABLE.iter().map(ManagedPolicy::read).collect());
    &POLICIES
}

/// The managed policy with this ARN.
pub fn managed_by_arn(arn: &str) -> Option<&'static ManagedPolicy> {
    managed().iter().find(|policy| policy.arn == arn)
}

struct Row {
    name: &'static str,
    path: &'static str,
    description: &'static str,
    json: &'static str,
}

macro_rules! row {
    ($name:literal, $path:literal, $description:literal) => {
        Row {
            name: $name,
            path: $path,
            description: $description,
            json: include_str!(concat!("../../managed/", $name, ".json")),
        }
    };
}

const ROOT: &str = "/";

const TABLE: [Row; 12] = [
    row!(
        "AWSCloudTrail_FullAccess",
        "/",
        "Full access to CloudTrail, for administrators only."
    ),
    row!(
        "AWSCloudTrail_ReadOnlyAccess",
        "/",
        "Views events, trails, stores, channels and queries."
    ),
    row!(
        "AWSKeyManagementServicePowerUser",
        "/",
        "Creates and describes KMS keys."
    ),
    row!(
        "AdministratorAccess",
        "/",
        "Full access to every service and resource."
    ),
    row!("AmazonS3FullAccess", "/", "Full access to all buckets."),
    row!(
        "AmazonS3ReadOnlyAccess",
        "/",
        "Read-only access to all buckets."
    ),
    row!(
        "CloudTrailEventContext",
        "/aws-service-role/",
        "Used by AWSServiceRoleForCloudTrailEventContext."
    ),
    row!(
        "CloudTrailServiceRolePolicy",
        "/aws-service-role/",
        "Used by AWSServiceRoleForCloudTrail."
    ),
    row!("IAMFullAccess", "/", "Full access to IAM."),
    row!("IAMReadOnlyAccess", "/", "Read-only access to IAM."),
    row!(
        "PowerUserAccess",
        "/",
        "Full access to everything but users, groups and organizations."
    ),
    row!("ReadOnlyAccess", "/", "Read-only access to every service."),
];

impl ManagedPolicy {
    fn read(row: &Row) -> Self {
        Self {
            name: row.name,
            path: row.path,
            arn: format!("arn:aws:iam::aws:policy{}{}", row.path, row.name),
            description: row.description,
            attachable: row.path == ROOT,
            json: row.json,
            document: PolicyDocument::parse(row.json, PolicyKind::Identity)
                .expect("a test reads every managed policy"),
        }
    }
}
