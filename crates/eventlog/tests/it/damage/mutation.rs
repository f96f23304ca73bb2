//! Ways to damage the files of a log, each with the records that it changes. Finds frames by the documented
//! byte layout, not by the log's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Damaged files, and which records the damage may and must cost.
#[derive(Debug)]
pub(super) struct Mutation {
    pub(super) description: String,
    pub(super) files: Files,
    pub(super) may_lose: BTreeSet<u64>,
    pub(super) must_lose: BTreeSet<u64>,
}

struct Frame {
    bytes: Range<usize>,
    sequences: Range<u64>,
}

/// Damages the files in a way that `below` chooses.
pub(super) fn mutate(
    files: &Files,
    earlier: &Files,
    below: &mut impl FnMut(usize) -> usize,
) -> Mutation {
    let paths: Vec<&PathBuf> = files.keys().collect();
    let path = paths[below(paths.len())].clone();
    match below(8) {
        0..=2 => flip(files, &path, below),
        3 => truncate(files, &path, below),
        4 => zero(files, &path, below),
        5 => swap(files, &paths, below),
        6 => stale(files, earlier, &path),
        _ => lose(files, &path),
    }
}

fn flip(files: &Files, path: &Path, below: &mut impl FnMut(usize) -> usize) -> Mutation {
    let mut changed = files[path].clone();
    // Half of the flips go where there are records, not into room that waits for them.
    let frames = frames_of(&changed);
    let offset = if below(2) == 0 && !frames.is_empty() {
        let bytes = &frames[below(frames.len())].bytes;
        bytes.start + below(bytes.len())
    } else {
        below(changed.len())
    };
    changed[offset] ^= 1 << below(8);
    changing(files, path, changed, &format!("bit flipped at {offset}"))
}

fn truncate(files: &Files, path: &Path, below: &mut impl FnMut(usize) -> usize) -> Mutation {
    let length = below(files[path].len());
    changing(
        files,
        path,
        files[path][..length].to_vec(),
        &format!("cut to {length}"),
    )
}

fn zero(files: &Files, path: &Path, below: &mut impl FnMut(usize) -> usize) -> Mutation {
    let mut changed = files[path].clone();
    let start = below(changed.len());
    let end = changed.len().min(start + 1 + below(10_000));
    changed[start..end].fill(0);
    changing(files, path, changed, &format!("zeroed {start}..{end}"))
}

// Two segments: overwriting the watermark as well would take away both witnesses of the end.
fn swap(files: &Files, paths: &[&PathBuf], below: &mut impl FnMut(usize) -> usize) -> Mutation {
    let segments: Vec<_> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "segment"))
        .collect();
    let path = segments[below(segments.len())];
    let other = segments[below(segments.len())];
    let what = format!("is {}", other.display());
    let mut mutation = changing(files, path, files[*other].clone(), &what);
    let back = changing(files, other, files[*path].clone(), "");
    mutation
        .files
        .insert((*other).clone(), files[*path].clone());
    mutation.may_lose.extend(back.may_lose);
    mutation.must_lose.extend(back.must_lose);
    mutation
}

fn stale(files: &Files, earlier: &Files, path: &Path) -> Mutation {
    let older = earlier.get(path).cloned().unwrap_or_default();
    changing(files, path, older, "replaced by an older copy")
}

fn lose(files: &Files, path: &Path) -> Mutation {
    let mut mutation = changing(files, path, Vec::new(), "lost");
    mutation.files.remove(path);
    mutation
}

// A frame may be lost if any of its bytes changed, and must be reported if its header or payload did.
fn changing(files: &Files, path: &Path, changed: Vec<u8>, what: &str) -> Mutation {
    let original = &files[path];
    let mut lost = BTreeSet::new();
    for frame in frames_of(original) {
        if changed.get(frame.bytes.clone()) != original.get(frame.bytes.clone()) {
            lost.extend(frame.sequences);
        }
    }
    let mut files = files.clone();
    files.insert(path.to_owned(), changed);
    let description = format!("{}: {what}", path.display());
    Mutation {
        description,
        files,
        may_lose: lost.clone(),
        must_lose: lost,
    }
}

fn frames_of(file: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for offset in (4096..file.len()).step_by(4096) {
        let Some(header) = file.get(offset..offset + 64) else {
            break;
        };
        if &header[..8] != b"\xF8CAIRNFR" {
            continue;
        }
        let first = u64::from_le_bytes(header[24..32].try_into().expect("eight bytes"));
        let count = u32::from_le_bytes(header[32..36].try_into().expect("four bytes"));
        let payload = u32::from_le_bytes(header[36..40].try_into().expect("four bytes"));
        let end = offset + 64 + usize::try_from(payload).expect("small");
        frames.push(Frame {
            bytes: offset..end,
            sequences: first..first + u64::from(count),
        });
    }
    frames
}
