//! Files in a folder that mirrors a bucket: keys are paths below it (REC-295). What a bucket keeps as metadata
//! stands beside each digest in `FILE.metadata.json`, either the metadata itself or an answer of HeadObject:
//!
//! ```text
//! {"signature": "…", "signature-algorithm": "SHA256withRSA"}
//! {"Metadata": {"signature": "…", "signature-algorithm": "SHA256withRSA"}, …}
//! ```

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cairn_integrity::{FetchedDigest, LogFileEntry, LogFileFault, LogFileHash, SIZE_LIMITS};
use serde_json::Value;

use super::source::{DIGEST_BYTES_MAX, DigestAnswer};

const SIDECAR_ENDING: &str = ".metadata.json";
const STEP_BYTES: usize = 64 * 1024;

/// A copy of one bucket.
#[derive(Debug)]
pub(super) struct FolderSource {
    root: PathBuf,
    bucket: String,
}

impl FolderSource {
    pub(super) fn new(root: &Path, bucket: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(root.is_dir(), "{} is not a folder", root.display());
        Ok(Self {
            root: root.to_owned(),
            bucket: bucket.to_owned(),
        })
    }

    pub(super) fn keys(
        &self,
        bucket: &str,
        prefix: &str,
        marker: &str,
        is_beyond: &(dyn Fn(&str) -> bool + Sync),
    ) -> anyhow::Result<Vec<String>> {
        self.ensure_mirrored(bucket)?;
        // A prefix may end within a name; the folder that it lies in is searched.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut keys = Vec::new();
        if let Some(path) = self.path(folder) {
            collect(&path, folder, &mut keys)?;
        }
        keys.retain(|key| {
            key.starts_with(prefix)
                && key.as_str() > marker
                && !key.ends_with(SIDECAR_ENDING)
                && !is_beyond(key)
        });
        keys.sort_unstable();
        Ok(keys)
    }

    pub(super) fn digest(&self, bucket: &str, key: &str) -> anyhow::Result<DigestAnswer> {
        self.ensure_mirrored(bucket)?;
        let Some(file) = self.path(key).filter(|path| path.is_file()) else {
            return Ok(DigestAnswer::NotFound);
        };
        let unreadable = || format!("cannot read {}", file.display());
        let mut packed = Vec::new();
        let opened = std::fs::File::open(&file).with_context(unreadable)?;
        let read = opened.take(DIGEST_BYTES_MAX + 1).read_to_end(&mut packed);
        let length = u64::try_from(read.with_context(unreadable)?)?;
        anyhow::ensure!(
            length <= DIGEST_BYTES_MAX,
            "{}: too long for a digest",
            file.display()
        );
        let mut fetched = FetchedDigest {
            packed,
            signature: None,
            signature_algorithm: None,
            backfill_generation: None,
        };
        let mut sidecar = file.clone().into_os_string();
        sidecar.push(SIDECAR_ENDING);
        let text = match std::fs::read(&sidecar) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(DigestAnswer::Unsigned(fetched));
            }
            Err(error) => return Err(error).with_context(unreadable),
        };
        let unusable = || format!("{} is not JSON", Path::new(&sidecar).display());
        let answer: Value = serde_json::from_slice(&text).with_context(unusable)?;
        let metadata = answer.get("Metadata").unwrap_or(&answer);
        let entry = |name: &str| metadata[name].as_str().map(str::to_owned);
        fetched.signature = entry("signature");
        fetched.signature_algorithm = entry("signature-algorithm");
        fetched.backfill_generation = entry("backfill-generation-timestamp");
        Ok(DigestAnswer::There(fetched))
    }

    pub(super) fn check(&self, entry: &LogFileEntry) -> anyhow::Result<Result<(), LogFileFault>> {
        self.ensure_mirrored(&entry.bucket)?;
        let Some(file) = self.path(&entry.object).filter(|path| path.is_file()) else {
            return Ok(Err(LogFileFault::NotFound));
        };
        let unreadable = || format!("cannot read {}", file.display());
        let mut opened = std::fs::File::open(&file).with_context(unreadable)?;
        let mut hash = LogFileHash::new(SIZE_LIMITS);
        let mut step = vec![0; STEP_BYTES];
        loop {
            let count = opened.read(&mut step).with_context(unreadable)?;
            if count == 0 {
                return Ok(hash.finish(&entry.hash_value));
            }
            if let Err(fault) = hash.update(&step[..count]) {
                return Ok(Err(fault));
            }
        }
    }

    fn ensure_mirrored(&self, bucket: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            bucket == self.bucket,
            "the chain leads into bucket {bucket}, and the folder is a copy of {}: validate that bucket's copy \
             by itself",
            self.bucket
        );
        Ok(())
    }

    /// The path of a key; `None` for keys that are no path below the folder.
    fn path(&self, key: &str) -> Option<PathBuf> {
        let mut path = self.root.clone();
        for part in key.split('/').filter(|_| !key.is_empty()) {
            if matches!(part, "" | "." | "..") || part.contains(['\\', '\0']) {
                return None;
            }
            path.push(part);
        }
        Some(path)
    }
}

/// The keys of all files below `path`, whose own key is `folder`. Links are not followed.
fn collect(path: &Path, folder: &str, keys: &mut Vec<String>) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(unreadable)?,
    };
    for entry in entries {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let key = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type().with_context(unreadable)?;
        if kind.is_dir() {
            collect(&entry.path(), &key, keys)?;
        } else if kind.is_file() {
            keys.push(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: H4
    #[test]
    fn no_key_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("mirror");
        std::fs::create_dir_all(inside.join("a")).expect("a folder");
        std::fs::write(folder.path().join("secret"), b"x").expect("a file");
        std::fs::write(inside.join("a/log"), b"x").expect("a file");
        let source = FolderSource::new(&inside, "b").expect("a folder");
        let check = |bucket: &str, object: &str| {
            let entry = LogFileEntry {
                bucket: bucket.to_owned(),
                object: object.to_owned(),
                hash_value: String::new(),
                newest_event: None,
                oldest_event: None,
            };
            source.check(&entry)
        };
        let absolute = folder.path().join("secret").display().to_string();
        for key in [
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            "a//log",
            "./a/log",
            &absolute,
        ] {
            let outcome = check("b", key).expect("a verdict");
            assert_eq!(outcome, Err(LogFileFault::NotFound), "{key}");
        }
        assert_eq!(
            check("b", "a/log").expect("a verdict"),
            Err(LogFileFault::Hash)
        );
        assert!(
            check("other", "a/log").is_err(),
            "another bucket is not mirrored"
        );
        let keys = source.keys("b", "a/l", "", &|_| false).expect("keys");
        assert_eq!(keys, ["a/log"]);
    }
}
