"""Executions on Step Functions: history, redrive, dead letters."""
