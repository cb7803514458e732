"""What runs inside a task's process: settings, logs without personal data, progress and limits.

::

    log = get_logger(__name__)

    class HelloSettings(JobSettings):
        greeting: str = Field(description="What to say")

    @background_task("hello", HelloSettings)
    def main(settings: HelloSettings, run: Run) -> None:
        log.info("said", extra={"greeting": settings.greeting})

``main()`` then reads the environment and the command line, runs the body and exits with the code that says how it
ended (:class:`ExitCode`).
"""

from nightferry.contract import ExitCode
from nightferry.job.errors import BadSettings, JobFailed, Stopped, TimeLimitReached
from nightferry.job.logs import get_logger
from nightferry.job.redaction import describe, redact, redact_value
from nightferry.job.run import Progress, Run
from nightferry.job.runtime import Runtime
from nightferry.job.settings import JobSettings
from nightferry.job.task import BackgroundTask, background_task

__all__ = [
    "BackgroundTask",
    "BadSettings",
    "ExitCode",
    "JobFailed",
    "JobSettings",
    "Progress",
    "Run",
    "Runtime",
    "Stopped",
    "TimeLimitReached",
    "background_task",
    "describe",
    "get_logger",
    "redact",
    "redact_value",
]
