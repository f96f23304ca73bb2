//! The project's chores that cargo does not know: layout rules as lints, requirement coverage, and
//! pages made from data. `cargo xtask` without a command lists them.

#![expect(
    clippy::print_stdout,
    reason = "a command line program talks through its output"
)]

mod codegen;
mod reliability;
mod requirements;
mod source;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask tidy                    layout rules that rustc and clippy do not know
cargo xtask requirements [--listed] requirements cited by tests, per register
cargo xtask reliability [--check]   docs/reliability.md from the results file
cargo xtask codegen [--check]       generated code of crate api";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words, &workspace_root()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str], root: &Path) -> Result<()> {
    match words {
        ["tidy"] => tidy::run(root),
        ["requirements"] => requirements::run(root, requirements::Evidence::Sources),
        ["requirements", "--listed"] => {
            requirements::run(root, requirements::Evidence::TestRunners)
        }
        ["codegen"] => codegen::run(root, false),
        ["codegen", "--check"] => codegen::run(root, true),
        ["reliability"] => reliability::write(root),
        ["reliability", "--check"] => reliability::check(root),
        _ => bail!("unknown command; there are:\n{USAGE}"),
    }
}

// Cargo tells a program that it runs where its package is. What was built in says where the package was when
// this was compiled: another checkout, if they share a target folder.
fn workspace_root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
        .parent()
        .expect("xtask lies directly under the workspace root")
        .to_path_buf()
}
