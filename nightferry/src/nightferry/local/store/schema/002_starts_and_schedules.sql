-- Starts by schedules and triggers, one record per token, and how far each schedule has been processed.
ALTER TABLE execution ADD COLUMN token TEXT;
ALTER TABLE execution ADD COLUMN started_by TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX execution_by_token ON execution (token) WHERE token IS NOT NULL;

CREATE TABLE start (
    token TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    due_at TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    id TEXT,
    note TEXT
) STRICT;
CREATE INDEX start_by_source ON start (source, due_at);
CREATE INDEX start_by_decision ON start (decided_at);

CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    first_seen TEXT NOT NULL,
    decided_until TEXT NOT NULL
) STRICT;

-- Queued runs by task, inside and outside executions. Runs are queued in the order of rowid, which does not depend on the clock.
CREATE INDEX run_queued ON run (task, execution IS NULL) WHERE status = 'QUEUED';
