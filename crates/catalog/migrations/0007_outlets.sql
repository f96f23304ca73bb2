-- What trails tell beside putting files: topics of delivered log files, log groups and event buses
-- of events.

-- A lane is what goes one way: from a trail to one topic or log group, or from an account to the
-- bus of one Region. While its target refuses, failing_ms counts how long, as far as two clocks
-- agree; what waits holds the count of when it was recorded, so that one number tells how long
-- each has been tried in vain.
CREATE TABLE outlet_lanes (
    outlet     TEXT NOT NULL CHECK (outlet IN ('topic', 'logs', 'bus')),
    -- The trail; of a bus, the account.
    owner      TEXT NOT NULL,
    -- The ARN of topic or log group; of a bus, the Region.
    target     TEXT NOT NULL,
    failing_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (outlet, owner, target)
) STRICT, WITHOUT ROWID;

-- One for each log file that its bucket took while its trail had a topic. A row goes when the
-- topic has been told.
CREATE TABLE trail_notifications (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    trail_id          TEXT NOT NULL,
    trail_arn         TEXT NOT NULL,
    topic_arn         TEXT NOT NULL,
    bucket            TEXT NOT NULL,
    object_key        TEXT NOT NULL,
    created_ms        INTEGER NOT NULL,
    failing_before_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX trail_notifications_of_lane ON trail_notifications (trail_id, topic_arn, id);

-- Files of the spool whose events go to a log group or a bus, one after the other. A row goes when
-- the target has all of them; the spool keeps the file as long as any table names it.
CREATE TABLE trail_feeds (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    outlet            TEXT NOT NULL CHECK (outlet IN ('logs', 'bus')),
    owner             TEXT NOT NULL,
    target            TEXT NOT NULL,
    -- Whose events it holds, of which Region.
    account           TEXT NOT NULL,
    region            TEXT NOT NULL,
    spooled           TEXT NOT NULL,
    byte_count        INTEGER NOT NULL CHECK (byte_count > 0),
    object_sha256     BLOB NOT NULL CHECK (length(object_sha256) = 32),
    event_count       INTEGER NOT NULL,
    -- The first events that the target has, and how many batches of those that follow.
    sent_events       INTEGER NOT NULL DEFAULT 0,
    sent_batches      INTEGER NOT NULL DEFAULT 0,
    created_ms        INTEGER NOT NULL,
    failing_before_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX trail_feeds_of_lane ON trail_feeds (outlet, owner, target, id);
CREATE INDEX trail_feeds_by_file ON trail_feeds (spooled);

-- Files of which a topic was not told, and events that a log group did not get.
ALTER TABLE trail_status ADD COLUMN notifications_lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trail_status ADD COLUMN logs_events_lost INTEGER NOT NULL DEFAULT 0;
