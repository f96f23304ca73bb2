//! Integration tests of `cairn-access`, through its public interface only.

/// A client that signs requests, to be bent by the tests.
mod client;
//OFF /// Our policy decisions beside those of an independent evaluator.
//OFF mod policy_differential;
//OFF /// Condition operators, one row per operator and situation.
//OFF mod policy_conditions;
/// What is a policy document and what is not.
mod policy_documents;
//OFF /// Decisions over several sets of policies, trust policies included.
//OFF mod policy_evaluation;
//OFF /// Properties that hold for every policy and request.
//OFF mod policy_properties;
//OFF /// The managed policies that exist under AWS's ARNs.
//OFF mod managed_policies;
/// Callers' names.
mod principals;
/// Secrets never show.
mod secrets;
/// Requests that are bent at random.
mod sigv4_mutation;
/// Requests that must be refused for what they say about their signature.
mod sigv4_negative;
/// Requests that must be refused for their time, life, body or encoding.
mod sigv4_negative_request;
/// Requests that must be accepted, presigned ones and S3's included.
mod sigv4_positive;
/// AWS's published vectors, stage by stage.
mod sigv4_vectors;
