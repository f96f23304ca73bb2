//! NextTokens: sealed, so that nobody can read or make one, and bound to the request that they
//! continue (OVR-090).

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_platform::{Entropy, MasterKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 4096;

/// What a token continues: everything that must not change between pages.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<C> {
    /// The fingerprint of the request.
    request: String,
    /// When the token was given out.
    issued_ms: i64,
    /// Where the next page begins.
    cursor: C,
}

impl Fingerprint {
    /// Of the parts of a request, in order. Each part's length is hashed with it, so that parts cannot
    /// run into one another.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in parts {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(URL_SAFE_NO_PAD.encode(hash.finish().as_ref()))
    }
}

/// Seals tokens of one operation.
#[derive(Clone, Debug)]
pub(crate) struct PageTokens {
    pub(crate) key: MasterKey,
    /// Keeps the tokens of different operations apart.
    pub(crate) context: &'static str,
    pub(crate) lifetime_ms: i64,
}

impl PageTokens {
    pub(crate) fn seal<C: Serialize>(
        &self,
        cursor: &C,
        request: &Fingerprint,
        now_ms: i64,
        entropy: &dyn Entropy,
    ) -> String {
        let sealed = Sealed {
            request: request.0.clone(),
            issued_ms: now_ms,
            cursor,
        };
        let plain = serde_json::to_vec(&sealed).expect("cursors have text keys only");
        URL_SAFE_NO_PAD.encode(self.key.seal(self.context, &plain, entropy))
    }

    /// The cursor, if the token is ours, of this request, and not too old.
    pub(crate) fn open<C: DeserializeOwned>(
        &self,
        token: &str,
        request: &Fingerprint,
        now_ms: i64,
    ) -> Option<C> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let plain = self.key.open(self.context, &sealed).ok()?;
        let sealed: Sealed<C> = serde_json::from_slice(&plain).ok()?;
        let age_ms = now_ms.saturating_sub(sealed.issued_ms);
        (sealed.request == request.0 && age_ms <= self.lifetime_ms).then_some(sealed.cursor)
    }
}

#[cfg(test)]
mod tests {
    use cairn_platform::SeededEntropy;

    use super::*;

    // Proves: OVR-090
    #[test]
    fn a_token_is_good_for_its_own_request_and_for_a_time() {
        let entropy = SeededEntropy::new(1);
        let key = MasterKey::generate(&entropy);
        let tokens = PageTokens {
            key: key.clone(),
            context: "lookup",
            lifetime_ms: 1000,
        };
        let other = PageTokens {
            key,
            context: "list",
            lifetime_ms: 1000,
        };
        let request = Fingerprint::of(&["111122223333", "us-east-1"]);
        let token = tokens.seal(&7u64, &request, 0, &entropy);
        let open = |tokens: &PageTokens, token: &str, parts: &[&str], now_ms| {
            tokens.open::<u64>(token, &Fingerprint::of(parts), now_ms)
        };
        let parts = ["111122223333", "us-east-1"];
        assert_eq!(open(&tokens, &token, &parts, 1000), Some(7));
        assert_eq!(open(&tokens, &token, &parts, 1001), None);
        assert_eq!(
            open(&tokens, &token, &["111122223333u", "s-east-1"], 0),
            None
        );
        assert_eq!(open(&other, &token, &parts, 0), None);
        assert_eq!(open(&tokens, "", &parts, 0), None);
        assert_eq!(open(&tokens, &format!("{token}A"), &parts, 0), None);
        assert_eq!(open(&tokens, &"A".repeat(5000), &parts, 0), None);
    }
}
