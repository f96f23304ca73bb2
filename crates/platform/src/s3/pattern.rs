//! Patterns of bucket names: `*` stands for any number of characters, all others for themselves.

use std::fmt;

/// A pattern such as `audit-*`.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketPattern(String);

impl BucketPattern {
    /// The pattern `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the whole of `bucket` is what the pattern says.
    pub fn matches(&self, bucket: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == bucket;
        };
        let Some(mut left) = bucket.strip_prefix(start) else {
            return false;
        };
        // The parts between stars are found from the left, each as early as can be; the last one
        // must be the end.
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            let Some(at) = left.find(part) else {
                return false;
            };
            left = &left[at + part.len()..];
        }
        left.ends_with(end)
    }
}

impl fmt::Debug for BucketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketPattern({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BucketPattern;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        let check = |pattern: &str, bucket: &str, expected: bool| {
            let matches = BucketPattern::new(pattern).matches(bucket);
            assert_eq!(matches, expected, "{pattern} {bucket}");
        };
        check("*", "", true);
        check("*", "any", true);
        check("logs", "logs", true);
        check("logs", "logs2", false);
        check("audit-*", "audit-", true);
        check("audit-*", "xaudit-1", false);
        check("*-logs", "a-logs", true);
        check("*-logs", "a-logs-b", false);
        check("a*b*c", "abc", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("a*a", "a", false);
        check("a**b", "ab", true);
        check("a.b", "axb", false);
        check("?", "x", false);
    }
}
