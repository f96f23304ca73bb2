//! Finds `Proves:` comments and the test that each stands above. A citation anywhere else is a
//! problem: it would count without anything that can fail.

use crate::source::SourceFile;

/// A test as its runner knows it, as far as both can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TestName {
    /// `cairn-model` for a crate, the file's path for Python.
    pub(super) owner: String,
    /// The function's name, without modules and parameters.
    pub(super) name: String,
}

/// One requirement cited by one test.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Citation {
    pub(super) id: String,
    pub(super) test: TestName,
    /// `path:line`, for messages.
    pub(super) place: String,
}

/// All citations of the project, and what is wrong with the way they are written.
pub(super) fn find(files: &[SourceFile]) -> (Vec<Citation>, Vec<String>) {
    let mut citations = Vec::new();
    let mut problems = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() || file.is_python())
    {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(cited) = line.strip_prefix(marker(file)) else {
                continue;
            };
            let place = format!("{}:{}", file.path, index + 1);
            let Some(name) = test_below(file, &lines[index + 1..]) else {
                problems.push(format!("{place}: a citation stands directly above a test"));
                continue;
            };
            for id in cited.split(',').map(|id| id.trim().trim_end_matches('.')) {
                if id.is_empty() {
                    continue;
                }
                if !is_id(id) {
                    problems.push(format!("{place}: `{id}` is not an ID"));
                    continue;
                }
                let test = TestName {
                    owner: owner(file),
                    name: name.clone(),
                };
                citations.push(Citation {
                    id: id.to_owned(),
                    test,
                    place: place.clone(),
                });
            }
        }
    }
    (citations, problems)
}

/// Capitals, perhaps a hyphen, digits: `REC-001`, `C1`.
pub(super) fn is_id(text: &str) -> bool {
    let letters = text.chars().take_while(char::is_ascii_uppercase).count();
    let rest = &text[letters..];
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    (1..=4).contains(&letters)
        && !digits.is_empty()
        && digits.chars().all(|character| character.is_ascii_digit())
}

fn marker(file: &SourceFile) -> &'static str {
    if file.is_rust() {
        "// Proves:"
    } else {
        "# Proves:"
    }
}

fn owner(file: &SourceFile) -> String {
    let mut parts = file.path.split('/');
    match (parts.next(), parts.next()) {
        (Some("crates"), Some(name)) if file.is_rust() => format!("cairn-{name}"),
        (Some("xtask"), _) => "xtask".to_owned(),
        _ => file.path.clone(),
    }
}

/// The function that the attributes, decorators and comments below a citation lead to, if it is a
/// test that runs.
fn test_below(file: &SourceFile, lines: &[&str]) -> Option<String> {
    let mut attributes = String::new();
    for line in lines {
        let declaration = line
            .trim_start_matches("pub ")
            .trim_start_matches("async ")
            .trim_start_matches(if file.is_rust() { "fn " } else { "def " });
        let is_function = *line != declaration && line.contains('(');
        if is_function {
            let name: String = declaration
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect();
            let is_test = if file.is_rust() {
                attributes.contains("test") && !attributes.contains("#[ignore")
            } else {
                name.starts_with("test_")
            };
            return is_test.then_some(name);
        }
        let is_blank = line.is_empty();
        let ends_the_search = line.ends_with('}') && !line.starts_with(['#', '@']);
        if is_blank || ends_the_search {
            return None;
        }
        attributes.push_str(line);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> (Vec<Citation>, Vec<String>) {
        find(&[SourceFile {
            path: "crates/model/src/a.rs".to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_citation_belongs_to_the_test_below_it() {
        let (citations, problems) = rust("// Proves: REC-001, C1\n#[test]\nfn holds() {\n}\n");
        assert_eq!(problems, Vec::<String>::new());
        let ids: Vec<&str> = citations
            .iter()
            .map(|citation| citation.id.as_str())
            .collect();
        assert_eq!(ids, ["REC-001", "C1"]);
        assert_eq!(citations[0].test.name, "holds");
        assert_eq!(citations[0].test.owner, "cairn-model");
    }

    #[test]
    fn a_citation_above_something_else_is_a_problem() {
        assert_eq!(rust("// Proves: REC-001\nfn holds() {\n}\n").1.len(), 1);
        assert_eq!(
            rust("// Proves: REC-001\n\n#[test]\nfn holds() {}\n")
                .1
                .len(),
            1
        );
        let ignored = [
            "// Proves: REC-001\n#[test]\n",
            "#[ign",
            "ore]\nfn holds() {}\n",
        ]
        .concat();
        assert_eq!(rust(&ignored).1.len(), 1);
    }

    #[test]
    fn ranges_are_not_ids() {
        assert_eq!(
            rust("// Proves: REC-001..REC-004\n#[test]\nfn a() {}\n")
                .1
                .len(),
            1
        );
    }

    #[test]
    fn python_tests_cite_too() {
        let (citations, problems) = find(&[SourceFile {
            path: "tests/clients/test_a.py".to_owned(),
            text: "# Proves: OVR-073\n@slow\ndef test_it(server):\n    pass\n".to_owned(),
        }]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(citations[0].test.owner, "tests/clients/test_a.py");
        assert_eq!(citations[0].test.name, "test_it");
    }
}
