-- Trails: what their owners chose, version by version, and how far delivery has come.

CREATE TABLE trails (
    account     TEXT NOT NULL REFERENCES accounts (account),
    home_region TEXT NOT NULL,
    name        TEXT NOT NULL,
    trail_id    TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (account, home_region, name)
) STRICT, WITHOUT ROWID;

-- Never changed. A version without a document is the end of its trail. Versions live until the
-- readers of the log have passed the control records of later ones.
CREATE TABLE trail_versions (
    trail_id TEXT NOT NULL,
    version  INTEGER NOT NULL CHECK (version > 0),
    document TEXT,
    PRIMARY KEY (trail_id, version)
) STRICT, WITHOUT ROWID;

-- Tags of CloudTrail's resources, by the resource's ARN.
CREATE TABLE resource_tags (
    account TEXT NOT NULL REFERENCES accounts (account),
    arn     TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, arn, key)
) STRICT, WITHOUT ROWID;

-- Every record before the position is in a recorded file, or belongs to no trail.
CREATE TABLE trail_positions (
    partition_id INTEGER NOT NULL PRIMARY KEY,
    position     INTEGER NOT NULL CHECK (position >= 0)
) STRICT;

-- The version of each trail that counts at the position; of a trail that has ended, its end.
CREATE TABLE trail_applied (
    partition_id INTEGER NOT NULL,
    trail_id     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (partition_id, trail_id)
) STRICT, WITHOUT ROWID;

-- Chains of digests, of which a trail has one for each account and Region while its log files are
-- validated. The window is open from window_start_ms on; the previous digest is null before the
-- first.
CREATE TABLE digest_chains (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    trail_id           TEXT NOT NULL,
    -- The trail's version when the chain was opened, or last changed.
    version            INTEGER NOT NULL,
    account            TEXT NOT NULL,
    region             TEXT NOT NULL,
    window_start_ms    INTEGER NOT NULL,
    previous_bucket    TEXT,
    previous_key       TEXT,
    previous_hash      TEXT,
    previous_signature TEXT,
    -- Set when logging or validation ended: one last digest is due once all its files are
    -- delivered.
    closing_ms         INTEGER
) STRICT;
CREATE INDEX digest_chains_by_place ON digest_chains (trail_id, account, region);
CREATE UNIQUE INDEX digest_chains_open ON digest_chains (trail_id, account, region)
    WHERE closing_ms IS NULL;

-- Log files and digests that are decided: key and bytes never change from here on. A row goes when
-- its bucket has the object and, for a log file of a chain, a signed digest lists it.
CREATE TABLE trail_files (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    trail_id        TEXT NOT NULL,
    version         INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('log', 'digest')),
    -- The chain whose digest is to list a log file, if one is to.
    chain_id        INTEGER REFERENCES digest_chains (id),
    account         TEXT NOT NULL,
    region          TEXT NOT NULL,
    bucket          TEXT NOT NULL,
    object_key      TEXT NOT NULL,
    -- The key that the bucket encrypts it with; SSE-S3 without one.
    kms_key_arn     TEXT,
    -- Name of the file in the spool.
    spooled         TEXT NOT NULL UNIQUE,
    byte_count      INTEGER NOT NULL CHECK (byte_count > 0),
    -- SHA-256 of the bytes as they are put, and of what they decompress to.
    object_sha256   BLOB NOT NULL CHECK (length(object_sha256) = 32),
    content_sha256  BLOB NOT NULL CHECK (length(content_sha256) = 32),
    -- Of a digest, in hexadecimal.
    signature       TEXT,
    event_count     INTEGER NOT NULL,
    newest_event_ms INTEGER,
    oldest_event_ms INTEGER,
    created_ms      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- How long it has been tried in vain, as far as two clocks agree; when it was tried last.
    failing_ms      INTEGER NOT NULL DEFAULT 0,
    last_attempt_ms INTEGER,
    next_attempt_ms INTEGER NOT NULL,
    -- Set once the bucket has it.
    delivered_ms    INTEGER
) STRICT;
CREATE INDEX trail_files_waiting ON trail_files (trail_id, next_attempt_ms, id)
    WHERE delivered_ms IS NULL;
CREATE INDEX trail_files_by_version ON trail_files (trail_id, version, byte_count, event_count);
CREATE INDEX trail_files_of_chain ON trail_files (chain_id, delivered_ms)
    WHERE chain_id IS NOT NULL;

-- Where the last digest of a name ended: digests are named by the second of their end, and no two
-- of them may share one, whatever chains and clocks do.
CREATE TABLE digest_ends (
    account   TEXT NOT NULL,
    region    TEXT NOT NULL,
    trail_arn TEXT NOT NULL,
    end_ms    INTEGER NOT NULL,
    PRIMARY KEY (account, region, trail_arn)
) STRICT, WITHOUT ROWID;

-- What GetTrailStatus tells. Times are in milliseconds; null is never.
CREATE TABLE trail_status (
    trail_id                 TEXT NOT NULL PRIMARY KEY,
    delivery_attempt_ms      INTEGER,
    delivery_ms              INTEGER,
    delivery_error           TEXT,
    digest_delivery_ms       INTEGER,
    digest_delivery_error    TEXT,
    notification_attempt_ms  INTEGER,
    notification_ms          INTEGER,
    notification_error       TEXT,
    logs_delivery_ms         INTEGER,
    logs_delivery_error      TEXT,
    files_lost               INTEGER NOT NULL DEFAULT 0,
    events_lost              INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Key pairs that digests are signed with, by Region. Public keys stay for ever; a private key goes
-- when it signs no longer.
CREATE TABLE signing_keys (
    region         TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    public_key     BLOB NOT NULL,
    private_sealed BLOB,
    valid_from_ms  INTEGER NOT NULL,
    valid_to_ms    INTEGER NOT NULL CHECK (valid_to_ms > valid_from_ms),
    PRIMARY KEY (region, fingerprint)
) STRICT, WITHOUT ROWID;
