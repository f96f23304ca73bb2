//! The file of one body (docs/formats/object-body.md).
//!
//! ```text
//! header (1,024 bytes): magic "CAIRNOBJ" · version u16 · length of the sealed key u16 ·
//!                       chunk size u32 · plain length u64 · sealed key · zeros ·
//!                       CRC-32C of everything before it u32         (numbers little-endian)
//! chunks: AES-256-GCM of up to 65,536 bytes each, tag (16) behind; the last may be shorter or empty
//! nonce:  zeros (7) · number of the chunk u32 big-endian · 1 for the last chunk, else 0
//! ```
//! Version 1 has a key that the master key sealed, version 2 one that the key of its object sealed.
//! The header is written last, so a file without one was never finished. Each key encrypts one body, so
//! counting nonces never repeat; the mark of the last chunk betrays a file that was cut at a chunk.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, File, OpenOptions, OpenOptionsExt as _};

use super::data_keys::{DataKey, PlainKey, SealedBy};
use crate::error::BucketsError;

/// Plain bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
const CHUNK: u64 = 64 * 1024;
const TAG: u64 = 16;
const MAGIC: &[u8; 8] = b"CAIRNOBJ";
/// The key is sealed by the node's master key.
const VERSION_MASTER_KEY: u16 = 1;
/// The key is sealed by the key of the object.
const VERSION_OBJECT_KEY: u16 = 2;
const HEADER_BYTES: usize = 1024;
const HEADER: u64 = 1024;
/// Where the wrapped key begins.
const KEY_START: usize = 24;
/// Where the header's checksum is.
const CRC_START: usize = HEADER_BYTES - 4;
/// Where the files are, below the store's folder.
const FOLDER: &str = "objects";

const _: () = assert!(CHUNK == CHUNK_BYTES as u64 && HEADER == HEADER_BYTES as u64);

/// The folder of all bodies. Names are made by us, so no caller's text ever comes here (H4).
#[derive(Debug)]
pub(super) struct BodyFolder {
    folder: Dir,
}

impl Clone for BodyFolder {
    fn clone(&self) -> Self {
        let folder = self.folder.try_clone();
        Self {
            folder: folder.expect("a descriptor can be had for a folder that is open"),
        }
    }
}

impl BodyFolder {
    /// Opens the folder below `store`. Blocks.
    pub(super) fn open(store: &Path) -> Result<Self, BucketsError> {
        let failed = || BucketsError::disk("opening the folder of bodies");
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true);
        builder.create(store).map_err(failed())?;
        let store = Dir::open_ambient_dir(store, ambient_authority()).map_err(failed())?;
        make_folder(&store, FOLDER).map_err(failed())?;
        let folder = store.open_dir(FOLDER).map_err(failed())?;
        for number in 0..=u8::MAX {
            make_folder(&folder, &format!("{number:02x}")).map_err(failed())?;
        }
        sync(&folder, ".").map_err(failed())?;
        sync(&store, ".").map_err(failed())?;
        Ok(Self { folder })
    }

    /// Removes a body. One that is gone already is as good. Blocks.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match self.folder.remove_file(path_of(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Names of the files that were last written before `before_ms`. Blocks.
    pub(super) fn older_than(&self, before_ms: i64) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for folder in self.folder.entries()? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in folder.open_dir()?.entries()? {
                let entry = entry?;
                let modified = entry.metadata()?.modified()?.into_std();
                let age = modified.duration_since(std::time::UNIX_EPOCH);
                let modified_ms = age.map_or(0, |age| age.as_millis());
                let name = entry.file_name().into_string();
                if let (true, Ok(name)) = (
                    i128::try_from(modified_ms).unwrap_or(i128::MAX) < i128::from(before_ms),
                    name,
                ) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }
}

