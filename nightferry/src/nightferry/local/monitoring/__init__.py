"""Health, metrics, the engine's log and the retention of records."""
