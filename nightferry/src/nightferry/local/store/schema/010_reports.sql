-- The reports of jobs, several for one run, by kind and subject. data has the fields of the log line.
CREATE TABLE report (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX report_by_time ON report (time, id);
CREATE INDEX report_by_kind ON report (kind, time, id);
CREATE INDEX report_by_subject ON report (subject, time, id);
CREATE INDEX report_by_run ON report (run, time, id);
