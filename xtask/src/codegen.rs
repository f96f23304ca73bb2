//! `cargo xtask codegen`: from AWS's service models (`api-model/`) to the tables and types of crate `api`, and from
//! the operations table to the page `docs/api.md`. With `--check` it writes nothing and fails when what is committed
//! is not what it would write. The output depends on nothing but the models.

mod contracts;
mod model;
mod names;
mod operation_id;
mod pattern;
mod shapes;
mod source;
mod types;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use model::ServiceModel;

/// One service: the model's file and the module that is made of it.
struct Service {
    model_file: &'static str,
    module: &'static str,
    variant: &'static str,
}

const SERVICES: [Service; 2] = [
    Service {
        model_file: "cloudtrail-2013-11-01.json",
        module: "cloudtrail",
        variant: "CloudTrail",
    },
    Service {
        model_file: "cloudtrail-data-2021-08-11.json",
        module: "cloudtrail_data",
        variant: "CloudTrailData",
    },
];

const GENERATED: &str = "crates/api/src/generated";
const API_PAGE: &str = "docs/api.md";

/// Files to write: path below the repository's root, and contents.
type Files = BTreeMap<PathBuf, String>;

/// Runs the generator in the repository at `root`.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let files = generated_files(root)?;
    if check {
        compare(root, &files)?;
    } else {
        write(root, &files)?;
    }
    // The page is made by a program of crate `api`, which must compile with the files just written.
    let page = api_page(root)?;
    let page = Files::from([(PathBuf::from(API_PAGE), page)]);
    if check {
        compare(root, &page)
    } else {
        write(root, &page)
    }
}

fn generated_files(root: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut operations = Vec::new();
    for service in &SERVICES {
        let path = root.join("api-model").join(service.model_file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let model: ServiceModel =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        operations.extend(model.operations.keys().cloned());
        let folder = Path::new(GENERATED).join(service.module);
        let mut modules = Vec::new();
        modules.extend(shapes::emit(&model)?);
        modules.extend(types::emit(&model)?);
        modules.push(contracts::emit(&model, service.variant)?);
        files.insert(folder.join("mod.rs"), source::module_list(&modules));
        for module in modules {
            files.insert(folder.join(format!("{}.rs", module.name)), module.text);
        }
    }
    let services: Vec<&str> = SERVICES.iter().map(|service| service.module).collect();
    let ids = operation_id::emit(&operations)?;
    files.insert(
        Path::new(GENERATED).join("mod.rs"),
        source::service_list(&services, &ids),
    );
    files.insert(
        Path::new(GENERATED).join(format!("{}.rs", ids.name)),
        ids.text,
    );
    for text in files.values_mut() {
        *text = rustfmt(text)?;
    }
    Ok(files)
}

fn rustfmt(text: &str) -> anyhow::Result<String> {
    use std::io::Write as _;
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("rustfmt cannot be started")?;
    let mut input = child
        .stdin
        .take()
        .context("rustfmt has no standard input")?;
    // Written from a thread of its own: both pipes are bounded, and rustfmt answers only at the end.
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().context("rustfmt")?;
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))?
        .context("rustfmt")?;
    ensure!(output.status.success(), "rustfmt refused generated code");
    String::from_utf8(output.stdout).context("rustfmt wrote no UTF-8")
}

fn api_page(root: &Path) -> anyhow::Result<String> {
    let output = Command::new(std::env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "cairn-api",
            "--example",
            "api_page",
        ])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "the program that writes {API_PAGE} failed"
    );
    String::from_utf8(output.stdout).context("the page is no UTF-8")
}

fn write(root: &Path, files: &Files) -> anyhow::Result<()> {
    for (path, text) in files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    for path in strays(root, files)? {
        std::fs::remove_file(root.join(path))?;
    }
    Ok(())
}

fn compare(root: &Path, files: &Files) -> anyhow::Result<()> {
    let mut stale: Vec<String> = Vec::new();
    for (path, text) in files {
        if std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    stale.extend(
        strays(root, files)?
            .iter()
            .map(|path| path.display().to_string()),
    );
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "not what `cargo xtask codegen` writes: {}",
        stale.join(", ")
    )
}

/// Files in the generated folder that no longer belong there.
fn strays(root: &Path, files: &Files) -> anyhow::Result<Vec<PathBuf>> {
    let mut strays = Vec::new();
    let Some(folder) = files.keys().find(|path| path.starts_with(GENERATED)) else {
        return Ok(strays);
    };
    ensure!(
        folder.starts_with(GENERATED),
        "generated files lie in one folder"
    );
    let mut folders = vec![PathBuf::from(GENERATED)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries {
            let path = folder.join(entry?.file_name());
            if root.join(&path).is_dir() {
                folders.push(path);
            } else if !files.contains_key(&path) {
                strays.push(path);
            }
        }
    }
    Ok(strays)
}
