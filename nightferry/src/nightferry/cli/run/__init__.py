"""Verbs that start, continue and stop work."""