fn make_folder(parent: &Dir, name: &str) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match parent.create_dir_with(name, &builder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn sync(parent: &Dir, name: &str) -> io::Result<()> {
    parent.open(name)?.sync_all()
}

/// The first two digits of a name are its folder.
fn path_of(name: &str) -> String {
    format!("{}/{name}", &name[..2])
}

/// A body that is being written. Dropped before it is finished, it leaves nothing.
pub(super) struct BodyWriter {
    bodies: BodyFolder,
    name: String,
    file: File,
    key: LessSafeKey,
    wrapped: Vec<u8>,
    sealed_by: SealedBy,
    pending: Vec<u8>,
    next_chunk: u32,
    plain_bytes: u64,
    is_finished: bool,
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl BodyWriter {
    /// Makes the file. Blocks.
    pub(super) fn create(bodies: BodyFolder, name: &str, key: &DataKey) -> io::Result<Self> {
        if key.wrapped.len() > CRC_START - KEY_START {
            return Err(io::Error::other("the wrapped key is too long"));
        }
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = bodies.folder.open_with(path_of(name), &options)?;
        file.seek(SeekFrom::Start(HEADER))?;
        Ok(Self {
            bodies,
            name: name.to_owned(),
            file,
            key: aead_key(&key.plain),
            wrapped: key.wrapped.clone(),
            sealed_by: key.sealed_by,
            pending: Vec::new(),
            next_chunk: 0,
            plain_bytes: 0,
            is_finished: false,
        })
    }

    /// Takes the next bytes. Blocks.
    pub(super) fn write(&mut self, mut plain: &[u8]) -> io::Result<()> {
        while !plain.is_empty() {
            // A full chunk waits for the byte that proves that it is not the last.
            if self.pending.len() == CHUNK_BYTES {
                self.seal(false)?;
            }
            let taken = plain.len().min(CHUNK_BYTES - self.pending.len());
            self.pending.extend_from_slice(&plain[..taken]);
            plain = &plain[taken..];
        }
        Ok(())
    }

    /// Writes the end and the header, and makes file and name durable. Blocks.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.seal(true)?;
        let header = self.header();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.sync_all()?;
        sync(&self.bodies.folder, &self.name[..2])?;
        self.is_finished = true;
        Ok(self.plain_bytes)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let length = u64::try_from(self.pending.len()).map_err(io::Error::other)?;
        let nonce = nonce(self.next_chunk, is_last);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(MAGIC), &mut self.pending)
            .map_err(io::Error::other)?;
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        let next = self.next_chunk.checked_add(1);
        self.next_chunk = next.ok_or_else(|| io::Error::other("too many chunks"))?;
        self.plain_bytes += length;
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let key_length = u16::try_from(self.wrapped.len()).expect("checked when it was made");
        let chunk = u32::try_from(CHUNK_BYTES).expect("a constant that fits");
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        let version = match self.sealed_by {
            SealedBy::MasterKey => VERSION_MASTER_KEY,
            SealedBy::ObjectKey => VERSION_OBJECT_KEY,
        };
        header.extend_from_slice(&version.to_le_bytes());
        header.extend_from_slice(&key_length.to_le_bytes());
        header.extend_from_slice(&chunk.to_le_bytes());
        header.extend_from_slice(&self.plain_bytes.to_le_bytes());
        header.extend_from_slice(&self.wrapped);
        header.resize(CRC_START, 0);
        let crc = crc32c::crc32c(&header);
        header.extend_from_slice(&crc.to_le_bytes());
        header
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stays is swept away later.
            let _ = self.bodies.remove(&self.name);
        }
    }
}

/// A body whose header is sound and whose key is still wrapped.
#[derive(Debug)]
pub(super) struct SealedBody {
    name: String,
    file: File,
    plain_bytes: u64,
    pub(super) wrapped: Vec<u8>,
    pub(super) sealed_by: SealedBy,
}

impl SealedBody {
    /// Opens a body that has `plain_bytes`. Blocks.
    pub(super) fn open(
        bodies: &BodyFolder,
        name: &str,
        plain_bytes: u64,
    ) -> Result<Self, BucketsError> {
        let damaged = |reason| BucketsError::Damaged {
            file: name.to_owned(),
            reason,
        };
        let mut file = match bodies.folder.open(path_of(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("its file is missing"));
            }
            Err(error) => return Err(BucketsError::disk("opening a body")(error)),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        let read = Read::by_ref(&mut file).take(HEADER).read_to_end(&mut bytes);
        read.map_err(BucketsError::disk("reading a body"))?;
        let header = Header::read(&bytes).map_err(damaged)?;
        let metadata = file.metadata();
        let length = metadata
            .map_err(BucketsError::disk("reading a body"))?
            .len();
        if header.plain_bytes != plain_bytes || length != file_length(plain_bytes) {
            return Err(damaged("its length is not the one it had"));
        }
        Ok(Self {
            name: name.to_owned(),
            file,
            plain_bytes,
            wrapped: header.wrapped,
            sealed_by: header.sealed_by,
        })
    }

