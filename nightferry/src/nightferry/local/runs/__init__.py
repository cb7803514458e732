"""Starts of tasks and executions: requests, overlap rules, admission."""
