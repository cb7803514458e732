"""Starts of a schedule for times that have passed: which times, and their progress."""
