//! What a new node needs before anyone can call it: a master key, the default account with an
//! administrator, and the files in DATA_DIR that AWS's tools read.
//!
//! `credentials` is written before the account is committed: a crash in between leaves a file that the
//! next start replaces, never an account that nobody can enter.

mod recovery;

pub(crate) use recovery::recover;

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cairn_catalog::identity::{IdPrefix, IdentityKind, NewAccount, NewIdentity, new_unique_id};
use cairn_catalog::{Catalog, CatalogError, WriteTransaction};
use cairn_model::{AccountId, Region};
use cairn_platform::{Entropy, MasterKey, SealError};
use zeroize::Zeroizing;

use crate::iam::{IssuedKey, issue_access_key};
use crate::query_protocol::{QueryError, World};

/// The policy of the first administrator.
const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// The setting that says that the first start has been.
const STARTED: &str = "first-start.account";
/// A sealed text by which a start knows the key that everything else is sealed with.
const MASTER_KEY_CHECK: &str = "master-key.check";
const MASTER_KEY_CHECK_TEXT: &[u8] = b"sealed by the first start";
/// Where DATA_DIR has the event log.
pub(crate) const LOG_FOLDER: &str = "log";
const MASTER_KEY_FILE: &str = "master.key";
/// A key file holds 64 digits; anything much longer is another file.
const MASTER_KEY_FILE_BYTES_MAX: u64 = 1_024;

/// What a first start needs to know.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// Where the files go.
    pub data_dir: PathBuf,
    /// The account to make.
    pub account: AccountId,
    /// The name of its administrator.
    pub administrator: String,
    /// The Region that tools use unless told another.
    pub region: Region,
    /// Where the API answers.
    pub listen: SocketAddr,
    /// Where the S3 endpoint answers.
    pub s3_listen: SocketAddr,
    /// Whether both answer over TLS.
    pub tls: bool,
}

/// Why a node could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// A file of DATA_DIR cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
    /// The key file holds no master key.
    #[error("{path}: {reason}")]
    MasterKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: SealError,
    },
    /// The folder has had its first start with a key that is not there now. A new one would open nothing.
    #[error("{path}: the master key of this folder is missing; name its file or put it back")]
    NoMasterKey {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The key is not the one that the folder's secrets are sealed with.
    #[error("{path}: this is not the master key that the secrets of this folder are sealed with")]
    OtherMasterKey {
        /// Its file.
        path: PathBuf,
    },
    /// The folder has a log already: what it lacks is its catalog, not a first start.
    #[error(
        "{path} holds events, but the catalog beside it is new; put the catalog back or move the log away"
    )]
    NoCatalog {
        /// The log's folder.
        path: PathBuf,
    },
    /// The catalog refused or failed.
    #[error("{0}")]
    Catalog(CatalogError),
    /// The administrator's key could not be made.
    #[error("{0}")]
    Key(QueryError),
}

/// Makes the default account and its administrator unless an earlier start has, and writes `config`,
/// whose addresses follow those of this start. Gives the operator's account.
pub async fn ensure(world: &World, first: &FirstStart) -> Result<AccountId, FirstStartError> {
    let mut transaction = world
        .catalog
        .begin()
        .await
        .map_err(FirstStartError::Catalog)?;
    let started = transaction
        .setting(STARTED)
        .await
        .map_err(FirstStartError::Catalog)?;
    if started.is_none() {
        refuse_old_log(&first.data_dir)?;
        let account = NewAccount {
            account: first.account,
            name: "default".to_owned(),
        };
        transaction
            .create_account(account)
            .await
            .map_err(FirstStartError::Catalog)?;
        let key =
            create_administrator(world, &mut transaction, first.account, &first.administrator)
                .await?;
        write_private(
            &first.data_dir.join("credentials"),
            credentials_text(&key).as_bytes(),
        )?;
        mark_started(&mut transaction, first.account)
            .await
            .map_err(FirstStartError::Catalog)?;
        let check = world.master_key.seal(
            MASTER_KEY_CHECK,
            MASTER_KEY_CHECK_TEXT,
            world.entropy.as_ref(),
        );
        transaction
            .put_setting(MASTER_KEY_CHECK, &check)
            .await
            .map_err(FirstStartError::Catalog)?;
        transaction
            .commit()
            .await
            .map_err(FirstStartError::Catalog)?;
        tracing::info!(account.id = %first.account, "made the default account");
    }
    let config = first.data_dir.join("config");
    let held = match std::fs::read_to_string(&config) {
        Ok(held) => held,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        // Written anew, it would lose the sections that the operator keeps there.
        Err(error) => {
            return Err(FirstStartError::File {
                path: config,
                reason: error.to_string(),
            });
        }
    };
    let text = format!("{}{}", config_text(first), other_sections(&held));
    write_private(&config, text.as_bytes())?;
    let operator = operator_account(&world.catalog).await;
    Ok(operator
        .map_err(FirstStartError::Catalog)?
        .unwrap_or(first.account))
}

/// A log is made after the first start. Credentials and identities of another start must not replace those
/// that its events tell of.
fn refuse_old_log(data_dir: &Path) -> Result<(), FirstStartError> {
    let path = data_dir.join(LOG_FOLDER);
    let is_empty = match std::fs::read_dir(&path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            let reason = error.to_string();
            return Err(FirstStartError::File { path, reason });
        }
    };
    if is_empty {
        Ok(())
    } else {
        Err(FirstStartError::NoCatalog { path })
    }
}

