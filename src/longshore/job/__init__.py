"""What runs inside a task's process: settings, logs without personal data, progress, limits, and the import log.

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

from longshore.job.errors import BadSettings, ExitCode, JobFailed, Stopped, TimeLimitReached
from longshore.job.import_log import ImportLogEntry, import_log
from longshore.job.logs import get_logger
from longshore.job.redaction import redact
from longshore.job.run import Progress, Run
from longshore.job.settings import JobSettings
from longshore.job.task import BackgroundTask, background_task
from longshore.job.tracebacks import describe

__all__ = [
    "BackgroundTask",
    "BadSettings",
    "ExitCode",
    "ImportLogEntry",
    "JobFailed",
    "JobSettings",
    "Progress",
    "Run",
    "Stopped",
    "TimeLimitReached",
    "background_task",
    "describe",
    "get_logger",
    "import_log",
    "redact",
]
