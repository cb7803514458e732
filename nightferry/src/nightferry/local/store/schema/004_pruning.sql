-- What pruning looks for: what ended long ago, and whose lines have gone already.
ALTER TABLE run ADD COLUMN lines_pruned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_to_prune ON run (stopped_at) WHERE status = 'STOPPED' AND lines_pruned = 0;
CREATE INDEX run_stopped ON run (stopped_at) WHERE status = 'STOPPED' AND execution IS NULL;
CREATE INDEX execution_stopped ON execution (stopped_at) WHERE status <> 'RUNNING';
