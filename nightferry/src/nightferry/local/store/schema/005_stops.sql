-- What is asked to stop is looked for several times a second, also while thousands wait.
CREATE INDEX run_to_stop ON run (id) WHERE status <> 'STOPPED' AND stop_requested IS NOT NULL;
CREATE INDEX execution_to_stop ON execution (id) WHERE status = 'RUNNING' AND stop_requested IS NOT NULL;
