//! Ways to damage a node's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files by their path below the data directory.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Damaged files, and what was done to them.
#[derive(Debug)]
pub(super) struct Mutation {
    pub(super) what: String,
    pub(super) files: Files,
}

/// Every file below the folder but locks and SQLite's shared memory, which a crash does not keep.
pub(super) fn read_folder(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let kind = path.extension().unwrap_or_default();
            if kind != "lock" && kind != "sqlite-shm" {
                let relative = path.strip_prefix(folder).expect("below it").to_owned();
                files.insert(relative, std::fs::read(&path).expect("it can be read"));
            }
        }
    }
    files
}

pub(super) fn write_folder(folder: &Path, files: &Files) {
    for (path, contents) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        std::fs::write(path, contents).expect("it can be written");
    }
}

/// Damages one file in a way that `below` chooses.
pub(super) fn mutate(
    files: &Files,
    earlier: &Files,
    below: &mut impl FnMut(usize) -> usize,
) -> Mutation {
    let paths: Vec<&PathBuf> = files
        .keys()
        .filter(|path| !files[*path].is_empty())
        .collect();
    // The catalog's two files are as likely as all of the others together. Its witness is one of the others:
    // damage there is no loss.
    let catalog: Vec<&PathBuf> = (paths.iter().copied())
        .filter(|path| path.to_string_lossy().starts_with("catalog"))
        .filter(|path| path.extension().is_none_or(|kind| kind != "changes"))
        .collect();
    let chosen = if below(2) == 0 { &catalog } else { &paths };
    let path = chosen[below(chosen.len())].clone();
    let mut changed = files[&path].clone();
    let what = match below(9) {
        0..=3 => {
            let offset = below(changed.len());
            changed[offset] ^= 1 << below(8);
            format!("bit flipped at {offset}")
        }
        4 => {
            changed.truncate(below(changed.len()));
            format!("cut to {}", changed.len())
        }
        5 => {
            let start = below(changed.len());
            let end = changed.len().min(start + 1 + below(5_000));
            changed[start..end].fill(0);
            format!("zeroed {start}..{end}")
        }
        6 => {
            let other = similar(&paths, &path, below);
            changed.clone_from(&files[other]);
            format!("is {}", other.display())
        }
        7 if earlier.contains_key(&path) => {
            changed.clone_from(&earlier[&path]);
            "replaced by an older copy".to_owned()
        }
        _ => {
            let mut files = files.clone();
            files.remove(&path);
            let what = format!("{}: lost", path.display());
            return Mutation { what, files };
        }
    };
    let what = format!("{}: {what}", path.display());
    let mut files = files.clone();
    files.insert(path, changed);
    Mutation { what, files }
}

/// Another file of the same kind, or the file itself if there is none.
fn similar<'p>(
    paths: &[&'p PathBuf],
    path: &'p PathBuf,
    below: &mut impl FnMut(usize) -> usize,
) -> &'p PathBuf {
    let alike: Vec<&PathBuf> = (paths.iter().copied())
        .filter(|other| other.extension() == path.extension() && *other != path)
        .collect();
    if alike.is_empty() {
        path
    } else {
        alike[below(alike.len())]
    }
}
