"""Recognize, by their names, fields of personal data and of secrets: in settings, results, log lines and texts."""
