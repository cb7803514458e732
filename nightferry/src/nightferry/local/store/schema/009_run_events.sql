-- The events of the job runtime by which the pages show a run: its result and its end, each the last of its kind.
CREATE TABLE run_event (
    run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    time TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, event)
) STRICT, WITHOUT ROWID;
