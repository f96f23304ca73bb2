//! Where the lake's files lie: an object store over a folder, with the guarantees that a commit needs.
//!
//! Keys are relative to the bucket `cairn-lake`, for example `event-history/metadata/….json`; the address
//! of a key in Iceberg metadata is `s3://cairn-lake/<key>`. Objects are written once and never change.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_platform::{Disk as _, RealDisk};

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

    /// Part of the object, read on the calling thread, which must be one that may wait: a lookup holds
    /// such a thread already, and must not need a second one to go on.
    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// Keys that begin with `prefix`, which ends with `/`. In no order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Deletes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Bytes that can still be written before writes are refused.
    async fn room(&self) -> Result<u64, ObjectError> {
        Ok(u64::MAX)
    }

    /// Removes what writes that were cut off have left behind. Only the one writer may call this.
    async fn remove_unfinished(&self) -> Result<(), ObjectError> {
        Ok(())
    }
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
    /// The object ends before what was asked for.
    #[error("object {key} is shorter than it was")]
    CutOff {
        /// The key.
        key: String,
    },
    /// The key could lead out of the store.
    #[error("{key:?} cannot be an object key")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// The store has less room left than must stay free.
    #[error("no room for object {key}")]
    NoSpace {
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

impl ObjectError {
    /// The key of the object that could not be written or read.
    pub fn key(&self) -> &str {
        match self {
            Self::NotFound { key }
            | Self::CutOff { key }
            | Self::InvalidKey { key }
            | Self::NoSpace { key }
            | Self::Failed { key, .. } => key,
        }
    }
}

/// Objects as files in a folder.
#[derive(Debug)]
pub struct LocalObjects {
    root: PathBuf,
    free_bytes_min: u64,
}

impl LocalObjects {
    /// Opens the folder, making it if it is not there.
    pub fn open(root: PathBuf) -> Result<Self, ObjectError> {
        let made = create_private_folders(&root).and_then(|()| match root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
            _ => Ok(()),
        });
        made.map_err(|error| failure("creation", "/", &error))?;
        Ok(Self {
            root,
            free_bytes_min: 0,
        })
    }

    /// Refuses writes that would leave less room on the disk than this (R18).
    #[must_use]
    pub fn with_free_bytes_min(mut self, free_bytes_min: u64) -> Self {
        self.free_bytes_min = free_bytes_min;
        self
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
        let (free_bytes_min, size) = (self.free_bytes_min, bytes.len() as u64);
        let written = self.blocking("write", key, move |root, path| {
            if room_above(&root, free_bytes_min)? < size {
                return Err(io::ErrorKind::StorageFull.into());
            }
            write_durable(&root, &path, &bytes)
        });
        written.await.map_err(|error| match error {
            // A folder that goes away under a write is a failure of the store, not a missing object.
            ObjectError::NotFound { key } => ObjectError::Failed {
                operation: "write",
                key,
                reason: "the folder is gone".to_owned(),
            },
            other => other,
        })
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.blocking("read", key, |_, path| fs::read(path).map(Bytes::from))
            .await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let path = self.path(key)?;
        read_range(&path, &range).map_err(|error| failure("read", key, &error))
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

    async fn room(&self) -> Result<u64, ObjectError> {
        let free_bytes_min = self.free_bytes_min;
        self.blocking("free space query", ".room", move |root, _| {
            room_above(&root, free_bytes_min)
        })
        .await
    }

    async fn remove_unfinished(&self) -> Result<(), ObjectError> {
        self.blocking("clean-up", ".unfinished", |root, _| {
            let mut keys = Vec::new();
            list_files(&root, &root, &mut keys)?;
            for key in keys.iter().filter(|key| key.ends_with(TEMPORARY_SUFFIX)) {
                fs::remove_file(root.join(key))?;
                tracing::info!(object = key, "unfinished object removed");
            }
            Ok(())
        })
        .await
    }
}

fn failure(operation: &'static str, key: &str, error: &io::Error) -> ObjectError {
    let key = key.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => ObjectError::NotFound { key },
        io::ErrorKind::UnexpectedEof => ObjectError::CutOff { key },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ObjectError::NoSpace { key },
        _ => ObjectError::Failed {
            operation,
            key,
            reason: error.to_string(),
        },
    }
}

/// Bytes that may be written until only `free_bytes_min` are left.
fn room_above(root: &Path, free_bytes_min: u64) -> io::Result<u64> {
    let free = RealDisk::new().free_bytes(root);
    let free = free.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(free.saturating_sub(free_bytes_min))
}

/// Bytes first, then the name: a file under its final name is always whole. What a failed write leaves is
/// removed, so that tries on a full disk do not fill it with parts.
fn write_durable(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    make_folders(root, folder)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    let written = write_private(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: the next start removes what stays.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_directory(folder)
}

/// Writes a file that only its owner may read: these are audit records.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = options.mode(PRIVATE_FILE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

fn create_private_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(path)
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
        match DirBuilder::new().mode(PRIVATE_FOLDER).create(folder) {
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
