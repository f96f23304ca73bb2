//! IDs for events that have none. The server would give such an event another ID at each attempt, so a
//! batch that is sent again after a lost answer would be stored twice.
//!
//! Rule: the ID follows from the file's full name, the event's place in it and its bytes, so that a command
//! that is repeated gives the same. Standard input has no name; there it is new in every run.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use cairn_model::json::{Document, Kind};

use super::inputs::Input;

/// Gives IDs to the events of one input.
#[derive(Clone, Debug)]
pub(crate) struct EventIds {
    source: String,
}

impl EventIds {
    /// `run` is unlike that of any other run of the command.
    pub(crate) fn of(input: &Input, run: &str) -> Self {
        let source = match input {
            Input::StandardInput => run.to_owned(),
            Input::File { .. } => input.name(),
        };
        Self { source }
    }

    /// Event number `number` of the input, with an ID. What is no JSON object stays as it is: the server says
    /// what is wrong with it.
    pub(crate) fn complete(&self, event: Bytes, number: u64) -> Bytes {
        self.with_id(&event, number).unwrap_or(event)
    }

    /// None if there is nothing to add.
    fn with_id(&self, event: &Bytes, number: u64) -> Option<Bytes> {
        let document = Document::parse(event).ok()?;
        let root = document.root();
        if root.kind() != Kind::Object || root.get("eventID").is_some() {
            return None;
        }
        let open = event.trim_ascii_end().strip_suffix(b"}")?;
        let is_empty = open.trim_ascii_end().ends_with(b"{") && open.trim_ascii().len() == 1;
        let comma = if is_empty { "" } else { "," };
        let member = format!("{comma}\"eventID\":\"{}\"}}", self.id(event, number));
        let mut whole = BytesMut::with_capacity(open.len() + member.len());
        whole.extend_from_slice(open);
        whole.extend_from_slice(member.as_bytes());
        Some(whole.freeze())
    }

    /// A UUID of version 8: its bits are ours to choose.
    fn id(&self, event: &[u8], number: u64) -> String {
        let mut hash = Context::new(&SHA256);
        hash.update(
            &u64::try_from(self.source.len())
                .unwrap_or(u64::MAX)
                .to_le_bytes(),
        );
        hash.update(self.source.as_bytes());
        hash.update(&number.to_le_bytes());
        hash.update(event);
        let digest = hash.finish();
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest.as_ref()[..16]);
        let bits = u128::from_be_bytes(bits);
        let marked = bits & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
        let digits = format!("{marked:032x}");
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
        groups.map(|group| &digits[group]).join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Input {
        Input::File {
            path: name.into(),
            bytes: 0,
            modified_ms: 0,
        }
    }

    fn ids(input: &Input, run: &str, events: &[&'static str], first: u64) -> Vec<String> {
        let ids = EventIds::of(input, run);
        let numbered = events.iter().zip(first..);
        let completed = numbered
            .map(|(text, number)| ids.complete(Bytes::from_static(text.as_bytes()), number));
        completed
            .map(|event| String::from_utf8(event.to_vec()).expect("text"))
            .collect()
    }

    // Proves: P1
    #[test]
    fn an_event_without_an_id_gets_the_same_one_each_time() {
        let event = r#"{"eventName":"A"} "#;
        let first = &ids(&file("a.json"), "one", &[event], 7)[0];
        let member = first.strip_prefix(r#"{"eventName":"A","eventID":""#);
        let id = member.and_then(|rest| rest.strip_suffix("\"}"));
        let id = id.expect("the member stands at the end");
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "8");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        let same = [
            ids(&file("a.json"), "two", &[event], 7),
            ids(&file("a.json"), "one", &["1", event], 6)[1..].to_vec(),
        ];
        assert!(same.iter().all(|again| again[0] == *first));
        let other = [
            ids(&file("a.json"), "one", &[event], 8),
            ids(&file("b.json"), "one", &[event], 7),
            ids(&file("a.json"), "one", &[r#"{"eventName":"B"}"#], 7),
            ids(&Input::StandardInput, "one", &[event], 7),
        ];
        assert!(other.iter().all(|another| another[0] != *first));
        assert_ne!(
            ids(&Input::StandardInput, "one", &[event], 7),
            ids(&Input::StandardInput, "two", &[event], 7)
        );
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            r#"{"eventID":"x","eventName":"A"}"#,
            r#"{"eventID":null}"#,
            "[]",
            "7",
            "{",
            "",
            r#"{"a":1}}"#,
        ] {
            assert_eq!(ids(&file("a"), "one", &[text], 0), [text]);
        }
        let empty = &ids(&file("a"), "one", &["{ }"], 0)[0];
        assert!(empty.starts_with("{ \"eventID\":\""), "{empty}");
    }
}
