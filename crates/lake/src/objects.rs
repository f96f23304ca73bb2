//! Where the lake's files lie: an object store over a folder, with the guarantees that a commit needs.
//!
//! Keys are relative to the bucket `cairn-lake`, for example `event-history/metadata/….json`; the address
//! of a key in Iceberg metadata is `s3://cairn-lake/<key>`. Objects are written once and never change.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

/// Every location in table metadata begins with this.
pub const LOCATION_PREFIX: &str = "s3://cairn-lake/";

/// The address of an object as table metadata writes it.
pub fn location_of(key: &str) -> String {
    format!("{LOCATION_PREFIX}{key}")
}

/// The object key of an address; none if it lies elsewhere.
pub fn key_of(location: &str) -> Option<&str> {
    location.strip_prefix(LOCATION_PREFIX)
}

/// An object store for immutable objects.
#[async_trait]
pub trait Objects: Send + Sync + fmt::Debug {
    /// Writes an object. When this returns `Ok`, the bytes and the name survive a power loss. After an
    /// error the object may exist or not. The same key is only ever written with the same bytes.
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// The whole object.
    async fn get(&self, key: &str) -> Result<Bytes, ObjectError>;

    /// Part of the object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// Part of the object, for a caller whose thread may block: a store on this machine reads at once
    /// instead of handing the work to another thread.
    async fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.get_range(key, range).await
    }

    /// Keys that begin with `prefix`, which ends with `/`. In no order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Deletes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
}

/// Why an object could not be written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no object {key}")]
    NotFound {
        /// The key.
        key: String,
    },
    /// The key could lead out of the store.
    #[error("{key:?} cannot be an object key")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// The store failed.
    #[error("{operation} of object {key} failed: {reason}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The key.
        key: String,
        /// The store's answer.
        reason: String,
    },
}

/// Objects as files in a folder.
#[derive(Debug)]
pub struct LocalObjects {
    root: PathBuf,
}

impl LocalObjects {
    /// Opens the folder, making it if it is not there.
    pub fn open(root: PathBuf) -> Result<Self, ObjectError> {
        let made = fs::create_dir_all(&root).and_then(|()| match root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
            _ => Ok(()),
        });
        made.map_err(|error| failure("creation", "/", &error))?;
        Ok(Self { root })
    }

    fn path(&self, key: &str) -> Result<PathBuf, ObjectError> {
        let path = Path::new(key);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !plain || key.contains(['\0', '\\']) {
            return Err(ObjectError::InvalidKey {
                key: key.to_owned(),
            });
        }
        Ok(self.root.join(path))
    }

    async fn blocking<T, F>(
        &self,
        operation: &'static str,
        key: &str,
        work: F,
    ) -> Result<T, ObjectError>
    where
        T: Send + 'static,
        F: FnOnce(PathBuf, PathBuf) -> io::Result<T> + Send + 'static,
    {
        let (root, path) = (self.root.clone(), self.path(key)?);
        let done = tokio::task::spawn_blocking(move || work(root, path)).await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failure(operation, key, &error)),
            Err(stopped) => Err(ObjectError::Failed {
                operation,
                key: key.to_owned(),
                reason: stopped.to_string(),
            }),
        }
    }
}

#[async_trait]
impl Objects for LocalObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.blocking("write", key, move |root, path| {
            write_durable(&root, &path, &bytes)
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.blocking("read", key, |_, path| fs::read(path).map(Bytes::from))
            .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.blocking("read", key, move |_, path| read_range(&path, &range))
            .await
    }

    async fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        read_range(&self.path(key)?, &range).map_err(|error| failure("read", key, &error))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let folder = prefix.trim_end_matches('/');
        self.blocking("listing", folder, |root, path| {
            let mut keys = Vec::new();
            list_files(&root, &path, &mut keys)?;
            Ok(keys)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.blocking("deletion", key, |_, path| match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
        .await
    }
}

fn failure(operation: &'static str, key: &str, error: &io::Error) -> ObjectError {
    let key = key.to_owned();
    if error.kind() == io::ErrorKind::NotFound {
        ObjectError::NotFound { key }
    } else {
        ObjectError::Failed {
            operation,
            key,
            reason: error.to_string(),
        }
    }
}

/// Bytes first, then the name: a file under its final name is always whole. The temporary name is the
/// final one with a suffix, so that a second try of the same object starts over.
fn write_durable(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    make_folders(root, folder)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_directory(folder)
}

const TEMPORARY_SUFFIX: &str = ".writing";

/// Makes the missing folders below `root` and syncs each new name into its parent.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = folder;
    while at != root && !at.is_dir() {
        missing.push(at);
        let Some(parent) = at.parent() else { break };
        at = parent;
    }
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_directory(folder.parent().unwrap_or(root))?,
        }
    }
    Ok(())
}

fn sync_directory(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_range(path: &Path, range: &Range<u64>) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let length = range.end.saturating_sub(range.start);
    let available = file.metadata()?.len().saturating_sub(range.start);
    if length > available {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the object ends before the range",
        ));
    }
    let length = usize::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the range is too large"))?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut buffer = vec![0; length];
    file.read_exact(&mut buffer)?;
    Ok(Bytes::from(buffer))
}

fn list_files(root: &Path, folder: &Path, keys: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list_files(root, &path, keys)?;
        } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            keys.push(key.to_owned());
        }
    }
    Ok(())
}
