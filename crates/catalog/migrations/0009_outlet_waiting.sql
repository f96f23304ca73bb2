-- How many notifications wait for each topic, kept up by their changes, so that neither a cut nor a
-- look at the lanes counts them all. A topic that waits for nothing has no row.

CREATE TABLE notifications_waiting (
    trail_id  TEXT NOT NULL,
    topic_arn TEXT NOT NULL,
    waiting   INTEGER NOT NULL,
    PRIMARY KEY (trail_id, topic_arn)
) STRICT, WITHOUT ROWID;

INSERT INTO notifications_waiting
SELECT trail_id, topic_arn, count(*) FROM trail_notifications GROUP BY trail_id, topic_arn;

CREATE TRIGGER trail_notifications_added AFTER INSERT ON trail_notifications BEGIN
    INSERT INTO notifications_waiting VALUES (NEW.trail_id, NEW.topic_arn, 1)
    ON CONFLICT (trail_id, topic_arn) DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER trail_notifications_removed AFTER DELETE ON trail_notifications BEGIN
    UPDATE notifications_waiting SET waiting = waiting - 1
    WHERE trail_id = OLD.trail_id AND topic_arn = OLD.topic_arn;
    DELETE FROM notifications_waiting
    WHERE trail_id = OLD.trail_id AND topic_arn = OLD.topic_arn AND waiting <= 0;
END;
