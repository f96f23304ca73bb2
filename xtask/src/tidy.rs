//! Layout rules of STYLE.md as lints. Each rule is one function from the project's files to findings;
//! exceptions stand by name in the rule's own table, with their reason.

mod dependencies;
mod fuzz_targets;
mod modules;
mod text;

use std::path::Path;

use anyhow::{Result, bail};

use crate::source::{SourceFile, project_files};

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 when the file as a whole is meant.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    fn of_file(file: &SourceFile, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line: 0,
            message: message.into(),
        }
    }

    fn at(file: &SourceFile, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            message: message.into(),
        }
    }
}

pub(crate) fn run(root: &Path) -> Result<()> {
    let files = project_files(root)?;
    let mut findings = Vec::new();
    findings.extend(dependencies::arrows(&files)?);
    findings.extend(dependencies::unused(&files)?);
    findings.extend(dependencies::one_arrow(&files)?);
    findings.extend(modules::headers(&files));
    findings.extend(modules::sizes(&files));
    findings.extend(modules::names(&files));
    findings.extend(modules::roots_without_logic(&files));
    findings.extend(modules::unreached(&files));
    findings.extend(fuzz_targets::complete(&files));
    findings.extend(text::forbidden_words(&files));
    findings.extend(text::ignored_tests(&files));
    findings.extend(text::widths(&files));
    for Finding {
        path,
        line,
        message,
    } in &findings
    {
        println!("{path}:{line}: {message}");
    }
    if !findings.is_empty() {
        bail!("{} findings; the rules are in STYLE.md", findings.len());
    }
    println!("tidy: {} files, no findings", files.len());
    Ok(())
}
