//! Rules about files as modules: their header, size, name, and roots without logic.

use super::Finding;
use crate::source::SourceFile;

const CODE_LINES_MAX: usize = 500;

/// Tests are mostly tables of cases, which read well at greater length.
const TEST_LINES_MAX: usize = 800;

/// Flat tables, which are longer by nature.
const LONG_FILES: &[&str] = &[
    "crates/api/src/operations/table.rs",
    "crates/api/src/operations.rs",
];

const DRAWERS: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "manager",
];

/// Each module says what it is for before anything else.
pub(super) fn headers(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let first = file
            .text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        if file.is_generated() {
            if !first.contains("xtask codegen") {
                findings.push(Finding::of_file(
                    file,
                    "line 1 of a generated file names its maker",
                ));
            }
        } else if !first.starts_with("//!") && !is_test_module(file) {
            findings.push(Finding::at(
                file,
                1,
                "a module opens with `//!` lines: what it is for",
            ));
        }
    }
    findings
}

/// A file that only holds the tests of its parent needs no header of its own.
fn is_test_module(file: &SourceFile) -> bool {
    file.path.ends_with("/tests.rs")
}

/// Files stay readable in one sitting.
pub(super) fn sizes(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.is_rust() || file.is_python())
        .filter(|file| !file.is_generated() && !LONG_FILES.contains(&file.path.as_str()))
        .filter_map(|file| {
            let (count, limit) = (code_lines(file), lines_max(file));
            let message = format!("{count} code lines; the limit is {limit}: split it");
            (count > limit).then(|| Finding::of_file(file, message))
        })
        .collect()
}

fn lines_max(file: &SourceFile) -> usize {
    let is_test = file.path.contains("/tests/") || is_test_module(file);
    if is_test {
        TEST_LINES_MAX
    } else {
        CODE_LINES_MAX
    }
}

fn code_lines(file: &SourceFile) -> usize {
    let comment = if file.is_rust() { "//" } else { "#" };
    file.text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(comment))
        .count()
}

/// No drawers: a module is named for what it does.
pub(super) fn names(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.is_rust() || file.is_python())
        .filter(|file| {
            file.path
                .trim_end_matches(".rs")
                .trim_end_matches(".py")
                .split('/')
                .any(|part| {
                    DRAWERS.contains(&part)
                        || DRAWERS
                            .iter()
                            .any(|drawer| part.ends_with(&format!("_{drawer}")))
                })
        })
        .map(|file| Finding::of_file(file, "a drawer: name the module for what it does"))
        .collect()
}

/// `lib.rs` and `mod.rs` hold docs, modules and re-exports; logic lives where its name says.
pub(super) fn roots_without_logic(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|file| is_root(&file.path) && !file.is_generated())
    {
        for (number, line) in file.lines() {
            let declaration = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ")
                .trim_start_matches("async ");
            let logic = [
                "fn ",
                "impl ",
                "impl<",
                "struct ",
                "enum ",
                "trait ",
                "macro_rules!",
            ];
            if logic.iter().any(|keyword| declaration.starts_with(keyword)) {
                findings.push(Finding::at(
                    file,
                    number,
                    "logic in a root: move it to a module",
                ));
            }
            if declaration.starts_with("use ") && line.ends_with("::*;") {
                findings.push(Finding::at(file, number, "re-exports are explicit"));
            }
        }
    }
    findings
}

/// A file that no `mod` names is compiled by nobody: the compiler finds nothing wrong with it.
pub(super) fn unreached(files: &[SourceFile]) -> Vec<Finding> {
    let modules = files
        .iter()
        .filter(|file| file.is_rust() && is_in_a_tree(&file.path));
    modules
        .filter(|file| !is_named(file, files))
        .map(|file| Finding::of_file(file, "no `mod` reaches this file"))
        .collect()
}

/// Within the folders that hold one tree of modules each, and not at its top.
fn is_in_a_tree(path: &str) -> bool {
    let Some((_, within)) = path.split_once("/src/").or(path.split_once("/tests/it/")) else {
        return false;
    };
    !matches!(within, "lib.rs" | "main.rs") && !within.starts_with("bin/")
}

fn is_named(file: &SourceFile, files: &[SourceFile]) -> bool {
    let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let Some((folder, name)) = stem.rsplit_once('/') else {
        return false;
    };
    let declaration = format!("mod {name};");
    let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"];
    let parents = parents.map(|end| format!("{folder}{end}"));
    files
        .iter()
        .filter(|parent| parents.contains(&parent.path))
        .flat_map(|parent| parent.text.lines())
        .any(|line| {
            let line = line.trim().trim_start_matches("pub");
            let (_, declared) = line.split_once(") ").unwrap_or(("", line));
            declared.trim_start().starts_with(&declaration)
        })
}

fn is_root(path: &str) -> bool {
    path.starts_with("crates/") && (path.ends_with("/src/lib.rs") || path.ends_with("/mod.rs"))
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
    fn a_module_without_a_header_is_found() {
        let files = [file("crates/model/src/a.rs", "use std::fmt;\n")];
        assert_eq!(headers(&files).len(), 1);
        let files = [file("crates/model/src/a.rs", "//! What it is for.\n")];
        assert_eq!(headers(&files), []);
    }

    #[test]
    fn only_code_counts_towards_the_size() {
        let mut text = String::from("//! Long.\n");
        text.push_str(&"// why\n\n".repeat(600));
        text.push_str(&"let a = 1;\n".repeat(500));
        assert_eq!(sizes(&[file("crates/model/src/a.rs", &text)]), []);
        text.push_str("let b = 1;\n");
        assert_eq!(sizes(&[file("crates/model/src/a.rs", &text)]).len(), 1);
    }

    #[test]
    fn drawers_are_found_by_whole_word() {
        assert_eq!(names(&[file("crates/model/src/utils.rs", "")]).len(), 1);
        assert_eq!(
            names(&[file("crates/model/src/string_utils.rs", "")]).len(),
            1
        );
        assert_eq!(names(&[file("crates/model/src/commonplace.rs", "")]), []);
    }

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let reached = [
            (
                "crates/a/src/lib.rs",
                "mod b;\npub(crate) mod c;\npub mod d;\n",
            ),
            ("crates/a/src/b.rs", "#[cfg(test)]\nmod tests;\n"),
            ("crates/a/src/b/tests.rs", ""),
            ("crates/a/src/c/mod.rs", ""),
            ("crates/a/src/d.rs", ""),
            ("crates/a/tests/it/main.rs", "mod e; // why\n"),
            ("crates/a/tests/it/e.rs", ""),
            ("crates/a/benches/f.rs", ""),
        ];
        let mut files: Vec<_> = reached
            .iter()
            .map(|(path, text)| file(path, text))
            .collect();
        assert_eq!(unreached(&files), []);
        files.push(file("crates/a/src/b/second.rs", ""));
        files.push(file("crates/a/src/bd.rs", ""));
        let found = unreached(&files);
        let paths: Vec<_> = found.iter().map(|finding| &finding.path).collect();
        assert_eq!(paths, ["crates/a/src/b/second.rs", "crates/a/src/bd.rs"]);
    }

    #[test]
    fn logic_in_a_root_is_found() {
        let text = "//! Root.\nmod a;\npub use a::A;\npub fn b() {}\n";
        let findings = roots_without_logic(&[file("crates/model/src/lib.rs", text)]);
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>(),
            [4]
        );
    }
}
