-- Trails: what their owners chose, version by version, and how far delivery has come.

CREATE TABLE trails (
    account     TEXT NOT NULL REFERENCES accounts (account),
    home_region TEXT NOT NULL,
    name        TEXT NOT NULL,
    trail_id    TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (account, home_region, name)
) STRICT, WITHOUT ROWID;

-- Never changed. A version without a document is the end of its trail. Versions live until the readers
-- of the log have passed the control records of later ones.
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

-- The version of each trail that counts at the position.
CREATE TABLE trail_applied (
    partition_id INTEGER NOT NULL,
    trail_id     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (partition_id, trail_id)
) STRICT, WITHOUT ROWID;

-- Log files and digests that are decided: key and bytes never change from here on. A row goes when its
-- bucket has the object and, for a log file, a signed digest lists it if one is to.
CREATE TABLE trail_files (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    trail_id        TEXT NOT NULL,
    version         INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('log', 'digest')),
    account         TEXT NOT NULL,
    region          TEXT NOT NULL,
    bucket          TEXT NOT NULL,
    object_key      TEXT NOT NULL,
    -- Name of the file in the spool.
    spooled         TEXT NOT NULL UNIQUE,
    byte_count      INTEGER NOT NULL CHECK (byte_count > 0),
    -- SHA-256 of the bytes as they are put, and of what they decompress to.
    object_sha256   BLOB NOT NULL,
    content_sha256  BLOB NOT NULL,
    -- Of a digest: its signature, in hexadecimal.
    signature       TEXT,
    event_count     INTEGER NOT NULL,
    newest_event_ms INTEGER,
    oldest_event_ms INTEGER,
    created_ms      INTEGER NOT NULL,
    is_validated    INTEGER NOT NULL CHECK (is_validated IN (0, 1)),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_ms INTEGER NOT NULL,
    -- Set once the bucket has it.
    delivered_ms    INTEGER
) STRICT;
CREATE INDEX trail_files_waiting ON trail_files (trail_id, id) WHERE delivered_ms IS NULL;
CREATE INDEX trail_files_delivered ON trail_files (trail_id, account, region, delivered_ms)
    WHERE delivered_ms IS NOT NULL;

-- One chain of digests for each trail, account and Region. The window is open from window_start_ms on;
-- what the previous digest was is null before the first.
CREATE TABLE digest_chains (
    trail_id           TEXT NOT NULL,
    account            TEXT NOT NULL,
    region             TEXT NOT NULL,
    window_start_ms    INTEGER NOT NULL,
    previous_bucket    TEXT,
    previous_key       TEXT,
    previous_hash      TEXT,
    previous_signature TEXT,
    -- Set when logging or validation ended: one last digest is due.
    closing_ms         INTEGER,
    PRIMARY KEY (trail_id, account, region)
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

-- Key pairs that digests are signed with, by Region. Public keys stay for ever; a private key goes when
-- it signs no longer.
CREATE TABLE signing_keys (
    region         TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    public_key     BLOB NOT NULL,
    private_sealed BLOB,
    valid_from_ms  INTEGER NOT NULL,
    valid_to_ms    INTEGER NOT NULL CHECK (valid_to_ms > valid_from_ms),
    PRIMARY KEY (region, fingerprint)
) STRICT, WITHOUT ROWID;
