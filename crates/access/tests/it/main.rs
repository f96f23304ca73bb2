//! Integration tests of `cairn-access`, through its public interface only.

/// What may be put as the policy of a bucket.
mod bucket_policies;
/// A client that uploads in chunks.
mod chunked_client;
/// A client that signs requests, to be bent by the tests.
mod client;
/// What fuzzing starts from or has found, replayed.
mod corpus;
/// Policies of KMS keys.
mod key_policies;
/// The managed policies that exist under AWS's ARNs.
mod managed_policies;
/// Condition operators, one row per operator and situation.
mod policy_conditions;
/// Our policy decisions beside those of an independent evaluator.
mod policy_differential;
/// What is a policy document and what is not.
mod policy_documents;
/// Decisions over several sets of policies, trust policies included.
mod policy_evaluation;
/// Condition keys: tags and global keys.
mod policy_keys;
/// Properties that hold for every policy and request.
mod policy_properties;
/// Policies of resources: buckets, channels, roles.
mod policy_resources;
/// Callers' names.
mod principals;
/// A question to the evaluator.
mod question;
/// Secrets never show.
mod secrets;
/// Requests that AWS's own Python client signed.
mod sigv4_botocore;
/// Bodies that are signed chunk by chunk.
mod sigv4_chunked;
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
