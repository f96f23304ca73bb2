//! Fitting an event into a destination's size limits. Limits belong to destinations, not to events (REC-061): the
//! same event may be whole in one store and shortened in a trail, so readers call this, doors never.
//!
//! Only the members that must change do; every other byte stays. A text that is too long is cut and ends in `...`;
//! a structured member that is too long is replaced by an object that says so: `omitted`, `originalSize`, `reason`.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::EventVersion;
use crate::json::{Document, cut_string_content, skip_value};

/// How large events of a destination may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationLimit {
    /// Trails, and event data stores by default (REC-054).
    Kb256,
    /// Event data stores whose maximum event size was raised (REC-058).
    Mb1,
}

impl DestinationLimit {
    /// The limit in bytes of JSON.
    pub fn bytes(self) -> usize {
        match self {
            Self::Kb256 => 256 * KB,
            Self::Mb1 => 1024 * KB,
        }
    }
}

/// An event that is larger than its destination allows, even with everything shortened that may be (REC-060).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has {} bytes after shortening; the limit is {limit}", shortened.len())]
pub struct TooLarge {
    /// The destination's limit in bytes.
    pub limit: usize,
    /// The event as far as it could be shortened, for readers that would rather keep too much than nothing.
    pub shortened: Bytes,
}

const KB: usize = 1024;

/// What happens to a member that exceeds its own limit.
#[derive(Clone, Copy)]
enum Treatment {
    /// The text is cut to this many bytes of UTF-8 (REC-055).
    Cut(usize),
    /// The content is replaced as a whole if its JSON is longer than this (REC-056).
    Omit(usize),
}

/// In the order in which members are shortened (REC-059). The manual gives `annotation` and `eventContext` no limit of
/// their own: the first is treated like the other short texts, the second goes as a whole once the event is too large.
const IN_ORDER: [(&str, Treatment); 10] = [
    ("annotation", Treatment::Cut(KB)),
    ("requestID", Treatment::Cut(KB)),
    ("additionalEventData", Treatment::Omit(28 * KB)),
    ("serviceEventDetails", Treatment::Omit(100 * KB)),
    ("userAgent", Treatment::Cut(KB)),
    ("errorCode", Treatment::Cut(KB)),
    ("eventContext", Treatment::Omit(0)),
    ("responseElements", Treatment::Omit(100 * KB)),
    ("requestParameters", Treatment::Omit(100 * KB)),
    ("errorMessage", Treatment::Cut(KB)),
];

/// Limited as well, but not in the order for large events (REC-050, REC-059).
const EDGE_DEVICE_DETAILS: (&str, Treatment) = ("edgeDeviceDetails", Treatment::Cut(28 * KB));

/// No member of an event this short exceeds a limit.
const NEVER_SHORTENED_BYTES: usize = KB;

/// The event as the destination may hold it; the same bytes if nothing has to change. `json` is a canonical event.
///
/// With [`DestinationLimit::Kb256`] each member is held to its own limit, whatever the event's size, and if that is not
/// enough the structured members go in order until the event fits. With [`DestinationLimit::Mb1`] members are touched
/// only while the event is too large, and only those over their own limit (REC-057). Events of versions before 1.05
/// have no limits.
pub fn fit(json: &Bytes, limit: DestinationLimit) -> Result<Bytes, TooLarge> {
    let whole_fits = json.len() <= limit.bytes();
    if json.len() <= NEVER_SHORTENED_BYTES || (whole_fits && limit == DestinationLimit::Mb1) {
        return Ok(json.clone());
    }
    let mut event = Shortened::new(json);
    if event.version() < Some(EventVersion::WITH_SIZE_LIMIT) {
        return Ok(json.clone());
    }
    match limit {
        DestinationLimit::Kb256 => {
            for (member, treatment) in IN_ORDER.into_iter().chain([EDGE_DEVICE_DETAILS]) {
                if member != "eventContext" {
                    event.hold_to(member, treatment);
                }
            }
            for (member, treatment) in IN_ORDER.into_iter().chain([EDGE_DEVICE_DETAILS]) {
                if event.bytes > limit.bytes() && !matches!(treatment, Treatment::Cut(KB)) {
                    event.omit(member, "the event is too large");
                }
            }
        }
        DestinationLimit::Mb1 => {
            for (member, treatment) in IN_ORDER {
                if event.bytes > limit.bytes() {
                    event.hold_to(member, treatment);
                }
            }
        }
    }
    let shortened = event.finish();
    if shortened.len() > limit.bytes() {
        return Err(TooLarge {
            limit: limit.bytes(),
            shortened,
        });
    }
    Ok(shortened)
}

