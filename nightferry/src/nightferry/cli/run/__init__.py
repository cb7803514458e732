"""The verbs that start, continue and stop runs and executions."""
