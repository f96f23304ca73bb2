//! The four forms in which a KMS key is named (SEC-357).

use cairn_model::{AccountId, Arn, Region};

/// A key or an alias, fully named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyReference {
    pub(crate) region: Region,
    pub(crate) account: AccountId,
    pub(crate) kind: KeyReferenceKind,
}

/// What is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyReferenceKind {
    /// The key's ID.
    Key(String),
    /// The alias without `alias/`.
    Alias(String),
}

impl KeyReference {
    /// Reads `alias/NAME`, an alias ARN, a key ARN or a key ID; the short forms mean Region and account of the call.
    pub(crate) fn read(text: &str, account: AccountId, region: &Region) -> Option<Self> {
        let (account, region, resource) = if text.starts_with("arn:") {
            let arn: Arn = text
                .parse()
                .ok()
                .filter(|arn: &Arn| arn.service() == "kms" && arn.partition() == "aws")?;
            let account = arn.account().parse().ok()?;
            (
                account,
                arn.region().parse().ok()?,
                arn.resource().to_owned(),
            )
        } else if text.starts_with("alias/") {
            (account, region.clone(), text.to_owned())
        } else {
            (account, region.clone(), format!("key/{text}"))
        };
        let kind = match resource.split_once('/')? {
            ("alias", name) if is_alias(name) => KeyReferenceKind::Alias(name.to_owned()),
            ("key", id) if is_key_id(id) => KeyReferenceKind::Key(id.to_owned()),
            _ => return None,
        };
        Some(Self {
            region,
            account,
            kind,
        })
    }

    /// The ARN of the key or alias.
    pub(crate) fn arn(&self) -> String {
        let (kind, name) = match &self.kind {
            KeyReferenceKind::Key(id) => ("key", id),
            KeyReferenceKind::Alias(name) => ("alias", name),
        };
        let Self {
            region, account, ..
        } = self;
        format!("arn:aws:kms:{region}:{account}:{kind}/{name}")
    }
}

/// TRL-282
fn is_alias(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'/' | b'_'))
        && !is_reserved_alias(name)
}

/// Whether an alias, without `alias/`, can only be one of the services' own keys (TRL-282).
pub(crate) fn is_reserved_alias(name: &str) -> bool {
    name.starts_with("aws")
}

/// A UUID, or the ID of a multi-Region key. Other texts that KMS's keys may have cannot name one.
pub(crate) fn is_key_id(id: &str) -> bool {
    let is_hexadecimal = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
    if let Some(digits) = id.strip_prefix("mrk-") {
        return digits.len() == 32 && is_hexadecimal(digits);
    }
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| is_hexadecimal(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: SEC-357, TRL-282
    #[test]
    fn keys_are_named_in_four_forms() {
        let account = "123456789012".parse().expect("an account");
        let region: Region = "us-east-2".parse().expect("a Region");
        let check = |text: &str, expected: Option<&str>| {
            let read = KeyReference::read(text, account, &region);
            let arn = read.map(|key| key.arn());
            assert_eq!(arn.as_deref(), expected, "{text}");
        };
        let key = "arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012";
        let multi = "arn:aws:kms:us-east-2:123456789012:key/mrk-12345678123412341234123456789012";
        let alias = "arn:aws:kms:us-east-2:123456789012:alias/My/Alias_1-2";
        check(key, Some(key));
        check("mrk-12345678123412341234123456789012", Some(multi));
        check("alias/My/Alias_1-2", Some(alias));
        check(alias, Some(alias));
        check(
            "12345678-1234-1234-1234-123456789012",
            Some("arn:aws:kms:us-east-2:123456789012:key/12345678-1234-1234-1234-123456789012"),
        );
        for text in [
            "12345678-1234-1234-1234-12345678901",
            "12345678-1234-1234-1234-12345678901x",
            "mrk-1234",
            "alias/",
            "alias/aws/s3",
            "alias/awsfoo",
            "arn:aws-cn:kms:us-east-2:123456789012:alias/a",
            "alias/a:b",
            "alias",
            "My-Alias",
            "arn:aws:kms:us-east-2:123456789012:alias/",
            "arn:aws:kms::123456789012:alias/a",
            "arn:aws:kms:us-east-2::alias/a",
            "arn:aws:s3:us-east-2:123456789012:alias/a",
            "arn:aws:kms:us-east-2:123456789012:grant/a",
        ] {
            check(text, None);
        }
        check(&format!("alias/{}", "a".repeat(257)), None);
    }
}
