"""Health, metrics, the engine's log and retention."""
