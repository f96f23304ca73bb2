//! Identity files: TOML for people, JSON for programs; the server reads JSON.

use std::path::Path;

use anyhow::Context as _;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FileForm {
    /// For people.
    Toml,
    /// For programs.
    Json,
}

impl FileForm {
    /// Writes what the server said in this form.
    pub(super) fn write(self, json: &str) -> anyhow::Result<String> {
        let value: serde_json::Value =
            serde_json::from_str(json).context("the server's document is not JSON")?;
        let text = match self {
            Self::Toml => toml::to_string_pretty(&value)?,
            Self::Json => serde_json::to_string_pretty(&value)? + "\n",
        };
        Ok(text)
    }
}

/// The file's contents as JSON.
pub(super) fn read_as_json(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    if path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    {
        return Ok(text);
    }
    let value: toml::Table = text.parse()?;
    Ok(serde_json::to_string(&value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_and_survive_a_round_trip() {
        let json = r#"{"account":[{"id":"123456789012","user":[{"name":"ana","inline":{"p":"{\n \"a\": 'b'\n}"},"tags":{"k":"v"}}]}]}"#;
        let folder = tempfile::tempdir().expect("a folder");
        for (form, name) in [(FileForm::Toml, "i.toml"), (FileForm::Json, "i.JSON")] {
            let path = folder.path().join(name);
            std::fs::write(&path, form.write(json).expect("is JSON")).expect("writes");
            let again: serde_json::Value =
                serde_json::from_str(&read_as_json(&path).expect("reads")).expect("is JSON");
            let expected: serde_json::Value = serde_json::from_str(json).expect("is JSON");
            assert_eq!(again, expected, "{form:?}");
        }
    }
}
