"""Automatic starts of tasks and workflows: schedules and object triggers."""