    /// The body, readable.
    pub(super) fn unseal(self, key: &PlainKey) -> BodyReader {
        BodyReader {
            name: self.name,
            file: self.file,
            plain_bytes: self.plain_bytes,
            key: aead_key(key),
        }
    }
}

/// What the header of a body says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    plain_bytes: u64,
    wrapped: Vec<u8>,
    sealed_by: SealedBy,
}

impl Header {
    /// Reads the header from the beginning of a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.first_chunk().ok_or("it is shorter than its header")?;
        let (start, crc) = bytes.split_at(CRC_START);
        if !start.starts_with(MAGIC) {
            return Err("it does not begin as a body does");
        }
        if crc32c::crc32c(start).to_le_bytes() != crc {
            return Err("the checksum of its header is wrong");
        }
        let number = |at: usize| u16::from_le_bytes([start[at], start[at + 1]]);
        let (version, key_length) = (number(8), usize::from(number(10)));
        let chunk = u32::from_le_bytes([start[12], start[13], start[14], start[15]]);
        let sealed_by = match version {
            VERSION_MASTER_KEY => SealedBy::MasterKey,
            VERSION_OBJECT_KEY => SealedBy::ObjectKey,
            _ => return Err("it is of a version that is not known"),
        };
        if usize::try_from(chunk) != Ok(CHUNK_BYTES) {
            return Err("its chunks are of a size that is not known");
        }
        let mut length = [0; 8];
        length.copy_from_slice(&start[16..KEY_START]);
        let wrapped = start.get(KEY_START..KEY_START + key_length);
        Ok(Self {
            plain_bytes: u64::from_le_bytes(length),
            wrapped: wrapped.ok_or("its key is too long")?.to_vec(),
            sealed_by,
        })
    }
}

/// A body that can be read at any place.
pub(super) struct BodyReader {
    name: String,
    file: File,
    plain_bytes: u64,
    key: LessSafeKey,
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl BodyReader {
    /// The bytes from `offset` to the end of their chunk, every one of them verified. Blocks.
    pub(super) fn read_chunk_at(&mut self, offset: u64) -> Result<Bytes, BucketsError> {
        let chunk = offset / CHUNK;
        let start = chunk * CHUNK;
        let plain = (self.plain_bytes - start).min(CHUNK);
        let is_last = start + plain == self.plain_bytes;
        let failed = || BucketsError::disk("reading a body");
        let place = HEADER + chunk * (CHUNK + TAG);
        self.file.seek(SeekFrom::Start(place)).map_err(failed())?;
        let mut sealed = Vec::new();
        let read = Read::by_ref(&mut self.file)
            .take(plain + TAG)
            .read_to_end(&mut sealed);
        read.map_err(failed())?;
        let damaged = || BucketsError::Damaged {
            file: self.name.clone(),
            reason: "a chunk is not what was written",
        };
        let number = u32::try_from(chunk).map_err(|_| damaged())?;
        let opened = self
            .key
            .open_in_place(nonce(number, is_last), Aad::from(MAGIC), &mut sealed)
            .map_err(|_| damaged())?
            .len();
        sealed.truncate(opened);
        let skipped = usize::try_from(offset - start).map_err(|_| damaged())?;
        Ok(Bytes::from(sealed).slice(skipped.min(opened)..))
    }
}

/// Reads bytes as the file of a body with a key of zeros. Gives how many plain bytes opened.
#[cfg(any(test, fuzzing))]
pub(crate) fn open_as_body(bytes: &[u8]) -> usize {
    let Ok(header) = Header::read(bytes) else {
        return 0;
    };
    let key = aead_key(&PlainKey::default());
    let mut opened = 0;
    let chunks = bytes[HEADER_BYTES..].chunks(CHUNK_BYTES + 16);
    let last = header.plain_bytes.div_ceil(CHUNK).max(1) - 1;
    for (number, chunk) in (0_u32..).zip(chunks) {
        let nonce = nonce(number, u64::from(number) == last);
        let mut sealed = chunk.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(MAGIC), &mut sealed);
        opened += plain.map_or(0, |plain| plain.len());
    }
    opened
}

fn file_length(plain_bytes: u64) -> u64 {
    let chunks = plain_bytes.div_ceil(CHUNK).max(1);
    HEADER + plain_bytes + chunks * TAG
}

fn aead_key(plain: &PlainKey) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, plain.as_slice());
    LessSafeKey::new(key.expect("the key has the cipher's length"))
}

fn nonce(chunk: u32, is_last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[7..11].copy_from_slice(&chunk.to_be_bytes());
    bytes[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests;
