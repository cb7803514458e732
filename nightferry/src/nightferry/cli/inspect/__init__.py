"""The verbs that inspect declarations, runs and executions."""
