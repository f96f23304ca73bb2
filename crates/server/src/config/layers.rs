//! The layers of configuration before they mean anything: texts by key, each with where it came from.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cairn_model::{AccountId, Region};
use zeroize::Zeroizing;

use super::settings::{Kind, SETTINGS, Setting};
use super::units;

/// Environment variables that begin like settings and are none: other tools of the project own them.
const FOREIGN_VARIABLES: [&str; 4] = [
    "CAIRN_CACHE",
    "CAIRN_SEEDS",
    "CAIRN_SABOTAGE",
    "CAIRN_FAILPOINTS",
];

/// Why a configuration cannot be used. Every message names the key and where it stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's answer.
        reason: String,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not valid TOML: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What the parser says, with the line.
        reason: String,
    },
    /// A section or key that does not exist.
    #[error("unknown key {key} in {origin}{hint}")]
    UnknownKey {
        /// As the user wrote it.
        key: String,
        /// Where it stood.
        origin: String,
        /// `; did you mean …?` or nothing.
        hint: String,
    },
    /// A value that does not fit its key.
    #[error("{key} = {value:?} ({origin}): {reason}")]
    InvalidValue {
        /// `section.key`.
        key: String,
        /// What was given; `…` for a secret.
        value: String,
        /// Where it stood.
        origin: String,
        /// What is expected.
        reason: String,
    },
    /// Two settings that do not fit together.
    #[error("{key}: {reason}")]
    Contradiction {
        /// `section.key`.
        key: String,
        /// What does not fit.
        reason: String,
    },
}

#[derive(Clone)]
struct Given {
    /// Some are secrets, so all of them are wiped, and none is shown by chance.
    text: Zeroizing<String>,
    origin: String,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given(by {})", self.origin)
    }
}

/// All layers merged: one text for every setting.
#[derive(Clone, Debug)]
pub struct Layers {
    given: BTreeMap<(&'static str, &'static str), Given>,
}

impl Default for Layers {
    fn default() -> Self {
        let given = SETTINGS.iter().map(|setting| {
            let given = Given {
                text: Zeroizing::new(setting.default.into()),
                origin: "default".into(),
            };
            ((setting.section, setting.key), given)
        });
        Self {
            given: given.collect(),
        }
    }
}

