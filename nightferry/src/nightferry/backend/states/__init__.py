"""The states of executions: passes through states and the items of Map states, derived from events."""
