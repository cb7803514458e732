-- Executions with their histories, runs with their log lines, and notifications.
CREATE TABLE execution (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    definition TEXT NOT NULL,
    input TEXT NOT NULL,
    status TEXT NOT NULL,
    output TEXT,
    error TEXT,
    cause TEXT,
    started_at TEXT NOT NULL,
    stopped_at TEXT,
    stop_requested TEXT
) STRICT;
CREATE INDEX execution_by_workflow ON execution (workflow, started_at);
CREATE INDEX execution_open ON execution (status) WHERE status = 'RUNNING';

CREATE TABLE event (
    execution TEXT NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (execution, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    status TEXT NOT NULL,
    command TEXT NOT NULL,
    environment TEXT NOT NULL,
    cpu INTEGER,
    memory INTEGER,
    started_by TEXT NOT NULL,
    execution TEXT REFERENCES execution (id) ON DELETE CASCADE,
    token TEXT UNIQUE,
    created_at TEXT NOT NULL,
    started_at TEXT,
    stopped_at TEXT,
    pid INTEGER,
    pid_created REAL,
    exit_code INTEGER,
    stop_code TEXT,
    reason TEXT,
    stop_requested TEXT
) STRICT;
CREATE INDEX run_by_task ON run (task, created_at);
CREATE INDEX run_by_execution ON run (execution);
CREATE INDEX run_open ON run (status) WHERE status <> 'STOPPED';

CREATE TABLE log_line (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    time TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX log_line_by_run ON log_line (run, position);

CREATE TABLE notification (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    subject TEXT,
    message TEXT NOT NULL,
    time TEXT NOT NULL,
    execution TEXT,
    token TEXT UNIQUE
) STRICT;
