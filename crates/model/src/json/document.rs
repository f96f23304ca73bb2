//! A document that has been read, and its values: slices of the sender's text with a kind.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::scanner::{self, JsonError};
use super::string::unescape;

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number, of any length; see [`Value::raw`].
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One value or member name: where it lies in the text, and the index of the first node after it and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
    pub(super) kind: Kind,
    pub(super) escaped: bool,
}

impl Node {
    pub(super) fn raw<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start as usize..self.end as usize]
    }

    /// The text that a string stands for; it borrows unless there are escapes.
    pub(super) fn string<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let content = &text[self.start as usize + 1..self.end as usize - 1];
        if self.escaped {
            unescape(content)
        } else {
            Cow::Borrowed(content)
        }
    }
}

/// A valid JSON document and the index of its values.
pub struct Document<'a> {
    text: &'a str,
    /// In the order of the text; an object's members alternate name, value. The root comes first.
    nodes: Vec<Node>,
}

impl<'a> Document<'a> {
    /// Reads a whole document; white space may surround it, nothing else may.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        scanner::scan(bytes)
    }

    pub(super) fn new(text: &'a str, nodes: Vec<Node>) -> Self {
        Self { text, nodes }
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_, 'a> {
        Value {
            document: self,
            node: 0,
        }
    }

    /// The whole text, as it was sent.
    pub fn text(&self) -> &'a str {
        self.text
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.text.len())
            .field("nodes", &self.nodes.len())
            .finish()
    }
}

/// A value inside a document.
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    node: usize,
}

impl<'d, 'a> Value<'d, 'a> {
    /// What kind of value this is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// The value as it was sent, quotes and white space inside included. This is how numbers are read without loss.
    pub fn raw(&self) -> &'a str {
        self.node().raw(self.document.text)
    }

    /// Where [`Value::raw`] lies in the document's text.
    pub fn span(&self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The text of a string; `None` for other kinds.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| self.node().string(self.document.text))
    }

    /// The truth of a Boolean; `None` for other kinds.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The value of a number that is written as an integer and fits; `None` otherwise.
    pub fn as_i64(&self) -> Option<i64> {
        if self.kind() == Kind::Number {
            self.raw().parse().ok()
        } else {
            None
        }
    }

    /// The value of a number as the nearest double; `None` for other kinds and beyond the doubles' range.
    pub fn as_f64(&self) -> Option<f64> {
        if self.kind() != Kind::Number {
            return None;
        }
        self.raw()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    /// The members of an object in the order of the text; none for other kinds.
    pub fn members(&self) -> Members<'d, 'a> {
        Members {
            document: self.document,
            range: self.content(Kind::Object),
        }
    }

    /// The elements of an array in order; none for other kinds.
    pub fn elements(&self) -> Elements<'d, 'a> {
        Elements {
            document: self.document,
            range: self.content(Kind::Array),
        }
    }

    /// The member of an object with this name.
    pub fn get(&self, name: &str) -> Option<Value<'d, 'a>> {
        self.members()
            .find(|member| member.is_named(name))
            .map(|member| member.value)
    }

    /// The value that a chain of member names leads to.
    pub fn path(&self, names: &[&str]) -> Option<Value<'d, 'a>> {
        names.iter().try_fold(*self, |value, name| value.get(name))
    }

    fn node(&self) -> &'d Node {
        &self.document.nodes[self.node]
    }

    fn content(&self, kind: Kind) -> Range<usize> {
        let first = self.node + 1;
        let end = if self.kind() == kind {
            self.node().next as usize
        } else {
            first
        };
        first..end
    }
}

impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("kind", &self.kind())
            .field("span", &self.span())
            .finish()
    }
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'d, 'a> {
    name: Value<'d, 'a>,
    /// The member's value.
    pub value: Value<'d, 'a>,
}

impl<'a> Member<'_, 'a> {
    /// The member's name; it borrows unless it was written with escapes.
    pub fn name(&self) -> Cow<'a, str> {
        self.name.node().string(self.name.document.text)
    }

    /// Where the name lies in the text, quotes included.
    pub fn name_span(&self) -> Range<usize> {
        self.name.span()
    }

    /// Whether the member has this name, however it was written.
    pub fn is_named(&self, name: &str) -> bool {
        let node = self.name.node();
        if node.escaped {
            return self.name() == name;
        }
        let raw = node.raw(self.name.document.text).as_bytes();
        &raw[1..raw.len() - 1] == name.as_bytes()
    }
}

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Members<'d, 'a> {
    document: &'d Document<'a>,
    range: Range<usize>,
}

impl<'d, 'a> Iterator for Members<'d, 'a> {
    type Item = Member<'d, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let name = Value {
            document: self.document,
            node: self.range.start,
        };
        let value = Value {
            document: self.document,
            node: self.range.start + 1,
        };
        self.range.start = value.node().next as usize;
        Some(Member { name, value })
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'d, 'a> {
    document: &'d Document<'a>,
    range: Range<usize>,
}

impl<'d, 'a> Iterator for Elements<'d, 'a> {
    type Item = Value<'d, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let value = Value {
            document: self.document,
            node: self.range.start,
        };
        self.range.start = value.node().next as usize;
        Some(value)
    }
}
