"""Verbs for the machine of a developer: services, variables of tasks, secrets, and what is missing."""
