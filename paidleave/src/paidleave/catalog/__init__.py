"""What runs in the background of the Paid Leave API: the declarations, and nothing else.

``application`` names the application and what exists around it, ``tasks`` its jobs, ``workflows`` the nightly chain,
``schedules`` and ``triggers`` when things start.
"""

from paidleave.catalog import schedules, tasks, triggers, workflows
from paidleave.catalog.application import catalog

__all__ = ["catalog", "schedules", "tasks", "triggers", "workflows"]
