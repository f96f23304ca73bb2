CREATE TABLE buckets (
    name       TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    region     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    -- Unversioned, Enabled or Suspended
    versioning TEXT NOT NULL DEFAULT 'Unversioned',
    policy     TEXT,
    -- JSON: every setting but the policy
    settings   TEXT NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;

CREATE INDEX buckets_of_owner ON buckets (owner, name);

-- Every version of every object, delete markers too. The newest version of a key has the highest
-- id. Keys are bytes, so that they sort and compare as S3 sorts them.
CREATE TABLE versions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket      TEXT NOT NULL REFERENCES buckets (name),
    key         BLOB NOT NULL,
    version     TEXT NOT NULL,
    is_latest   INTEGER NOT NULL,
    is_marker   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    -- JSON: headers, user metadata, checksum
    properties  TEXT NOT NULL,
    -- JSON: pairs of key and value
    tags        TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX versions_by_name ON versions (bucket, key, version);
CREATE INDEX versions_by_age ON versions (bucket, key, id DESC);
CREATE UNIQUE INDEX versions_current ON versions (bucket, key) WHERE is_latest = 1;
CREATE INDEX versions_listed ON versions (bucket, key) WHERE is_latest = 1 AND is_marker = 0;

CREATE TABLE uploads (
    id           TEXT PRIMARY KEY,
    bucket       TEXT NOT NULL REFERENCES buckets (name),
    key          BLOB NOT NULL,
    initiated_ms INTEGER NOT NULL,
    -- JSON: what the object will have
    properties   TEXT NOT NULL,
    tags         TEXT NOT NULL,
    -- JSON: algorithm and kind of the checksum, if one was named
    checksum     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX uploads_by_key ON uploads (bucket, key, id);

-- The files that hold bodies: of a version, or of a part of an upload that is not complete.
CREATE TABLE bodies (
    file        TEXT PRIMARY KEY,
    version_id  INTEGER REFERENCES versions (id) ON DELETE CASCADE,
    upload_id   TEXT REFERENCES uploads (id) ON DELETE CASCADE,
    part        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    md5         BLOB NOT NULL,
    modified_ms INTEGER NOT NULL,
    -- JSON: the checksum
    checksum    TEXT NOT NULL,
    CHECK ((version_id IS NULL) <> (upload_id IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX bodies_of_version ON bodies (version_id, part) WHERE version_id IS NOT NULL;
CREATE UNIQUE INDEX bodies_of_upload ON bodies (upload_id, part) WHERE upload_id IS NOT NULL;