impl Layers {
    /// Lays a TOML file over what is there. `path` is for messages.
    pub fn apply_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table =
            text.parse()
                .map_err(|error: toml::de::Error| ConfigError::Malformed {
                    path: path.into(),
                    reason: error.to_string(),
                })?;
        for (section, entries) in table {
            let toml::Value::Table(entries) = entries else {
                return Err(unknown(&section, path));
            };
            if !SETTINGS.iter().any(|setting| setting.section == section) {
                return Err(unknown(&section, path));
            }
            for (key, value) in entries {
                let name = format!("{section}.{key}");
                let setting = find(&name).ok_or_else(|| unknown(&name, path))?;
                let text = text_of(&value).ok_or_else(|| ConfigError::InvalidValue {
                    key: name.clone(),
                    value: value.to_string(),
                    origin: path.into(),
                    reason: "a text, a number, true, false or a list of texts".into(),
                })?;
                self.set(setting, text, path);
            }
        }
        Ok(())
    }

    /// Lays the environment over what is there. Variables that do not begin with `CAIRN_` are ignored;
    /// those that do must name a setting.
    pub fn apply_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let mut ordered: Vec<_> = variables
            .filter(|(name, _)| name.starts_with("CAIRN_"))
            .filter(|(name, _)| !FOREIGN_VARIABLES.contains(&name.as_str()))
            .collect();
        ordered.sort();
        for (name, value) in ordered {
            let setting = SETTINGS
                .iter()
                .find(|setting| setting.variable() == name)
                .ok_or_else(|| unknown(&name, "the environment"))?;
            self.set(setting, value, "the environment");
        }
        Ok(())
    }

    /// Lays one command-line flag over what is there.
    pub fn apply_flag(&mut self, flag: &str, name: &str, value: String) {
        let setting = find(name).expect("flags name settings of the table");
        self.set(setting, value, flag);
    }

    /// Checks every value against the form and limits of its setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            self.check_one(setting)?;
        }
        Ok(())
    }

    /// The whole configuration as a TOML file, secrets left out.
    pub fn print(&self) -> String {
        let mut page = String::new();
        let mut section = "";
        for setting in SETTINGS {
            if setting.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                section = setting.section;
                let _ = writeln!(page, "{gap}[{section}]");
            }
            let given = self.given(setting.section, setting.key);
            let value = match setting.kind {
                Kind::Secret if given.text.is_empty() => "\"\"".into(),
                Kind::Secret => "\"…\"".into(),
                Kind::Count(..) => given.text.to_string(),
                Kind::List => {
                    let items: Vec<_> = items(&given.text).map(quoted).collect();
                    format!("[{}]", items.join(", "))
                }
                _ => quoted(&given.text),
            };
            let _ = writeln!(page, "{} = {value}  # {}", setting.key, given.origin);
        }
        page
    }

    pub(super) fn text(&self, section: &'static str, key: &'static str) -> &str {
        &self.given(section, key).text
    }

    pub(super) fn list(&self, section: &'static str, key: &'static str) -> Vec<String> {
        items(self.text(section, key)).map(str::to_owned).collect()
    }

    pub(super) fn path(&self, section: &'static str, key: &'static str) -> Option<PathBuf> {
        Some(self.text(section, key))
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    }

    pub(super) fn address(&self, section: &'static str, key: &'static str) -> SocketAddr {
        self.text(section, key)
            .parse()
            .expect("checked against its kind")
    }

    pub(super) fn account(&self, section: &'static str, key: &'static str) -> AccountId {
        self.text(section, key)
            .parse()
            .expect("checked against its kind")
    }

    pub(super) fn region(&self, section: &'static str, key: &'static str) -> Region {
        self.text(section, key)
            .parse()
            .expect("checked against its kind")
    }

    pub(super) fn duration(&self, section: &'static str, key: &'static str) -> Duration {
        units::parse_duration(self.text(section, key)).expect("checked against its kind")
    }

    pub(super) fn size(&self, section: &'static str, key: &'static str) -> u64 {
        units::parse_size(self.text(section, key)).expect("checked against its kind")
    }

    /// A size that bounds memory, as the machine counts it.
    pub(super) fn bytes(&self, section: &'static str, key: &'static str) -> usize {
        usize::try_from(self.size(section, key)).unwrap_or(usize::MAX)
    }

    pub(super) fn count(&self, section: &'static str, key: &'static str) -> usize {
        self.text(section, key)
            .parse()
            .expect("checked against its kind")
    }

    /// An error about one setting's value, with its origin.
    pub(super) fn invalid(
        &self,
        section: &'static str,
        key: &'static str,
        reason: impl Into<String>,
    ) -> ConfigError {
        let given = self.given(section, key);
        ConfigError::InvalidValue {
            key: format!("{section}.{key}"),
            value: given.text.to_string(),
            origin: given.origin.clone(),
            reason: reason.into(),
        }
    }

    fn given(&self, section: &'static str, key: &'static str) -> &Given {
        self.given
            .get(&(section, key))
            .expect("every setting of the table has a default")
    }

    fn set(&mut self, setting: &Setting, text: String, origin: &str) {
        let given = Given {
            text: Zeroizing::new(text),
            origin: origin.to_owned(),
        };
        self.given.insert((setting.section, setting.key), given);
    }

    fn check_one(&self, setting: &Setting) -> Result<(), ConfigError> {
        let text = self.text(setting.section, setting.key);
        let within = |value: Option<u64>, min: u64, max: u64| {
            value.is_some_and(|value| (min..=max).contains(&value))
        };
        let millis =
            |text| units::parse_duration(text).and_then(|d| u64::try_from(d.as_millis()).ok());
        let valid = match setting.kind {
            Kind::Text | Kind::Secret | Kind::Path | Kind::List => true,
            Kind::Word(words) => words.contains(&text),
            Kind::Address => text.parse::<SocketAddr>().is_ok(),
            Kind::Account => text.parse::<AccountId>().is_ok(),
            Kind::Region => text.parse::<Region>().is_ok(),
            Kind::Duration(min, max) => within(millis(text), min, max),
            Kind::Size(min, max) => within(units::parse_size(text), min, max),
            Kind::Count(min, max) => within(text.parse().ok(), min, max),
        };
        if valid {
            return Ok(());
        }
        let reason = format!("expected {}", expectation(setting.kind));
        Err(self.invalid(setting.section, setting.key, reason))
    }
}

/// What a value of this kind must look like, in words.
pub(super) fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Secret => "a text, kept secret".into(),
        Kind::Word(words) => format!("one of {}", words.join(", ")),
        Kind::Path => "a path".into(),
        Kind::Address => "an address with port, such as 127.0.0.1:4510".into(),
        Kind::Account => "an account ID of twelve digits".into(),
        Kind::Region => "the name of a Region".into(),
        Kind::Duration(min, max) => format!(
            "a duration from {} to {}",
            units::write_duration(min),
            units::write_duration(max)
        ),
        Kind::Size(min, max) => {
            format!(
                "a size from {} to {}",
                units::write_size(min),
                units::write_size(max)
            )
        }
        Kind::Count(min, max) => format!("a number from {min} to {max}"),
        Kind::List => "a list of texts".into(),
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name() == name)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<_>> = values.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

fn unknown(key: &str, origin: &str) -> ConfigError {
    let is_variable = key.starts_with("CAIRN_");
    let candidates: Vec<String> = SETTINGS
        .iter()
        .map(|setting| {
            if is_variable {
                setting.variable()
            } else {
                setting.name()
            }
        })
        .collect();
    let hint = candidates
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 4)
        .map_or(String::new(), |(_, candidate)| {
            format!("; did you mean {candidate}?")
        });
    ConfigError::UnknownKey {
        key: key.into(),
        origin: origin.into(),
        hint,
    }
}

/// Edits that turn one text into the other (Levenshtein), for the hint.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
