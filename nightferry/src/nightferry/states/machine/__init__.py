"""The interpreter: pure functions from a history to events and commands."""
