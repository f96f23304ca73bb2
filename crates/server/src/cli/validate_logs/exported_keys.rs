//! Public keys in a file: the answer of ListPublicKeys, as this command or `aws cloudtrail list-public-keys`
//! saves it (REC-296).

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_integrity::PublicKeys;
use serde_json::{Value, json};

/// The keys of an answer, as it was given.
#[derive(Debug)]
pub(super) struct ExportedKeys {
    list: Vec<Value>,
}

impl ExportedKeys {
    pub(super) fn new(list: Vec<Value>) -> Self {
        Self { list }
    }

    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let unreadable = || format!("cannot read public keys from {}", file.display());
        let text = std::fs::read(file).with_context(unreadable)?;
        let mut answer: Value = serde_json::from_slice(&text).with_context(unreadable)?;
        match answer.get_mut("PublicKeyList").map(Value::take) {
            Some(Value::Array(list)) => Ok(Self { list }),
            _ => anyhow::bail!("{}: there is no PublicKeyList", unreadable()),
        }
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let answer = json!({ "PublicKeyList": self.list });
        let text = format!("{answer:#}\n");
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Keys by fingerprint. A key whose text is not base64 is kept as one that cannot be loaded.
    pub(super) fn keys(&self) -> PublicKeys {
        let key = |key: &Value| {
            let fingerprint = key["Fingerprint"].as_str()?.to_owned();
            let der = STANDARD.decode(key["Value"].as_str().unwrap_or_default());
            Some((fingerprint, der.unwrap_or_default()))
        };
        self.list.iter().filter_map(key).collect()
    }
}
