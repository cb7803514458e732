"""Groups of starts that take longer than a request: backfills, and retries of many failures."""
