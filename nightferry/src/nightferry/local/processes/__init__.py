"""Processes of tasks and services: start, limits, end."""
