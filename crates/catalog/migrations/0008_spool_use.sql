-- What each trail holds of the spool, kept up by the changes of its files, so that a cut need not
-- count them all. A trail without files has no row.

CREATE TABLE trail_spool (
    trail_id       TEXT NOT NULL PRIMARY KEY,
    -- Files that wait for their bucket, and their events.
    waiting_files  INTEGER NOT NULL,
    waiting_events INTEGER NOT NULL,
    -- Of all files, also of those that wait for their digest.
    byte_count     INTEGER NOT NULL CHECK (byte_count >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO trail_spool
SELECT trail_id, sum(delivered_ms IS NULL),
    sum(CASE WHEN delivered_ms IS NULL THEN event_count ELSE 0 END), sum(byte_count)
FROM trail_files GROUP BY trail_id;

CREATE INDEX trail_files_waiting_since ON trail_files (trail_id, created_ms)
    WHERE delivered_ms IS NULL;

CREATE TRIGGER trail_files_added AFTER INSERT ON trail_files BEGIN
    INSERT INTO trail_spool VALUES (NEW.trail_id, NEW.delivered_ms IS NULL,
        CASE WHEN NEW.delivered_ms IS NULL THEN NEW.event_count ELSE 0 END, NEW.byte_count)
    ON CONFLICT (trail_id) DO UPDATE SET
        waiting_files = waiting_files + excluded.waiting_files,
        waiting_events = waiting_events + excluded.waiting_events,
        byte_count = byte_count + excluded.byte_count;
END;

CREATE TRIGGER trail_files_delivered AFTER UPDATE OF delivered_ms ON trail_files
WHEN OLD.delivered_ms IS NULL AND NEW.delivered_ms IS NOT NULL BEGIN
    UPDATE trail_spool SET waiting_files = waiting_files - 1,
        waiting_events = waiting_events - OLD.event_count
    WHERE trail_id = OLD.trail_id;
END;

CREATE TRIGGER trail_files_removed AFTER DELETE ON trail_files BEGIN
    UPDATE trail_spool SET
        waiting_files = waiting_files - (OLD.delivered_ms IS NULL),
        waiting_events = waiting_events
            - CASE WHEN OLD.delivered_ms IS NULL THEN OLD.event_count ELSE 0 END,
        byte_count = byte_count - OLD.byte_count
    WHERE trail_id = OLD.trail_id;
    -- A file has at least one byte.
    DELETE FROM trail_spool WHERE trail_id = OLD.trail_id AND byte_count = 0;
END;
