"""The code of a task process: settings, logs without personal data, progress and limits.

::

    log = get_logger(__name__)

    class HelloSettings(JobSettings):
        greeting: str = Field(description="Text to log")

    @background_task("hello", HelloSettings)
    def main(settings: HelloSettings, run: Run) -> None:
        log.info("greeting", extra={"greeting": settings.greeting})

``main()`` then reads the environment and the command line, runs the body and exits with an :class:`ExitCode`.
"""

from nightferry.contract import ExitCode, ReasonCount
from nightferry.job.database_errors import get_database_message
from nightferry.job.errors import BadSettings, JobFailed, Stopped, TimeLimitReached
from nightferry.job.leases.database import HasDatabase
from nightferry.job.logs import get_logger
from nightferry.job.redaction import describe_error, redact, redact_value
from nightferry.job.run import Progress, Run
from nightferry.job.runtime import Runtime
from nightferry.job.settings import JobSettings
from nightferry.job.task import BackgroundTask, background_task

__all__ = [
    "BackgroundTask",
    "BadSettings",
    "ExitCode",
    "HasDatabase",
    "JobFailed",
    "JobSettings",
    "Progress",
    "ReasonCount",
    "Run",
    "Runtime",
    "Stopped",
    "TimeLimitReached",
    "background_task",
    "describe_error",
    "get_database_message",
    "get_logger",
    "redact",
    "redact_value",
]
