//! The identifiers that IAM gives: unique IDs, access key IDs, secrets.
//!
//! ```text
//! unique ID      = prefix (4) · 17 characters of A-Z2-7
//! access key ID  = prefix (4) · 16 characters of A-Z2-7, which are 80 bits:
//!                  1 · account number (40) · random (39)
//! ```
//! AWS keeps the account in an access key ID in the same place, so tools that read it there work.

use std::fmt::Write;

use cairn_model::AccountId;
use cairn_platform::Entropy;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const UNIQUE_CHARACTERS: usize = 17;
const KEY_CHARACTERS: usize = 16;
const SECRET_CHARACTERS: usize = 40;
const SECRET_ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const RANDOM_BITS: u32 = 39;
const ACCOUNT_MASK: u128 = (1 << 40) - 1;

/// What the first four characters of an identifier say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdPrefix {
    /// A user.
    User,
    /// A group.
    Group,
    /// A role.
    Role,
    /// A managed policy.
    ManagedPolicy,
    /// A long-term access key.
    AccessKey,
    /// A temporary access key.
    TemporaryKey,
}

impl IdPrefix {
    /// The four characters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Group => "AGPA",
            Self::Role => "AROA",
            Self::ManagedPolicy => "ANPA",
            Self::AccessKey => "AKIA",
            Self::TemporaryKey => "ASIA",
        }
    }
}

/// A new unique ID, 21 characters.
pub fn new_unique_id(prefix: IdPrefix, entropy: &dyn Entropy) -> String {
    let mut random = [0; UNIQUE_CHARACTERS];
    entropy.fill(&mut random);
    let mut id = String::from(prefix.as_str());
    id.extend(
        random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 31)])),
    );
    id
}

/// A new access key ID, 20 characters, that tells its account.
pub fn new_access_key_id(prefix: IdPrefix, account: AccountId, entropy: &dyn Entropy) -> String {
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let random = u128::from(u64::from_be_bytes(random)) & ((1 << RANDOM_BITS) - 1);
    let number: u128 = account
        .as_str()
        .parse()
        .expect("an account ID is twelve digits");
    let bits = (1 << 79) | (number << RANDOM_BITS) | random;
    let mut id = String::from(prefix.as_str());
    for position in (0..KEY_CHARACTERS).rev() {
        let index = usize::try_from((bits >> (5 * position)) & 31).expect("five bits");
        id.push(char::from(ALPHABET[index]));
    }
    id
}

/// The account that an access key ID tells, if it has the form of one.
pub fn access_key_account(key_id: &str) -> Option<AccountId> {
    let digits = key_id
        .as_bytes()
        .get(IdPrefix::AccessKey.as_str().len()..)?;
    if digits.len() != KEY_CHARACTERS {
        return None;
    }
    let mut bits: u128 = 0;
    for digit in digits {
        let value = ALPHABET.iter().position(|letter| letter == digit)?;
        bits = (bits << 5) | u128::try_from(value).ok()?;
    }
    let mut text = String::new();
    write!(text, "{:012}", (bits >> RANDOM_BITS) & ACCOUNT_MASK).ok()?;
    text.parse().ok()
}

/// A new secret access key, 40 characters, 240 random bits.
pub fn new_secret(entropy: &dyn Entropy) -> String {
    let mut random = [0; SECRET_CHARACTERS];
    entropy.fill(&mut random);
    random
        .iter()
        .map(|byte| char::from(SECRET_ALPHABET[usize::from(byte & 63)]))
        .collect()
}