/// Makes `account` the operator's account.
pub(crate) async fn mark_started(
    transaction: &mut WriteTransaction,
    account: AccountId,
) -> Result<(), CatalogError> {
    transaction
        .put_setting(STARTED, account.as_str().as_bytes())
        .await
}

/// The operator's account: the one that the first start made.
pub(crate) async fn operator_account(catalog: &Catalog) -> Result<Option<AccountId>, CatalogError> {
    let stored = catalog.setting(STARTED).await?;
    let text = stored.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Makes a user with `AdministratorAccess` and an access key in an account that has none yet.
pub(crate) async fn create_administrator(
    world: &World,
    transaction: &mut WriteTransaction,
    account: AccountId,
    name: &str,
) -> Result<IssuedKey, FirstStartError> {
    let mut edit = transaction.identities(account);
    let new = NewIdentity {
        id: new_unique_id(IdPrefix::User, world.entropy.as_ref()),
        kind: IdentityKind::User,
        name: name.to_owned(),
        path: "/".to_owned(),
        boundary_arn: None,
        role: None,
        tags: Vec::new(),
    };
    let user = edit
        .create_identity(new)
        .await
        .map_err(FirstStartError::Catalog)?;
    edit.attach_policy(&user, ADMINISTRATOR_ACCESS)
        .await
        .map_err(FirstStartError::Catalog)?;
    issue_access_key(world, &mut edit, Some(&user.id))
        .await
        .map_err(FirstStartError::Key)
}

/// The master key from the configured file, or from `DATA_DIR/master.key`, which is made before the first
/// start and never after it. A key beside the data that it protects protects nothing from whoever reads
/// the folder.
pub async fn open_master_key(
    catalog: &Catalog,
    data_dir: &Path,
    configured: Option<&Path>,
    entropy: &dyn Entropy,
) -> Result<MasterKey, FirstStartError> {
    let default = data_dir.join(MASTER_KEY_FILE);
    let path = configured.unwrap_or(&default);
    let setting = async |name: &'static str| {
        catalog
            .setting(name)
            .await
            .map_err(FirstStartError::Catalog)
    };
    let Some(key) = read_master_key(path)? else {
        let is_new = setting(STARTED).await?.is_none();
        // A configured file that is not there is a mistake even then.
        if !is_new || configured.is_some() {
            return Err(FirstStartError::NoMasterKey { path: path.into() });
        }
        let key = MasterKey::generate(entropy);
        let text = Zeroizing::new(format!("{}\n", key.to_hex().as_str()));
        write_private(path, text.as_bytes())?;
        return Ok(key);
    };
    let opened = match setting(MASTER_KEY_CHECK).await? {
        Some(check) => key.open(MASTER_KEY_CHECK, &check).is_ok(),
        None => true,
    };
    if opened {
        Ok(key)
    } else {
        Err(FirstStartError::OtherMasterKey { path: path.into() })
    }
}

fn read_master_key(path: &Path) -> Result<Option<MasterKey>, FirstStartError> {
    let failed = |error: std::io::Error| FirstStartError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let bad = |reason| FirstStartError::MasterKey {
        path: path.to_owned(),
        reason,
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if metadata.len() > MASTER_KEY_FILE_BYTES_MAX {
        return Err(bad(SealError::BadMasterKey));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    MasterKey::from_hex(&text).map(Some).map_err(bad)
}

/// The AWS credentials file.
pub(crate) fn credentials_text(key: &IssuedKey) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.key_id,
        key.secret.as_str()
    ))
}

/// The AWS config file: every service at the API's address, S3 at its own.
fn config_text(first: &FirstStart) -> String {
    let scheme = if first.tls { "https" } else { "http" };
    let api = reachable(first.listen);
    let s3 = reachable(first.s3_listen);
    let region = &first.region;
    format!(
        "[default]\nregion = {region}\noutput = json\nendpoint_url = {scheme}://{api}\n\
         services = cairn\ns3 =\n  addressing_style = path\n\n\
         [services cairn]\ns3 =\n  endpoint_url = {scheme}://{s3}\n"
    )
}

/// What people have added to the file: every section but the two that each start writes anew.
fn other_sections(held: &str) -> String {
    let mut kept = String::new();
    let mut ours = true;
    for line in held.lines() {
        if line.starts_with('[') {
            ours = matches!(line.trim(), "[default]" | "[services cairn]");
            if !ours {
                kept.push('\n');
            }
        }
        if !ours && !line.trim().is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The address that a client on this machine uses: one that listens everywhere is reached by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Writes a file that only its owner may read: whole and durable, or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FirstStartError> {
    stage_private(path, bytes)?;
    publish_private(path)
}

/// Writes such a file durably beside its place, where it takes nothing's place yet.
fn stage_private(path: &Path, bytes: &[u8]) -> Result<(), FirstStartError> {
    let failed = |error: std::io::Error| FirstStartError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let beside = beside(path);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    // A file that a crash left there keeps the mode that it had.
    file.set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Puts a staged file in its place.
fn publish_private(path: &Path) -> Result<(), FirstStartError> {
    let failed = |error: std::io::Error| FirstStartError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    std::fs::rename(beside(path), path).map_err(failed)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|f| f.sync_all())
        .map_err(failed)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
