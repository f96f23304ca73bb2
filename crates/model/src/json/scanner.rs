//! The single pass: from bytes to the index of a document.
//!
//! No recursion, so depth costs a bit and a counter per level and nothing of the stack. Time is linear in the bytes.

use std::collections::HashSet;

use super::document::{Document, Kind, Node};
use super::string::scan_string;

/// How deeply arrays and objects may be nested: 128 levels are accepted, 129 are not.
pub const DEPTH_MAX: usize = 128;

/// The longest document: offsets are kept in 32 bits, and nothing that Cairn reads comes near this.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Objects with more members than this are searched for duplicates with a hash set, smaller ones in pairs.
const PAIRWISE_MEMBERS_MAX: usize = 32;

/// Why bytes are not an acceptable JSON document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub problem: JsonProblem,
    /// Offset of the byte at which it shows.
    pub offset: usize,
}

/// What can be wrong with a JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The text starts with a byte order mark, which JSON does not allow.
    #[error("the text starts with a byte order mark")]
    ByteOrderMark,
    /// The text ends inside a value.
    #[error("the text ends early")]
    EndsEarly,
    /// A character that cannot stand here.
    #[error("unexpected character")]
    Unexpected,
    /// Something other than white space follows the document.
    #[error("the document is followed by other text")]
    Trailing,
    /// A raw control character inside a string.
    #[error("a string holds a raw control character")]
    ControlCharacter,
    /// A backslash that starts none of JSON's escapes.
    #[error("a string holds an unknown escape")]
    Escape,
    /// Half of a surrogate pair, which stands for no character.
    #[error("a string holds half of a surrogate pair")]
    LoneSurrogate,
    /// A number outside JSON's grammar, such as `01` or `1.`.
    #[error("a number is malformed")]
    Number,
    /// An object holds two members of one name; readers would disagree about which one counts.
    #[error("an object has two members of the same name")]
    DuplicateMember,
    /// More than [`DEPTH_MAX`] levels.
    #[error("values are nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// More than [`DOCUMENT_BYTES_MAX`] bytes.
    #[error("the document is longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
}

/// What the grammar wants next.
enum Step {
    Value,
    Key,
    AfterValue,
    Done,
}

/// A member's name while its object is open: the fingerprint tells most names apart without looking at them again.
struct OpenName {
    fingerprint: u64,
    node: u32,
}

/// One level of nesting.
#[derive(Clone, Copy)]
struct Level {
    node: u32,
    /// Where this object's names start in the stack of open names.
    names: u32,
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node>,
    levels: Vec<Level>,
    names: Vec<OpenName>,
}

