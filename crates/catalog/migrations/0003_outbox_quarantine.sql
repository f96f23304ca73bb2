-- Records that left the outbox without reaching the log, because they cannot be read or the log can
-- never take them. Kept for the operator; nothing removes them.

CREATE TABLE outbox_quarantine (
    outbox_id      INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL,
    kind           INTEGER NOT NULL,
    header         BLOB NOT NULL,
    body           BLOB NOT NULL,
    reason         TEXT NOT NULL,
    quarantined_ms INTEGER NOT NULL,
    PRIMARY KEY (outbox_id, ordinal)
) STRICT, WITHOUT ROWID;
