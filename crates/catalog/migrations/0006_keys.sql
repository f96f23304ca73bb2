-- Keys of the local key service, by account and Region, and their material, sealed with the
-- master key.

CREATE TABLE kms_keys (
    account          TEXT NOT NULL REFERENCES accounts (account),
    region           TEXT NOT NULL,
    key_id           TEXT NOT NULL,
    created_ms       INTEGER NOT NULL,
    description      TEXT NOT NULL,
    policy           TEXT NOT NULL,
    is_enabled       INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
    -- The material that encrypts; older ones decrypt what they encrypted.
    version          INTEGER NOT NULL CHECK (version > 0),
    -- When the key is to be deleted, and after how many days that was to be.
    deletion_ms      INTEGER,
    deletion_days    INTEGER,
    -- Every how many days new material is made, and from when the days count.
    rotation_days    INTEGER,
    rotation_from_ms INTEGER,
    CHECK ((deletion_ms IS NULL) = (deletion_days IS NULL)),
    CHECK ((rotation_days IS NULL) = (rotation_from_ms IS NULL)),
    PRIMARY KEY (account, region, key_id)
) STRICT, WITHOUT ROWID;

-- Never changed, and gone with its key.
CREATE TABLE kms_materials (
    account      TEXT NOT NULL,
    region       TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    created_ms   INTEGER NOT NULL,
    is_on_demand INTEGER NOT NULL CHECK (is_on_demand IN (0, 1)),
    sealed       BLOB NOT NULL,
    PRIMARY KEY (account, region, key_id, version),
    FOREIGN KEY (account, region, key_id) REFERENCES kms_keys (account, region, key_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Names begin with alias/.
CREATE TABLE kms_aliases (
    account    TEXT NOT NULL,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (account, region, name),
    FOREIGN KEY (account, region, key_id) REFERENCES kms_keys (account, region, key_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX kms_aliases_of_key ON kms_aliases (account, region, key_id);
CREATE INDEX kms_keys_to_delete ON kms_keys (deletion_ms) WHERE deletion_ms IS NOT NULL;
