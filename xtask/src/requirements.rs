//! Which requirements are proved: reads the registers under `docs/requirements/` and the `Proves:`
//! comments directly above tests, counts per register, and refuses an ID that no register knows.

mod citations;
mod listed_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};

use crate::source::{SourceFile, project_files};
use citations::Citation;

/// How far to look for proof that a citing test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The sources alone: the citation stands above a test that is not ignored.
    Sources,
    /// The test runners must list the test too (builds the tests).
    TestRunners,
}

pub(crate) fn run(root: &Path, evidence: Evidence) -> Result<()> {
    let files = project_files(root)?;
    let registers = Registers::read(&files);
    let (citations, mut problems) = citations::find(&files);
    for citation in &citations {
        if !registers.knows(&citation.id) {
            problems.push(format!(
                "{}: {} is in no register",
                citation.place, citation.id
            ));
        }
    }
    if evidence == Evidence::TestRunners {
        let listed = listed_tests::list(root)?;
        for citation in &citations {
            if !listed.contains(&citation.test) {
                let name = &citation.test.name;
                problems.push(format!("{}: no test runner lists {name}", citation.place));
            }
        }
    }
    problems.sort_unstable();
    problems.dedup();
    for problem in &problems {
        println!("{problem}");
    }
    print!("{}", registers.report(&citations));
    if !problems.is_empty() {
        bail!("{} citations are wrong", problems.len());
    }
    Ok(())
}

/// Every requirement ID with the register that defines it.
#[derive(Debug, Default)]
struct Registers {
    ids_by_register: BTreeMap<String, BTreeSet<String>>,
}

impl Registers {
    fn read(files: &[SourceFile]) -> Self {
        let mut registers = Self::default();
        for file in files {
            let Some(name) = file.path.strip_prefix("docs/requirements/") else {
                continue;
            };
            if name == "README.md" {
                continue;
            }
            // Short IDs (R1, C1) are one register's; elsewhere they number samples and examples.
            let short_ids = name == "reliability.md";
            let ids: BTreeSet<String> = file
                .text
                .lines()
                .filter_map(defined_id)
                .filter(|id| short_ids || id.contains('-'))
                .map(str::to_owned)
                .collect();
            if !ids.is_empty() {
                registers
                    .ids_by_register
                    .insert(name.trim_end_matches(".md").to_owned(), ids);
            }
        }
        registers
    }

    fn knows(&self, id: &str) -> bool {
        self.ids_by_register.values().any(|ids| ids.contains(id))
    }

    fn report(&self, citations: &[Citation]) -> String {
        let cited: BTreeSet<&str> = citations
            .iter()
            .map(|citation| citation.id.as_str())
            .collect();
        let mut lines = vec![format!("{:<36} {:>6} {:>6}", "register", "IDs", "cited")];
        let (mut all_ids, mut all_cited) = (0, 0);
        for (register, ids) in &self.ids_by_register {
            let count = ids.iter().filter(|id| cited.contains(id.as_str())).count();
            lines.push(format!("{register:<36} {:>6} {count:>6}", ids.len()));
            all_ids += ids.len();
            all_cited += count;
        }
        lines.push(format!("{:<36} {all_ids:>6} {all_cited:>6}", "all"));
        let tests: BTreeSet<_> = citations.iter().map(|citation| &citation.test).collect();
        lines.push(format!("{} tests cite requirements", tests.len()));
        lines.join("\n") + "\n"
    }
}

/// The ID that a register line defines: `- **REC-001** …` or a table row `| TSQ-001 | …`.
fn defined_id(line: &str) -> Option<&str> {
    let id = if let Some(rest) = line.strip_prefix("- **") {
        rest.split_once("**")?.0
    } else {
        line.strip_prefix("| ")?.split_once(" |")?.0
    };
    citations::is_id(id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(name: &str, text: &str) -> Registers {
        Registers::read(&[SourceFile {
            path: format!("docs/requirements/{name}.md"),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn both_forms_define_ids() {
        let registers = register(
            "reliability",
            "- **REC-001** Layout.\n| C1 | kill |\n| id | fault |\n",
        );
        assert!(registers.knows("REC-001"));
        assert!(registers.knows("C1"));
        assert!(!registers.knows("id"));
    }

    #[test]
    fn a_mention_defines_nothing() {
        assert!(!register("07-records", "See **REC-002** and REC-003.\n").knows("REC-002"));
    }
}
