-- Indexes for pruning: runs and executions by their end, and a mark for runs whose log lines were removed.
ALTER TABLE run ADD COLUMN lines_pruned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_to_prune ON run (stopped_at) WHERE status = 'STOPPED' AND lines_pruned = 0;
CREATE INDEX run_stopped ON run (stopped_at) WHERE status = 'STOPPED' AND execution IS NULL;
CREATE INDEX execution_stopped ON execution (stopped_at) WHERE status <> 'RUNNING';
