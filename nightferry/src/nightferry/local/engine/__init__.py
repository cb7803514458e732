"""The engine, with the launcher of runs and the executor of executions."""
