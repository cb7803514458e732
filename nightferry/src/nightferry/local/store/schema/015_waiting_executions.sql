-- The executions that wait until the engine begins them, by workflow, so that the next one is found however many are open.
-- One that another execution waits for is found separately, because it may exceed the limit. The engine sets begun, and resets it at its start.
ALTER TABLE execution ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
CREATE INDEX execution_waiting ON execution (workflow, substr(started_by, 1, 6) = 'child:') WHERE status = 'RUNNING' AND begun = 0;
DROP INDEX execution_open;
CREATE INDEX execution_open ON execution (workflow) WHERE status = 'RUNNING';
CREATE INDEX execution_open_by_start ON execution (started_by) WHERE status = 'RUNNING';