pub(super) fn scan(bytes: &[u8]) -> Result<Document<'_>, JsonError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(JsonError {
            problem: JsonProblem::TooLong,
            offset: DOCUMENT_BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError {
        problem: JsonProblem::NotUtf8,
        offset: e.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError {
            problem: JsonProblem::ByteOrderMark,
            offset: 0,
        });
    }
    let mut scanner = Scanner {
        text,
        at: 0,
        // Real events hold one value or name for every 16 bytes or so.
        nodes: Vec::with_capacity((bytes.len() / 16).clamp(16, 4096)),
        levels: Vec::with_capacity(16),
        names: Vec::with_capacity(64),
    };
    scanner.run()?;
    Ok(Document::new(text, scanner.nodes))
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), JsonError> {
        let mut step = Step::Value;
        loop {
            step = match step {
                Step::Value => self.value()?,
                Step::Key => self.key()?,
                Step::AfterValue => self.after_value()?,
                Step::Done => break,
            };
        }
        self.skip_white_space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.error(JsonProblem::Trailing))
        }
    }

    fn value(&mut self) -> Result<Step, JsonError> {
        self.skip_white_space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let escaped = self.string()?;
                self.push(Kind::String, start, escaped);
                Ok(Step::AfterValue)
            }
            Some(b'{') => self.open(Kind::Object, b'}', Step::Key),
            Some(b'[') => self.open(Kind::Array, b']', Step::Value),
            Some(b't') => self.literal("true", Kind::True),
            Some(b'f') => self.literal("false", Kind::False),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.push(Kind::Number, start, false);
                Ok(Step::AfterValue)
            }
            Some(_) => Err(self.error(JsonProblem::Unexpected)),
            None => Err(self.error(JsonProblem::EndsEarly)),
        }
    }

    /// Opens an array or object; an empty one is closed again at once.
    fn open(&mut self, kind: Kind, closing: u8, first: Step) -> Result<Step, JsonError> {
        if self.levels.len() == DEPTH_MAX {
            return Err(self.error(JsonProblem::TooDeep));
        }
        let start = self.at;
        self.at += 1;
        let level = Level {
            node: index(self.nodes.len()),
            names: index(self.names.len()),
        };
        self.push(kind, start, false);
        self.levels.push(level);
        self.skip_white_space();
        if self.peek() == Some(closing) {
            self.close()
        } else {
            Ok(first)
        }
    }

    fn key(&mut self) -> Result<Step, JsonError> {
        self.skip_white_space();
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(self.error(JsonProblem::Unexpected)),
            None => return Err(self.error(JsonProblem::EndsEarly)),
        }
        let start = self.at;
        let escaped = self.string()?;
        let node = index(self.nodes.len());
        self.push(Kind::String, start, escaped);
        let fingerprint = if escaped {
            fingerprint(self.nodes[node as usize].string(self.text).as_bytes())
        } else {
            fingerprint(&self.text.as_bytes()[start + 1..self.at - 1])
        };
        self.names.push(OpenName { fingerprint, node });
        self.skip_white_space();
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                Ok(Step::Value)
            }
            Some(_) => Err(self.error(JsonProblem::Unexpected)),
            None => Err(self.error(JsonProblem::EndsEarly)),
        }
    }

    fn after_value(&mut self) -> Result<Step, JsonError> {
        let Some(level) = self.levels.last() else {
            return Ok(Step::Done);
        };
        let kind = self.nodes[level.node as usize].kind;
        self.skip_white_space();
        match (self.peek(), kind) {
            (Some(b','), Kind::Object) => {
                self.at += 1;
                Ok(Step::Key)
            }
            (Some(b','), _) => {
                self.at += 1;
                Ok(Step::Value)
            }
            (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => self.close(),
            (Some(_), _) => Err(self.error(JsonProblem::Unexpected)),
            (None, _) => Err(self.error(JsonProblem::EndsEarly)),
        }
    }

    fn close(&mut self) -> Result<Step, JsonError> {
        self.at += 1;
        let level = self
            .levels
            .pop()
            .expect("a level is open wherever a closing bracket is read");
        let names = level.names as usize;
        if let Some(node) = self.duplicate(names) {
            let offset = self.nodes[node as usize].start as usize;
            return Err(JsonError {
                problem: JsonProblem::DuplicateMember,
                offset,
            });
        }
        self.names.truncate(names);
        let next = index(self.nodes.len());
        let node = &mut self.nodes[level.node as usize];
        node.end = index(self.at);
        node.next = next;
        Ok(Step::AfterValue)
    }

    /// The node of a name that occurs twice among the open names from `first` on.
    fn duplicate(&self, first: usize) -> Option<u32> {
        let names = &self.names[first..];
        let name = |open: &OpenName| self.nodes[open.node as usize].string(self.text);
        if names.len() > PAIRWISE_MEMBERS_MAX {
            let mut seen = HashSet::with_capacity(names.len());
            return names
                .iter()
                .find(|open| !seen.insert(name(open)))
                .map(|open| open.node);
        }
        for (count, open) in names.iter().enumerate() {
            for earlier in &names[..count] {
                if earlier.fingerprint == open.fingerprint && name(earlier) == name(open) {
                    return Some(open.node);
                }
            }
        }
        None
    }

    /// Reads the string at the cursor; true if it holds escapes.
    fn string(&mut self) -> Result<bool, JsonError> {
        let end = scan_string(self.text.as_bytes(), self.at + 1)
            .map_err(|(offset, problem)| JsonError { problem, offset })?;
        self.at = end.closing_quote + 1;
        Ok(end.escaped)
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<Step, JsonError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            self.push(kind, start, false);
            Ok(Step::AfterValue)
        } else if word.as_bytes().starts_with(rest) {
            Err(self.error(JsonProblem::EndsEarly))
        } else {
            Err(self.error(JsonProblem::Unexpected))
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error(JsonProblem::Number));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, self.peek()) {
            (0, None) => Err(self.error(JsonProblem::EndsEarly)),
            (0, Some(_)) => Err(self.error(JsonProblem::Number)),
            _ => Ok(()),
        }
    }

    /// Notes a value from `start` to the cursor. The end and successor of arrays and objects are set when they close.
    fn push(&mut self, kind: Kind, start: usize, escaped: bool) {
        let next = index(self.nodes.len() + 1);
        let (start, end) = (index(start), index(self.at));
        self.nodes.push(Node {
            start,
            end,
            next,
            kind,
            escaped,
        });
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn error(&self, problem: JsonProblem) -> JsonError {
        JsonError {
            problem,
            offset: self.at,
        }
    }
}

fn index(offset: usize) -> u32 {
    u32::try_from(offset).expect("documents are bounded well below 4 GiB")
}

/// A number that differs for most names that differ: the length, the first and the last eight bytes, mixed.
fn fingerprint(name: &[u8]) -> u64 {
    let length = name.len() as u64;
    let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (
            name.iter()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte)),
            0,
        ),
    };
    head ^ tail.rotate_left(29) ^ (length << 56)
}
