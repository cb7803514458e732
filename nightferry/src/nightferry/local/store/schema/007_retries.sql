-- Runs that must not start before a time: the further attempts of a task with retry.
ALTER TABLE run ADD COLUMN not_before TEXT;
DROP INDEX run_queued;
CREATE INDEX run_queued ON run (task, execution IS NULL, not_before) WHERE status = 'QUEUED';
