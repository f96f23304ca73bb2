-- The lake's commit entry: one row set per table, moved in one transaction (R12).

CREATE TABLE lake_writers (
    writer TEXT NOT NULL PRIMARY KEY,
    epoch  INTEGER NOT NULL CHECK (epoch > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE lake_tables (
    table_id   TEXT NOT NULL PRIMARY KEY,
    -- Object key of the current Iceberg metadata file.
    metadata   TEXT NOT NULL,
    -- Counts every change of what readers see: commits and hot registrations alike.
    generation INTEGER NOT NULL CHECK (generation > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE lake_positions (
    table_id      TEXT NOT NULL REFERENCES lake_tables (table_id),
    partition_id  INTEGER NOT NULL,
    -- Every record before this sequence is in the Iceberg table, or does not belong to it.
    committed_end INTEGER NOT NULL CHECK (committed_end >= 0),
    -- Every record before this sequence is visible: committed, or in a hot object.
    hot_end       INTEGER NOT NULL CHECK (hot_end >= committed_end),
    PRIMARY KEY (table_id, partition_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE lake_hot_objects (
    table_id       TEXT NOT NULL REFERENCES lake_tables (table_id),
    object         TEXT NOT NULL,
    partition_id   INTEGER NOT NULL,
    start_sequence INTEGER NOT NULL,
    end_sequence   INTEGER NOT NULL CHECK (end_sequence > start_sequence),
    row_count      INTEGER NOT NULL CHECK (row_count > 0),
    byte_count     INTEGER NOT NULL CHECK (byte_count > 0),
    checksum       INTEGER NOT NULL,
    PRIMARY KEY (table_id, object)
) STRICT, WITHOUT ROWID;

-- Objects that no current state refers to, kept until no unexpired lease can see them.
CREATE TABLE lake_garbage (
    id                 INTEGER PRIMARY KEY,
    table_id           TEXT NOT NULL REFERENCES lake_tables (table_id),
    object             TEXT NOT NULL,
    retired_generation INTEGER NOT NULL
) STRICT;
CREATE INDEX lake_garbage_by_table ON lake_garbage (table_id, retired_generation);

-- A lease at generation g keeps every object that was retired after g.
CREATE TABLE lake_leases (
    holder     TEXT NOT NULL,
    table_id   TEXT NOT NULL REFERENCES lake_tables (table_id),
    generation INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (holder, table_id)
) STRICT, WITHOUT ROWID;
