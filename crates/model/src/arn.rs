//! Amazon Resource Names: `arn:partition:service:region:account:resource`, split once and kept as text.
//!
//! Only the shape common to all services is checked here; what a service puts into the last part is its own affair.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An ARN of any service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    text: Arc<str>,
    /// Offsets of the five colons that separate the six parts.
    colons: [u16; 5],
}

/// A text that is not an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// The text does not have six parts separated by colons, the first of which is `arn`.
    #[error("an ARN has the form arn:partition:service:region:account:resource")]
    Form,
    /// A part that may not be empty is, or a part holds a character that it may not hold.
    #[error("the {0} of the ARN is empty or holds a character that it may not hold")]
    Part(&'static str),
    /// The text is longer than [`Arn::BYTES_MAX`].
    #[error("an ARN has at most {} bytes", Arn::BYTES_MAX)]
    TooLong,
}

impl Arn {
    /// The longest ARN that AWS documents for any service.
    pub const BYTES_MAX: usize = 2048;

    /// The whole ARN as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, `aws-us-gov` and the like.
    pub fn partition(&self) -> &str {
        self.between(0, 1)
    }

    /// The service's name in ARNs, such as `cloudtrail`.
    pub fn service(&self) -> &str {
        self.between(1, 2)
    }

    /// The Region, empty for global services.
    pub fn region(&self) -> &str {
        self.between(2, 3)
    }

    /// The account: twelve digits, empty (S3 buckets) or a word such as `aws` (managed policies).
    pub fn account(&self) -> &str {
        self.between(3, 4)
    }

    /// Everything after the fifth colon; may itself hold colons and slashes.
    pub fn resource(&self) -> &str {
        &self.text[usize::from(self.colons[4]) + 1..]
    }

    /// The first word of the resource, up to the first slash or colon, if there is one: `trail` in `trail/main`.
    pub fn resource_kind(&self) -> Option<&str> {
        self.resource().split_once(['/', ':']).map(|(kind, _)| kind)
    }

    /// What follows [`Arn::resource_kind`]; the whole resource if it has no kind.
    pub fn resource_name(&self) -> &str {
        self.resource()
            .split_once(['/', ':'])
            .map_or(self.resource(), |(_, name)| name)
    }

    fn between(&self, left: usize, right: usize) -> &str {
        &self.text[usize::from(self.colons[left]) + 1..usize::from(self.colons[right])]
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::BYTES_MAX {
            return Err(ArnError::TooLong);
        }
        let mut colons = [0; 5];
        let mut found = text.bytes().enumerate().filter(|(_, byte)| *byte == b':');
        for colon in &mut colons {
            let (offset, _) = found.next().ok_or(ArnError::Form)?;
            *colon = u16::try_from(offset).map_err(|_| ArnError::TooLong)?;
        }
        if &text[..usize::from(colons[0])] != "arn" {
            return Err(ArnError::Form);
        }
        let arn = Self {
            text: text.into(),
            colons,
        };
        let word = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        for (name, part, may_be_empty) in [
            ("partition", arn.partition(), false),
            ("service", arn.service(), false),
            ("Region", arn.region(), true),
            ("account", arn.account(), true),
        ] {
            if !part.bytes().all(word) || (part.is_empty() && !may_be_empty) {
                return Err(ArnError::Part(name));
            }
        }
        if arn.resource().is_empty() || arn.resource().chars().any(char::is_control) {
            return Err(ArnError::Part("resource"));
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arn({})", self.text)
    }
}

impl serde::Serialize for Arn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Arn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arn, ArnError};

    fn parts(text: &str) -> Result<[String; 7], ArnError> {
        let arn: Arn = text.parse()?;
        assert_eq!(arn.as_str(), text);
        Ok([
            arn.partition(),
            arn.service(),
            arn.region(),
            arn.account(),
            arn.resource(),
            arn.resource_kind().unwrap_or("-"),
            arn.resource_name(),
        ]
        .map(str::to_owned))
    }

    #[test]
    fn the_parts_of_every_common_form_are_told_apart() {
        let form = |parts: [&str; 7]| Ok(parts.map(str::to_owned));
        assert_eq!(
            parts("arn:aws:cloudtrail:us-east-1:123456789012:trail/main"),
            form([
                "aws",
                "cloudtrail",
                "us-east-1",
                "123456789012",
                "trail/main",
                "trail",
                "main",
            ])
        );
        assert_eq!(
            parts("arn:aws:s3:::bucket/key:with/colons"),
            form([
                "aws",
                "s3",
                "",
                "",
                "bucket/key:with/colons",
                "bucket",
                "key:with/colons"
            ])
        );
        assert_eq!(
            parts("arn:aws-cn:iam::aws:policy/path/ReadOnlyAccess"),
            form([
                "aws-cn",
                "iam",
                "",
                "aws",
                "policy/path/ReadOnlyAccess",
                "policy",
                "path/ReadOnlyAccess",
            ])
        );
        assert_eq!(
            parts("arn:aws:sns:eu-west-1:123456789012:topic"),
            form([
                "aws",
                "sns",
                "eu-west-1",
                "123456789012",
                "topic",
                "-",
                "topic"
            ])
        );
    }

    #[test]
    fn texts_that_are_no_arns_are_refused() {
        for text in [
            "",
            "arn",
            "arn:aws:s3::",
            "nra:aws:s3:::b",
            "trail/main",
            "::::::",
        ] {
            assert_eq!(parts(text), Err(ArnError::Form), "{text}");
        }
        assert_eq!(parts("arn::s3:::b"), Err(ArnError::Part("partition")));
        assert_eq!(parts("arn:aws::::b"), Err(ArnError::Part("service")));
        assert_eq!(parts("arn:aws:s3:u/s::b"), Err(ArnError::Part("Region")));
        assert_eq!(parts("arn:aws:s3::*:b"), Err(ArnError::Part("account")));
        assert_eq!(parts("arn:aws:s3:::"), Err(ArnError::Part("resource")));
        assert_eq!(parts("arn:aws:s3:::a\nb"), Err(ArnError::Part("resource")));
        assert_eq!(
            parts(&format!("arn:aws:s3:::{}", "b".repeat(2048))),
            Err(ArnError::TooLong)
        );
    }
}
