//! What authentication asks for most, kept in memory until identities change.

/// Resolved keys and policies of one version of the identities.
#[derive(Debug, Default)]
pub struct IdentityCache {}
