"""Schedules: expressions, their times in a time zone, durations and simulation. No I/O."""
