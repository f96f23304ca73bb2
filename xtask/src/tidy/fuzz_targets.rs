//! Fuzz targets are built by nobody until they are run, so what belongs to each of them is checked here: an
//! entry in the manifest, a line in the table, and seeds. That tests replay the seeds, a search for the
//! target's name tells.

use std::path::Path;

use super::Finding;
use crate::source::SourceFile;

const FOLDER: &str = "fuzz/fuzz_targets/";

/// A target without its manifest entry is never built; one that no test replays rots between runs.
pub(super) fn complete(files: &[SourceFile]) -> Vec<Finding> {
    let text_of = |path: &str| {
        let found = files.iter().find(|file| file.path == path);
        found.map_or("", |file| file.text.as_str())
    };
    let manifest = text_of("fuzz/Cargo.toml");
    let table = text_of("fuzz/README.md");
    let tests: Vec<&SourceFile> = files
        .iter()
        .filter(|file| file.is_rust() && !file.path.starts_with("fuzz/"))
        .collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with(FOLDER)) {
        let name = Path::new(&file.path).file_stem().unwrap_or_default();
        let name = name.to_string_lossy();
        if !manifest.contains(&format!("name = \"{name}\"")) {
            findings.push(Finding::of_file(file, "no entry in fuzz/Cargo.toml"));
        }
        if !table.contains(&format!("`{name}`")) {
            findings.push(Finding::of_file(
                file,
                "no line in the table of fuzz/README.md",
            ));
        }
        let quoted = [format!("\"{name}\""), format!("fuzz/corpus/{name}\"")];
        if !tests
            .iter()
            .any(|test| quoted.iter().any(|words| test.text.contains(words)))
        {
            findings.push(Finding::of_file(file, "no test replays its corpus"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        complete(&files)
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_target_needs_an_entry_a_line_and_a_replay() {
        let target = ("fuzz/fuzz_targets/arn.rs", "//! ARNs.");
        assert_eq!(messages(&[target]).len(), 3);
        let rest = [
            target,
            ("fuzz/Cargo.toml", "name = \"arn\""),
            ("fuzz/README.md", "| `arn` |"),
            ("crates/model/tests/it/foreign_bytes.rs", "replay(\"arn\")"),
        ];
        assert_eq!(messages(&rest), [""; 0]);
        assert_eq!(messages(&rest[..3]), ["no test replays its corpus"]);
    }
}
