//! Conditions on one text: what is wanted and what is excluded, each by whole text, beginning or end
//! (SEL-108 to SEL-110). Answers in time logarithmic in the number of values.

/// What a field of an event must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// One of these, if there are any.
    wanted: Texts,
    /// None of these.
    excluded: Texts,
}

/// Values of the three operators of a group, as their owner gave them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    pub(super) whole: &'a [String],
    pub(super) beginnings: &'a [String],
    pub(super) ends: &'a [String],
}

impl Condition {
    pub(super) fn new(wanted: Values<'_>, excluded: Values<'_>) -> Self {
        Self {
            wanted: Texts::new(wanted),
            excluded: Texts::new(excluded),
        }
    }

    /// A field that an event does not have is nothing that is wanted, and nothing that is excluded
    /// (SEL-115).
    pub(super) fn holds_for(&self, value: Option<&str>) -> bool {
        match value {
            None => self.wanted.is_empty(),
            Some(value) => self.wants(value) && !self.excludes(value),
        }
    }

    /// True if the text is one of those that are wanted, or nothing special is.
    pub(super) fn wants(&self, value: &str) -> bool {
        self.wanted.is_empty() || self.wanted.contain(value)
    }

    /// True if the text is one of those that are excluded.
    pub(super) fn excludes(&self, value: &str) -> bool {
        self.excluded.contain(value)
    }
}

/// Sorted texts. None of the beginnings begins another, so that the only one that can begin a text is the
/// last one that is not greater; the same holds of ends, which are kept backwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Texts {
    whole: Vec<Box<[u8]>>,
    beginnings: Vec<Box<[u8]>>,
    ends_backwards: Vec<Box<[u8]>>,
}

impl Texts {
    fn new(values: Values<'_>) -> Self {
        let forwards = |value: &String| value.bytes().collect();
        let backwards = |value: &String| value.bytes().rev().collect();
        let mut whole: Vec<Box<[u8]>> = values.whole.iter().map(forwards).collect();
        whole.sort_unstable();
        Self {
            whole,
            beginnings: shortest(values.beginnings.iter().map(forwards).collect()),
            ends_backwards: shortest(values.ends.iter().map(backwards).collect()),
        }
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.beginnings.is_empty() && self.ends_backwards.is_empty()
    }

    fn contain(&self, value: &str) -> bool {
        let value = value.as_bytes();
        let is_whole = || self.whole.binary_search_by(|text| (**text).cmp(value));
        is_whole().is_ok() || self.one_begins(value) || self.one_ends(value)
    }

    fn one_begins(&self, value: &[u8]) -> bool {
        let after = self.beginnings.partition_point(|text| **text <= *value);
        let last = after.checked_sub(1).map(|at| &self.beginnings[at]);
        last.is_some_and(|text| value.starts_with(text))
    }

    fn one_ends(&self, value: &[u8]) -> bool {
        let backwards = || value.iter().rev();
        let after = self
            .ends_backwards
            .partition_point(|text| text.iter().le(backwards()));
        let last = after.checked_sub(1).map(|at| &self.ends_backwards[at]);
        last.is_some_and(|text| {
            text.len() <= value.len() && text.iter().zip(backwards()).all(|(a, b)| a == b)
        })
    }
}

/// Those that do not begin with another of them, sorted.
fn shortest(mut texts: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    texts.sort_unstable();
    texts.dedup_by(|longer, shorter| longer.starts_with(shorter));
    texts
}
