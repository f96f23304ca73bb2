//! Why a document is no policy. All of these are `MalformedPolicyDocument` to a client, with IAM's
//! own sentences where IAM has one.

/// Why a document is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not JSON, or a member twice.
    #[error("Syntax errors in policy. ({detail})")]
    Syntax {
        /// What and where.
        detail: String,
    },
    /// Longer than any API takes.
    #[error("The policy is longer than {limit} characters.")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A version that does not exist.
    #[error("Policy document must be version 2012-10-17 or 2008-10-17.")]
    Version,
    /// An element that the language does not have, or not here.
    #[error("Syntax errors in policy. (unknown element {name})")]
    UnknownElement {
        /// The element.
        name: String,
    },
    /// An element that this kind of policy must not have.
    #[error("Has prohibited field {name}")]
    ProhibitedElement {
        /// The element.
        name: &'static str,
    },
    /// `Principal` in an identity policy. (SEC-104)
    #[error("Policy document should not specify a principal.")]
    PrincipalInIdentityPolicy,
    /// An element that every statement of this kind needs. (SEC-105, SEC-113)
    #[error("Missing required field {name}")]
    MissingElement {
        /// The element.
        name: &'static str,
    },
    /// An element of the wrong JSON type.
    #[error("Syntax errors in policy. (element {name} has the wrong type)")]
    WrongType {
        /// The element.
        name: String,
    },
    /// Neither `Allow` nor `Deny`.
    #[error("Invalid effect: {found}")]
    Effect {
        /// What was written.
        found: String,
    },
    /// A statement ID that identity policies do not admit.
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular \
         expression [0-9A-Za-z]*"
    )]
    StatementId,
    /// A statement ID twice.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    RepeatedStatementId,
    /// An action or condition key without its service.
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    Vendor,
    /// A service prefix that cannot be one.
    #[error("Vendor {vendor} is not valid")]
    VendorName {
        /// What was written.
        vendor: String,
    },
    /// A resource that is neither an ARN nor `*`.
    #[error("Resource {found} must be in ARN format or \"*\".")]
    Resource {
        /// What was written.
        found: String,
    },
    /// A principal that cannot be one.
    #[error("Invalid principal in policy: {found}")]
    Principal {
        /// What was written.
        found: String,
    },
    /// A resource of a bucket's policy that is not in the bucket.
    #[error("Policy has invalid resource")]
    ForeignResource,
    /// An action of a bucket's policy that is none of S3's.
    #[error("Policy has invalid action")]
    ForeignAction,
    /// An operator that does not exist.
    #[error("Invalid Condition type : {found}.")]
    Operator {
        /// What was written.
        found: String,
    },
    /// A value that its operator can never match.
    #[error("Invalid value {found} for condition type {operator}.")]
    ConditionValue {
        /// What was written.
        found: String,
        /// The operator.
        operator: String,
    },
    /// A policy variable that cannot be read.
    #[error("Invalid policy variable in {found}")]
    Variable {
        /// The text around it.
        found: String,
    },
}
