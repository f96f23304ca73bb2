//! Rules about words in any text file: no promises instead of work, no names of one machine.

use super::Finding;
use crate::source::SourceFile;

const WIDTH_MAX: usize = 100;

/// Words that must not stand anywhere in the project, split so that this file may name them.
fn forbidden() -> Vec<(String, &'static str)> {
    let word = |parts: &[&str]| parts.concat();
    vec![
        (word(&["TO", "DO"]), "an issue number or nothing"),
        (word(&["FIX", "ME"]), "an issue number or nothing"),
        (word(&["X", "XX:"]), "an issue number or nothing"),
        (word(&["/wo", "rk/"]), "a path of one machine"),
        (word(&["/ro", "ot/"]), "a path of one machine"),
        (
            word(&["index.", "crates.io"]),
            "a host that packages come from",
        ),
        (
            word(&["static.", "crates.io"]),
            "a host that packages come from",
        ),
        (word(&["pypi", ".org"]), "a host that packages come from"),
        (
            word(&["registry.", "npmjs"]),
            "a host that packages come from",
        ),
        (
            word(&["deb.", "debian.org"]),
            "a host that packages come from",
        ),
        (
            word(&["/sha", "red/"]),
            "a folder beside one machine's clone",
        ),
    ]
}

/// Files whose words are not ours: facts of AWS, lock files, real data.
const FOREIGN_TEXT: &[&str] = &[
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "api-model/",
    "tests/corpus/",
    "docs/requirements/",
];

/// Tables with one case a line, which would be worse when wrapped.
const WIDE_FILES: &[&str] = &["benches/tools/"];

pub(super) fn forbidden_words(files: &[SourceFile]) -> Vec<Finding> {
    let words = forbidden();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !is_foreign(file)) {
        for (number, line) in file.lines() {
            for (word, reason) in &words {
                if holds_word(line, word) {
                    findings.push(Finding::at(file, number, format!("`{word}`: {reason}")));
                }
            }
        }
    }
    findings
}

fn is_foreign(file: &SourceFile) -> bool {
    FOREIGN_TEXT
        .iter()
        .any(|prefix| file.path.starts_with(prefix))
}

/// Words of letters must stand alone; paths and hosts may be part of something longer.
fn holds_word(line: &str, word: &str) -> bool {
    if !word.chars().all(|character| character.is_ascii_uppercase()) {
        return line.contains(word);
    }
    line.match_indices(word).any(|(start, found)| {
        let before = line[..start].chars().next_back();
        let after = line[start + found.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// A test that never runs proves nothing: it is repaired or deleted.
pub(super) fn ignored_tests(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() || file.is_python())
    {
        for (number, line) in file.lines() {
            let code = line.trim_start();
            let ignored = code.starts_with("#[ignore") || code.starts_with("@pytest.mark.skip(");
            if ignored {
                findings.push(Finding::at(file, number, "a test that never runs"));
            }
        }
    }
    findings
}

/// rustfmt keeps Rust's width; these are the files it does not see.
pub(super) fn widths(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_width_checked(file)) {
        for (number, line) in file.lines() {
            let width = line.chars().count();
            let may_be_wide = line.contains("http") || line.starts_with('|');
            if width > WIDTH_MAX && !may_be_wide {
                let message = format!("{width} columns; the limit is {WIDTH_MAX}");
                findings.push(Finding::at(file, number, message));
            }
        }
    }
    findings
}

fn is_width_checked(file: &SourceFile) -> bool {
    let checked = file.is_python()
        || ["sh", "c", "sql"]
            .iter()
            .any(|extension| file.has_extension(extension))
        || file.path == "Makefile"
        || file.path == "ARCHITECTURE.md";
    checked && !is_foreign(file) && !WIDE_FILES.iter().any(|wide| file.path.starts_with(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn promises_and_machine_paths_are_found() {
        let text = format!("ok\n// {}{}: later\n", "TO", "DO");
        assert_eq!(
            forbidden_words(&[file("crates/model/src/a.rs", &text)])[0].line,
            2
        );
        let text = format!("see {}{}x\n", "/wo", "rk/");
        assert_eq!(forbidden_words(&[file("README.md", &text)]).len(), 1);
        assert_eq!(forbidden_words(&[file("README.md", "MASTODON\n")]), []);
    }

    #[test]
    fn tests_that_never_run_are_found() {
        let text = "    #[ignore = \"slow\"]\n";
        assert_eq!(
            ignored_tests(&[file("crates/model/src/a.rs", text)]).len(),
            1
        );
    }

    #[test]
    fn wide_lines_are_found_where_rustfmt_does_not_look() {
        let wide = "x".repeat(101);
        assert_eq!(widths(&[file("tests/a.py", &wide)]).len(), 1);
        assert_eq!(widths(&[file("crates/a.rs", &wide)]), []);
    }
}
