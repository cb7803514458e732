-- Lists of runs and executions by time, with every filter of the interface, so that none reads all rows.
-- nightferry.backend.queries has the twins of both expressions.
ALTER TABLE run ADD COLUMN outcome TEXT GENERATED ALWAYS AS (
    CASE WHEN status <> 'STOPPED' THEN 'open' WHEN exit_code = 0 THEN 'succeeded'
    WHEN stop_code = 'UserInitiated' THEN 'stopped' ELSE 'failed' END) VIRTUAL;
ALTER TABLE execution ADD COLUMN outcome TEXT GENERATED ALWAYS AS (
    CASE status WHEN 'SUCCEEDED' THEN 'succeeded' WHEN 'ABORTED' THEN 'stopped' WHEN 'FAILED' THEN 'failed'
    WHEN 'TIMED_OUT' THEN 'failed' ELSE 'open' END) VIRTUAL;
DROP INDEX run_by_task;
DROP INDEX run_by_execution;
DROP INDEX execution_by_workflow;
CREATE INDEX run_by_time ON run (created_at, id);
CREATE INDEX run_by_task ON run (task, created_at, id);
CREATE INDEX run_by_execution ON run (execution, created_at, id);
CREATE INDEX run_by_outcome ON run (outcome, created_at, id);
CREATE INDEX run_by_task_outcome ON run (task, outcome, created_at, id);
CREATE INDEX execution_by_time ON execution (started_at, id);
CREATE INDEX execution_by_workflow ON execution (workflow, started_at, id);
CREATE INDEX execution_by_outcome ON execution (outcome, started_at, id);
CREATE INDEX execution_by_workflow_outcome ON execution (workflow, outcome, started_at, id);