/// The event without `eventContext`, which event history, lookups, EventBridge and trails never show (REC-048); none
/// if it has none. Every other byte stays.
pub fn without_context(json: &str) -> Option<String> {
    let members = root_members(json.as_bytes());
    let at = members
        .iter()
        .position(|member| member.name == "eventContext")?;
    let cut = match (at.checked_sub(1), members.get(at + 1)) {
        (Some(before), _) => members[before].value.end..members[at].value.end,
        (None, Some(after)) => members[at].name_start..after.name_start,
        (None, None) => members[at].name_start..members[at].value.end,
    };
    let mut plain = json.to_owned();
    plain.replace_range(cut, "");
    Some(plain)
}

/// A root member: its name, where its value lies, and what stands there instead.
struct RootMember<'a> {
    name: Cow<'a, str>,
    name_start: usize,
    value: Range<usize>,
    replacement: Option<String>,
}

struct Shortened<'a> {
    json: &'a Bytes,
    members: Vec<RootMember<'a>>,
    /// The size with all replacements.
    bytes: usize,
}

impl<'a> Shortened<'a> {
    fn new(json: &'a Bytes) -> Self {
        Self {
            json,
            members: root_members(json),
            bytes: json.len(),
        }
    }

    fn version(&self) -> Option<EventVersion> {
        let member = self
            .members
            .iter()
            .find(|member| member.name == "eventVersion")?;
        let value = self.text(member);
        value.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }

    fn text(&self, member: &RootMember<'_>) -> &'a str {
        std::str::from_utf8(&self.json[member.value.clone()]).unwrap_or_default()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    fn hold_to(&mut self, name: &str, treatment: Treatment) {
        let Some(index) = self.find(name) else { return };
        let text = self.text(&self.members[index]);
        match treatment {
            Treatment::Cut(limit) => match text.strip_prefix('"').and_then(|t| t.strip_suffix('"'))
            {
                Some(content) => {
                    if let Some(kept) = cut_string_content(content, limit, CUT_MARK.len()) {
                        self.replace(index, format!("\"{kept}{CUT_MARK}\""));
                    }
                }
                // What is not a text cannot be cut without ceasing to be JSON.
                None if text.len() > limit => self.omit(name, &over(limit)),
                None => {}
            },
            Treatment::Omit(limit) if text.len() > limit => self.omit(name, &over(limit)),
            Treatment::Omit(_) => {}
        }
    }

    fn omit(&mut self, name: &str, reason: &str) {
        let Some(index) = self.find(name) else { return };
        let size = self.members[index].value.len();
        let note = format!(r#"{{"omitted":true,"originalSize":{size},"reason":"{reason}"}}"#);
        self.replace(index, note);
    }

    /// Puts `text` in the place of a value, unless that would save nothing.
    fn replace(&mut self, index: usize, text: String) {
        let member = &mut self.members[index];
        let current = member
            .replacement
            .as_ref()
            .map_or(member.value.len(), String::len);
        if text.len() < current {
            self.bytes = self.bytes - current + text.len();
            member.replacement = Some(text);
        }
    }

    fn finish(self) -> Bytes {
        if self
            .members
            .iter()
            .all(|member| member.replacement.is_none())
        {
            return self.json.clone();
        }
        let mut out = Vec::with_capacity(self.bytes);
        let mut copied = 0;
        for member in &self.members {
            if let Some(replacement) = &member.replacement {
                out.extend_from_slice(&self.json[copied..member.value.start]);
                out.extend_from_slice(replacement.as_bytes());
                copied = member.value.end;
            }
        }
        out.extend_from_slice(&self.json[copied..]);
        out.into()
    }
}

/// Ends a text that was cut, within its limit, as AWS's own cut texts end.
const CUT_MARK: &str = "...";

fn over(limit: usize) -> String {
    format!("the content exceeds {limit} bytes")
}

/// The root object's members, found without reading the values; empty if the bytes are no object.
fn root_members(json: &[u8]) -> Vec<RootMember<'_>> {
    let mut members = Vec::with_capacity(32);
    let mut at = 0;
    // Each turn reads the brace or comma, the name, the colon and the value.
    while let Some(b'{' | b',') = json.get(next(json, at)) {
        let name_start = next(json, next(json, at) + 1);
        let Some(name_end) = skip_value(json, name_start) else {
            break;
        };
        let value_start = next(json, next(json, name_end) + 1);
        let Some(value_end) = skip_value(json, value_start) else {
            break;
        };
        let Some(name) = name(&json[name_start..name_end]) else {
            break;
        };
        members.push(RootMember {
            name,
            name_start,
            value: value_start..value_end,
            replacement: None,
        });
        at = value_end;
    }
    members
}

fn name(quoted: &[u8]) -> Option<Cow<'_, str>> {
    if quoted.contains(&b'\\') {
        return Document::parse(quoted)
            .ok()?
            .root()
            .as_str()
            .map(|name| name.into_owned().into());
    }
    let content = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(content).ok().map(Cow::Borrowed)
}

/// The first byte at or after `at` that is not white space.
fn next(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let space = rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    at + space
}

#[cfg(test)]
mod tests;
