//! Objects as files of a folder. Keys are checked before they touch the file system, and the folder is
//! opened as a capability: no key, symbolic link or race leads outside it (H4).

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};

/// S3's bound on the length of a key, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// A key that names a file below the folder: parts of letters, digits and `-_.=+,@~%` joined by `/`,
/// none of them empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// A key that no object of this endpoint can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no object can have this key")]
pub struct ObjectKeyError;

impl ObjectKey {
    /// Checks a key as received, after percent-decoding.
    pub fn parse(text: &str) -> Result<Self, ObjectKeyError> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.=+,@~%".contains(&c);
        let part_is_plain =
            |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
        if text.len() <= KEY_BYTES_MAX && text.split('/').all(part_is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ObjectKeyError)
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredObjectsError {
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// The file system failed.
    #[error("reading {what} failed: {reason}")]
    Disk {
        /// What was being read.
        what: String,
        /// The file system's answer.
        reason: io::Error,
    },
}

/// What S3 tells about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectFacts {
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

impl ObjectFacts {
    fn of(key: String, metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std);
        Self {
            key,
            bytes: metadata.len(),
            modified,
        }
    }

    /// Objects of the lake are written once, so length and time of writing identify the contents.
    pub(crate) fn entity_tag(&self) -> String {
        let nanos = self
            .modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since_epoch| since_epoch.as_nanos());
        format!("{:x}-{nanos:x}", self.bytes)
    }
}

/// A folder of objects that are written once and read by key.
#[derive(Debug)]
pub struct StoredObjects {
    folder: Dir,
}

impl StoredObjects {
    /// Opens a folder that exists.
    pub fn open(folder: &Path) -> Result<Self, StoredObjectsError> {
        let folder = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|reason| {
            StoredObjectsError::Disk {
                what: folder.display().to_string(),
                reason,
            }
        })?;
        Ok(Self { folder })
    }

    /// When the folder was made, as far as the file system tells.
    pub(crate) fn created(&self) -> Option<SystemTime> {
        let metadata = self.folder.dir_metadata().ok()?;
        let time = metadata.created().or_else(|_| metadata.modified()).ok()?;
        Some(time.into_std())
    }

    /// Opens an object. Blocks: call off the async threads.
    pub(crate) fn object(&self, key: &ObjectKey) -> Result<StoredObject, StoredObjectsError> {
        if is_unfinished(key.as_str()) {
            return Err(StoredObjectsError::NotFound);
        }
        let file = self
            .folder
            .open(key.as_str())
            .map_err(|reason| failure(key.as_str(), reason))?;
        let metadata = file
            .metadata()
            .map_err(|reason| failure(key.as_str(), reason))?;
        if !metadata.is_file() {
            return Err(StoredObjectsError::NotFound);
        }
        Ok(StoredObject {
            facts: ObjectFacts::of(key.as_str().to_owned(), &metadata),
            file,
        })
    }

    /// The entries of one folder below the root (`""` or a path that ends in `/`), in the order of the
    /// keys they stand for: a folder counts as its name with `/` behind it. Blocks.
    pub(crate) fn folder_entries(
        &self,
        path: &str,
    ) -> Result<Vec<FolderEntry>, StoredObjectsError> {
        let read = if path.is_empty() {
            self.folder.entries()
        } else {
            self.folder.read_dir(path)
        };
        let entries = match read {
            Ok(entries) => entries,
            // Gone since its parent was listed, or never there: nothing to list.
            Err(reason) if is_absent(&reason) => return Ok(Vec::new()),
            Err(reason) => return Err(failure(path, reason)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|reason| failure(path, reason))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let key = format!("{path}{name}");
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    found.push(FolderEntry::Folder(format!("{key}/")));
                }
                Ok(metadata)
                    if metadata.is_file()
                        && !is_unfinished(&key)
                        && ObjectKey::parse(&key).is_ok() =>
                {
                    found.push(FolderEntry::Object(ObjectFacts::of(key, &metadata)));
                }
                Ok(_) => {}
                Err(reason) if is_absent(&reason) => {}
                Err(reason) => return Err(failure(&key, reason)),
            }
        }
        found.sort_by(|a, b| a.key().cmp(b.key()));
        Ok(found)
    }
}

/// One entry of a folder.
#[derive(Debug)]
pub(crate) enum FolderEntry {
    /// A folder's path, ending in `/`.
    Folder(String),
    /// An object.
    Object(ObjectFacts),
}

impl FolderEntry {
    fn key(&self) -> &str {
        match self {
            Self::Folder(path) => path,
            Self::Object(facts) => &facts.key,
        }
    }
}

/// An open object.
#[derive(Debug)]
pub(crate) struct StoredObject {
    pub(crate) facts: ObjectFacts,
    file: File,
}

impl StoredObject {
    /// Reads up to `length` bytes at `offset`; an empty answer is the end. Blocks.
    pub(crate) fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut buffer = Vec::with_capacity(length);
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        self.file.by_ref().take(limit).read_to_end(&mut buffer)?;
        Ok(buffer.into())
    }
}

/// What the name of an object ends in while it is written: it gets its own when it is whole, and is no
/// object before.
const UNFINISHED_SUFFIX: &str = ".writing";

fn is_unfinished(key: &str) -> bool {
    key.ends_with(UNFINISHED_SUFFIX)
}

fn is_absent(reason: &io::Error) -> bool {
    matches!(
        reason.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn failure(what: &str, reason: io::Error) -> StoredObjectsError {
    if is_absent(&reason) {
        StoredObjectsError::NotFound
    } else {
        StoredObjectsError::Disk {
            what: what.to_owned(),
            reason,
        }
    }
}
