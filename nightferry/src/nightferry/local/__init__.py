"""The local backend: an engine that runs a catalog's tasks, schedules, triggers and workflows on one machine."""
