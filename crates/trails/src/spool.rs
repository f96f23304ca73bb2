//! The spool: bytes that are decided and not yet everywhere they belong. A file is complete and durable before the
//! catalog learns its name; what the catalog does not know is of a cut that never was, and goes at the next start.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_platform::{Disk, DiskError, Entropy};

use crate::error::TrailsError;
use crate::log_file::sha256_of;

/// How the names of damaged files begin.
const ASIDE: &str = "damaged-";
/// How the names of quarantined records begin.
const QUARANTINED: &str = "unreadable-";

/// Files under names that nothing else has.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    entropy: Arc<dyn Entropy>,
}

impl Spool {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DiskError> {
        disk.create_dir_all(folder)?;
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            entropy,
        })
    }

    /// A name for a new file.
    pub(crate) fn new_name(&self) -> String {
        format!("{}.json.gz", self.entropy.uuid())
    }

    /// Writes at the end of a file, which is `length` bytes long; makes it if that is 0. Not durable yet.
    pub(crate) fn append(&self, name: &str, length: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.folder.join(name);
        let file = if length == 0 {
            self.disk.create_new(&path)?
        } else {
            self.disk.open(&path)?
        };
        file.write_all_at(bytes, length)
    }

    /// Makes the bytes of a file durable. Its name is so only after [`Spool::sync_names`].
    pub(crate) fn sync(&self, name: &str) -> Result<(), DiskError> {
        self.disk.open(&self.folder.join(name))?.fdatasync()
    }

    /// Makes the names of all files durable.
    pub(crate) fn sync_names(&self) -> Result<(), DiskError> {
        self.disk.sync_dir(&self.folder)
    }

    /// A whole file of a known size and hash, read twice before it counts as damaged. One that was set aside is
    /// damaged for everybody else; one that is not there may come back with its disk.
    pub(crate) fn read_checked(
        &self,
        name: &str,
        bytes: u64,
        sha256: &[u8; 32],
    ) -> Result<Vec<u8>, TrailsError> {
        let read = || {
            let found = self.read(name, bytes)?;
            if sha256_of(&found) == *sha256 {
                Ok(found)
            } else {
                Err(damaged(name))
            }
        };
        match read() {
            Err(TrailsError::SpoolDamaged { .. }) => read(),
            Err(TrailsError::Spool(DiskError::NotFound { .. })) if self.is_set_aside(name) => {
                Err(damaged(name))
            }
            done => done,
        }
    }

    /// Keeps a damaged file for whoever wants to know what became of it.
    pub(crate) fn set_aside(&self, name: &str) {
        match self.disk.rename(&self.folder.join(name), &self.aside(name)) {
            // Somebody else who needs it has done so.
            Ok(()) | Err(DiskError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(file = name, %error, "a damaged file could not be set aside");
            }
        }
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{ASIDE}{name}"))
    }

    fn is_set_aside(&self, name: &str) -> bool {
        self.disk.open(&self.aside(name)).is_ok()
    }

    /// Keeps a record that nobody can read, durably. One that is there already is kept.
    pub(crate) fn quarantine(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let name = format!("{QUARANTINED}{name}");
        let path = self.folder.join(&name);
        match self.disk.open(&path) {
            Ok(file) if file.len()? == bytes.len() as u64 => return Ok(()),
            // Of a write that was cut short.
            Ok(_) => self.disk.unlink(&path)?,
            Err(DiskError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        self.append(&name, 0, bytes)?;
        self.sync(&name)?;
        self.sync_names()
    }

    /// Room on its disk.
    pub(crate) fn free_bytes(&self) -> Result<u64, DiskError> {
        self.disk.free_bytes(&self.folder)
    }

    fn read(&self, name: &str, bytes: u64) -> Result<Vec<u8>, TrailsError> {
        let damaged = || damaged(name);
        let file = self.disk.open(&self.folder.join(name))?;
        if file.len()? != bytes {
            return Err(damaged());
        }
        let length = usize::try_from(bytes).map_err(|_| damaged())?;
        let mut read = vec![0; length];
        if file.read_full_at(&mut read, 0)? == length {
            Ok(read)
        } else {
            Err(damaged())
        }
    }

    /// Removes a file that nobody needs. One that stays behind goes at the next start.
    pub(crate) fn remove(&self, name: &str) {
        match self.disk.unlink(&self.folder.join(name)) {
            Ok(()) | Err(DiskError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(file = name, %error, "a spooled file could not be removed");
            }
        }
    }

    /// Removes every file but those that `known` names.
    pub(crate) fn sweep(&self, known: &HashSet<String>) -> Result<usize, DiskError> {
        let mut removed = 0;
        for name in self.disk.list(&self.folder)? {
            let is_kept = name.starts_with(ASIDE) || name.starts_with(QUARANTINED);
            if !known.contains(&name) && !is_kept {
                self.remove(&name);
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn damaged(name: &str) -> TrailsError {
    TrailsError::SpoolDamaged {
        name: name.to_owned(),
    }
}
