-- Executions that failed, timed out or were stopped, until the engine has added their failure notices.
ALTER TABLE execution ADD COLUMN notice_due INTEGER NOT NULL DEFAULT 0;
CREATE INDEX execution_notice_due ON execution (id) WHERE notice_due = 1;
