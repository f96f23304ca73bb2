//! The tests that the runners would run: nextest for Rust, pytest for Python.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::citations::TestName;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Listing {
    rust_suites: std::collections::BTreeMap<String, Suite>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Suite {
    package_name: String,
    testcases: std::collections::BTreeMap<String, TestCase>,
}

#[derive(Debug, Deserialize)]
struct TestCase {
    ignored: bool,
}

pub(super) fn list(root: &Path) -> Result<BTreeSet<TestName>> {
    let mut tests: BTreeSet<TestName> = rust_tests(root)?.into_iter().collect();
    let interpreter = root.join(".venv/bin/python");
    ensure!(
        interpreter.exists(),
        "no virtual environment: `make python` makes it"
    );
    tests.extend(python_tests(root, &interpreter)?);
    Ok(tests)
}

fn rust_tests(root: &Path) -> Result<Vec<TestName>> {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        if is_of_this_package(&name) {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(root)
        .args([
            "nextest",
            "list",
            "--locked",
            "--workspace",
            "--message-format",
            "json",
        ])
        .output()
        .context("cannot run cargo nextest")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing: Listing =
        serde_json::from_slice(&output.stdout).context("nextest's list has another form")?;
    let mut tests = Vec::new();
    for suite in listing.rust_suites.into_values() {
        for (path, case) in suite.testcases {
            if case.ignored {
                continue;
            }
            // rstest adds a segment per case below the function's own name.
            for segment in path.split("::") {
                let owner = suite.package_name.clone();
                tests.push(TestName {
                    owner,
                    name: segment.to_owned(),
                });
            }
        }
    }
    Ok(tests)
}

/// True for what `cargo run` tells this program about itself. Build scripts look at such variables: with
/// them, what was built before would be built again.
fn is_of_this_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")
}

fn python_tests(root: &Path, interpreter: &Path) -> Result<Vec<TestName>> {
    let output = Command::new(interpreter)
        .current_dir(root)
        .args(["-m", "pytest", "tests", "--collect-only", "--quiet"])
        .output()
        .context("cannot run pytest")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let text = String::from_utf8(output.stdout).context("pytest's list is not UTF-8")?;
    Ok(text.lines().filter_map(pytest_name).collect())
}

/// `FILE::[CLASS::]NAME[PARAMETERS]`, where parameters may hold anything.
fn pytest_name(line: &str) -> Option<TestName> {
    let (file, rest) = line.split_once("::")?;
    let name = rest.split('[').next()?.rsplit("::").next()?;
    Some(TestName {
        owner: file.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_test_are_no_part_of_its_name() {
        for (line, expected) in [
            ("tests/a.py::test_b", "test_b"),
            ("tests/a.py::Class::test_b", "test_b"),
            ("tests/a.py::test_b[notify::sent]", "test_b"),
            ("tests/a.py::test_b[arn:aws:s3:::x-[y]]", "test_b"),
        ] {
            let found = pytest_name(line).map(|found| (found.owner, found.name));
            let expected = Some(("tests/a.py".to_owned(), expected.to_owned()));
            assert_eq!(found, expected, "{line}");
        }
    }
}
