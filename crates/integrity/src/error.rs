//! Why a key pair or a digest document cannot be used.

/// What callers can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// The bytes are no digest document: not JSON, or a member is missing or of another type.
    #[error("not a digest document: {reason}")]
    DigestDocument {
        /// Which member, or what the JSON parser says.
        reason: String,
    },
    /// The private key is not an RSA key of 2048 bits in PKCS #8.
    #[error("not an RSA private key of 2048 bits in PKCS #8")]
    PrivateKey,
    /// The cryptographic library could not make a key pair.
    #[error("no key pair could be generated")]
    Generation,
}
