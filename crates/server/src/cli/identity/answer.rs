//! The server's XML answers as a small tree.

use anyhow::Context as _;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Elements inside one another; an answer has far fewer.
const DEPTH_MAX: usize = 64;

/// An element with its text and its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Element {
    name: String,
    text: String,
    parts: Vec<Element>,
}

impl Element {
    /// Reads a document.
    pub(crate) fn parse(xml: &str) -> anyhow::Result<Self> {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event()? {
                Event::Start(start) => {
                    anyhow::ensure!(open.len() < DEPTH_MAX, "the answer is nested too deeply");
                    let name = String::from_utf8(start.local_name().as_ref().to_vec())?;
                    open.push(Self {
                        name,
                        ..Self::default()
                    });
                }
                Event::End(_) => {
                    let done = open.pop().context("the answer is not well formed")?;
                    let parent = open.last_mut().context("the answer is not well formed")?;
                    parent.parts.push(done);
                }
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text.decode()?);
                    }
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_xml_entity(&reference.decode()?)
                            .context("the answer has an unknown entity")?
                            .to_owned(),
                    };
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&resolved);
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        anyhow::ensure!(open.len() == 1, "the answer is cut short");
        let root = open.pop().unwrap_or_default();
        anyhow::ensure!(!root.parts.is_empty(), "the answer is empty");
        Ok(root)
    }

    /// The element's own text.
    pub(crate) fn own_text(&self) -> &str {
        &self.text
    }

    /// The text of the first element of that name inside this one; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name)
            .first()
            .map_or("", |element| element.own_text())
    }

    /// Every element of that name inside this one, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&Self> {
        let mut found = Vec::new();
        for part in &self.parts {
            if part.name == name {
                found.push(part);
            }
            found.extend(part.all(name));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_references_and_a_bent_one_is_refused() {
        let xml =
            "<R><List><member><A>1 &lt; 2 &amp; &#x33;</A></member><member>b</member></List></R>";
        let root = Element::parse(xml).expect("is well formed");
        assert_eq!(root.text("A"), "1 < 2 & 3");
        assert_eq!(root.all("member").len(), 2);
        let deep = "<a>".repeat(100);
        for bent in ["", "no xml", "<a>", "<a></b>", "<a>&unknown;</a>", &deep] {
            assert!(Element::parse(bent).is_err(), "{bent}");
        }
    }
}
