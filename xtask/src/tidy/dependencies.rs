//! Which crate may use which: the table of allowed arrows, and dependencies that nothing uses.

use anyhow::{Context, Result};

use super::Finding;
use crate::source::SourceFile;

/// The crates in the order data flows. A crate may use only what stands here for it; a new crate or
/// a new arrow is a change of architecture and is argued in ARCHITECTURE.md.
const ALLOWED_ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("access", &["model"]),
    ("integrity", &["model"]),
    ("platform", &["model"]),
    ("bucket", &["model", "access", "platform"]),
    ("eventlog", &["model", "platform"]),
    ("catalog", &["model", "access", "platform"]),
    ("lake", &["model", "platform", "eventlog", "catalog"]),
    (
        "trails",
        &["model", "integrity", "platform", "eventlog", "catalog"],
    ),
    ("api", &["model"]),
    (
        "server",
        &[
            "model",
            "access",
            "integrity",
            "platform",
            "bucket",
            "eventlog",
            "catalog",
            "lake",
            "trails",
            "api",
        ],
    ),
    (
        "testkit",
        &[
            "model",
            "access",
            "integrity",
            "platform",
            "bucket",
            "eventlog",
            "catalog",
            "lake",
            "trails",
            "api",
            "server",
        ],
    ),
];

/// Foreign technologies with one owner (STYLE.md, "One owner per foreign technology").
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("arrow", &["lake"]),
    ("parquet", &["lake"]),
    ("iceberg", &["lake"]),
    // Each has a database of its own: configuration here, the index of the embedded buckets there.
    ("sqlx", &["catalog", "bucket", "platform"]),
    ("aws-sdk-s3", &["platform"]),
    ("s3s", &["bucket"]),
];

/// Dependencies that the source need not name, each with the reason.
const UNNAMED_DEPENDENCIES: &[(&str, &str)] = &[];

/// Crates use only those that the table allows, and foreign technologies stay with their owner.
pub(super) fn arrows(files: &[SourceFile]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (crate_name, manifest, file) in crate_manifests(files)? {
        let Some((_, allowed)) = ALLOWED_ARROWS.iter().find(|(name, _)| *name == crate_name) else {
            findings.push(Finding::of_file(
                file,
                "crate is missing from the table of arrows",
            ));
            continue;
        };
        for name in dependency_names(&manifest, "dependencies") {
            if let Some(target) = name.strip_prefix("cairn-")
                && !allowed.contains(&target)
            {
                let message = format!("{crate_name} may not depend on {target}");
                findings.push(Finding::of_file(file, message));
            }
            if let Some((_, owners)) = OWNED_CRATES.iter().find(|(owned, _)| *owned == name)
                && !owners.contains(&crate_name.as_str())
            {
                let message = format!("{name} belongs to {}, not to {crate_name}", owners[0]);
                findings.push(Finding::of_file(file, message));
            }
        }
    }
    Ok(findings)
}

/// A dependency that no source file of the crate names costs build time for nothing.
pub(super) fn unused(files: &[SourceFile]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (crate_name, manifest, file) in crate_manifests(files)? {
        let folder = format!("crates/{crate_name}/");
        let sources: Vec<&SourceFile> = files
            .iter()
            .filter(|source| source.is_rust() && source.path.starts_with(&folder))
            .collect();
        for section in ["dependencies", "dev-dependencies"] {
            for name in dependency_names(&manifest, section) {
                let identifier = name.replace('-', "_");
                let named = sources
                    .iter()
                    .any(|source| names(&source.text, &identifier));
                let excepted = UNNAMED_DEPENDENCIES.iter().any(|(known, _)| *known == name);
                if !named && !excepted {
                    let message = format!("{section}: no source file names {name}");
                    findings.push(Finding::of_file(file, message));
                }
            }
        }
    }
    Ok(findings)
}

/// Two Arrows in the lock file would make record batches that do not fit each other.
pub(super) fn one_arrow(files: &[SourceFile]) -> Result<Vec<Finding>> {
    let Some(lock) = files.iter().find(|file| file.path == "Cargo.lock") else {
        return Ok(Vec::new());
    };
    let parsed: toml::Table = toml::from_str(&lock.text).context("Cargo.lock")?;
    let packages = parsed.get("package").and_then(toml::Value::as_array);
    let mut findings = Vec::new();
    for name in ["arrow-array", "parquet", "iceberg", "cairn-model"] {
        let count = packages
            .into_iter()
            .flatten()
            .filter(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))
            .count();
        if count > 1 {
            let message = format!("{count} versions of {name}; there may be one");
            findings.push(Finding::of_file(lock, message));
        }
    }
    Ok(findings)
}

fn crate_manifests(files: &[SourceFile]) -> Result<Vec<(String, toml::Table, &SourceFile)>> {
    let mut manifests = Vec::new();
    for file in files {
        let Some(name) = file
            .path
            .strip_prefix("crates/")
            .and_then(|rest| rest.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
        else {
            continue;
        };
        let manifest: toml::Table =
            toml::from_str(&file.text).with_context(|| file.path.clone())?;
        manifests.push((name.to_owned(), manifest, file));
    }
    Ok(manifests)
}

fn dependency_names(manifest: &toml::Table, section: &str) -> Vec<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

/// Whether the text holds the identifier as a whole word.
fn names(text: &str, identifier: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(identifier).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_forbidden_arrow_is_found() {
        let files = [manifest(
            "crates/model/Cargo.toml",
            "[dependencies]\ncairn-lake.workspace = true\n",
        )];
        let findings = arrows(&files).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].message, "model may not depend on lake");
    }

    #[test]
    fn a_foreign_technology_stays_with_its_owner() {
        let files = [manifest(
            "crates/api/Cargo.toml",
            "[dependencies]\nsqlx.workspace = true\n",
        )];
        assert_eq!(
            arrows(&files).unwrap()[0].message,
            "sqlx belongs to catalog, not to api"
        );
    }

    #[test]
    fn an_unknown_crate_is_found() {
        let files = [manifest("crates/drawer/Cargo.toml", "[dependencies]\n")];
        assert_eq!(arrows(&files).unwrap().len(), 1);
    }

    #[test]
    fn an_unused_dependency_is_found_and_a_longer_word_does_not_hide_it() {
        let files = [
            manifest(
                "crates/api/Cargo.toml",
                "[dependencies]\nhttp.workspace = true\n",
            ),
            manifest("crates/api/src/lib.rs", "use http_body::Body;\n"),
        ];
        assert_eq!(unused(&files).unwrap().len(), 1);
    }
}
