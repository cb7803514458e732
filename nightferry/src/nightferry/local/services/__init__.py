"""The services that the engine starts: PostgreSQL and the workload's own servers, with their addresses and secrets."""
