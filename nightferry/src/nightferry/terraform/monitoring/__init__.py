"""Alarms and a dashboard, derived from the declarations, so that no task can be left out."""
