"""Processes of tasks and services: environment, limits and cleanup."""
