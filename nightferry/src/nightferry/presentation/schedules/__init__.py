"""Schedules in words and times: their next and late fires, their simulation, and backfills."""
