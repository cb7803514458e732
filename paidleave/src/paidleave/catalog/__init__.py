"""The declarations of the Paid Leave API's background jobs.

``application`` declares the application and its buckets, roles and local services; ``tasks`` the jobs; ``workflows``
the nightly ETL and others; ``schedules`` and ``triggers`` when tasks and workflows start;
``reports`` what the reports about files mean.
"""

from paidleave.catalog import reports, schedules, tasks, triggers, workflows
from paidleave.catalog.application import catalog

__all__ = ["catalog", "reports", "schedules", "tasks", "triggers", "workflows"]
