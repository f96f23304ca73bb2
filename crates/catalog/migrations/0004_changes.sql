-- How many changes were committed, counted in their own transactions. A file beside the database
-- follows it (src/witness.rs). Commits of the lake do not count.

CREATE TABLE changes (
    id        INTEGER PRIMARY KEY CHECK (id = 0),
    committed INTEGER NOT NULL CHECK (committed >= 0)
) STRICT;

INSERT INTO changes (id, committed) VALUES (0, 0);
