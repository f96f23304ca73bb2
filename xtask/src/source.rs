//! The project's files as the checks see them: tracked by git or about to be, read once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One text file of the project.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Path from the workspace root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn is_python(&self) -> bool {
        self.has_extension("py")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// All text files that git tracks or would track, in path order. Binary fixtures are left out.
pub(crate) fn project_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for path in project_paths(root)? {
        let full_path: PathBuf = root.join(&path);
        if !full_path.is_file() {
            continue; // deleted, not yet committed
        }
        let bytes = std::fs::read(&full_path).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
        {
            files.push(SourceFile { path, text });
        }
    }
    Ok(files)
}

fn project_paths(root: &Path) -> Result<Vec<String>> {
    let listing = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .output()
        .context("cannot run git")?;
    ensure!(listing.status.success(), "git ls-files failed");
    let names = String::from_utf8(listing.stdout).context("a path is not UTF-8")?;
    let mut paths: Vec<String> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}
