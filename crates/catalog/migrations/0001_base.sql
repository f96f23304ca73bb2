-- Settings, the outbox, and identities. Keys start with the account wherever there is one.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO settings (name, value) VALUES ('identity.version', CAST('0' AS BLOB));

-- Entries are drained in the order of their IDs; AUTOINCREMENT keeps an ID from being used twice.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    enqueued_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_records (
    outbox_id INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    header    BLOB NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (outbox_id, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    account    TEXT PRIMARY KEY CHECK (length(account) = 12),
    name       TEXT NOT NULL,
    alias      TEXT UNIQUE,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Users, groups and roles. Names are unique in an account without regard to case.
CREATE TABLE identities (
    account             TEXT NOT NULL REFERENCES accounts (account),
    id                  TEXT NOT NULL UNIQUE,
    kind                TEXT NOT NULL CHECK (kind IN ('user', 'group', 'role')),
    name                TEXT NOT NULL,
    name_folded         TEXT NOT NULL,
    path                TEXT NOT NULL,
    created_ms          INTEGER NOT NULL,
    boundary_arn        TEXT,
    trust_policy        TEXT,
    description         TEXT,
    max_session_seconds INTEGER,
    PRIMARY KEY (account, id),
    UNIQUE (account, kind, name_folded)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_boundary ON identities (account, boundary_arn)
    WHERE boundary_arn IS NOT NULL;

CREATE TABLE memberships (
    account  TEXT NOT NULL,
    group_id TEXT NOT NULL,
    user_id  TEXT NOT NULL,
    PRIMARY KEY (account, group_id, user_id),
    FOREIGN KEY (account, group_id) REFERENCES identities (account, id),
    FOREIGN KEY (account, user_id) REFERENCES identities (account, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX memberships_by_user ON memberships (account, user_id);

-- A key without a user belongs to the account's root user.
CREATE TABLE access_keys (
    account       TEXT NOT NULL REFERENCES accounts (account),
    key_id        TEXT NOT NULL UNIQUE,
    user_id       TEXT,
    secret_sealed BLOB NOT NULL,
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_ms    INTEGER NOT NULL,
    used_ms       INTEGER,
    used_service  TEXT,
    used_region   TEXT,
    PRIMARY KEY (account, key_id),
    FOREIGN KEY (account, user_id) REFERENCES identities (account, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_keys_by_user ON access_keys (account, user_id);

CREATE TABLE inline_policies (
    account     TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    document    TEXT NOT NULL,
    PRIMARY KEY (account, identity_id, name_folded),
    FOREIGN KEY (account, identity_id) REFERENCES identities (account, id)
) STRICT, WITHOUT ROWID;

-- Customer managed policies; AWS's own are part of the program.
CREATE TABLE managed_policies (
    account         TEXT NOT NULL REFERENCES accounts (account),
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    name_folded     TEXT NOT NULL,
    path            TEXT NOT NULL,
    arn             TEXT NOT NULL,
    description     TEXT,
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    default_version INTEGER NOT NULL,
    last_version    INTEGER NOT NULL,
    PRIMARY KEY (account, id),
    UNIQUE (account, name_folded),
    UNIQUE (account, arn)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_versions (
    account    TEXT NOT NULL,
    policy_id  TEXT NOT NULL,
    version    INTEGER NOT NULL,
    document   TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, policy_id, version),
    FOREIGN KEY (account, policy_id) REFERENCES managed_policies (account, id)
) STRICT, WITHOUT ROWID;

-- By ARN, because AWS's managed policies have no row.
CREATE TABLE attachments (
    account     TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    policy_arn  TEXT NOT NULL,
    PRIMARY KEY (account, identity_id, policy_arn),
    FOREIGN KEY (account, identity_id) REFERENCES identities (account, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachments_by_policy ON attachments (account, policy_arn);

-- The owner is an identity or a managed policy.
CREATE TABLE identity_tags (
    account    TEXT NOT NULL REFERENCES accounts (account),
    owner_id   TEXT NOT NULL,
    key_folded TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (account, owner_id, key_folded)
) STRICT, WITHOUT ROWID;
