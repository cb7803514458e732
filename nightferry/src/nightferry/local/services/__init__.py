"""Servers that the engine starts: PostgreSQL, the workload's own; their addresses and secrets."""
