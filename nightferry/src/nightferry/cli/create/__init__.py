"""Verbs that write files of a project."""
