//! The one type that holds a secret access key or another secret text. It wipes its memory, prints nothing of itself and can
//! be compared only through a signature. [R23]

use std::fmt;

use zeroize::Zeroizing;

/// A secret access key, the secret half of temporary credentials, or a bearer token.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes ownership of the secret; callers must not keep a copy.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, for the places that seal it, hand it out once, or sign with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}
