"""Alarms and a dashboard, all of them from the declarations: there is no list to forget a task in."""
