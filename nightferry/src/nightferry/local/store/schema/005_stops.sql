-- The engine queries stop requests several times per second, also while thousands of runs are queued.
CREATE INDEX run_to_stop ON run (id) WHERE status <> 'STOPPED' AND stop_requested IS NOT NULL;
CREATE INDEX execution_to_stop ON execution (id) WHERE status = 'RUNNING' AND stop_requested IS NOT NULL;
