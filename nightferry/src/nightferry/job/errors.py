"""Exceptions that end a job, and their exit codes.

::

    NightferryError
    ├── JobFailed            the job failed; the message gives the reason               exit 1
    └── BadSettings          settings or arguments are missing or invalid               exit 2
    Stopped                  the job received SIGTERM                                   exit 143
    └── TimeLimitReached     the job exceeded its time limit                            exit 124
"""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError


class JobFailed(NightferryError):
    """The job failed for a known reason, given in the message. It is logged without a traceback.

    The message states the problem, the object and the fix. It contains no personal data.
    """


class BadSettings(NightferryError):
    """Settings or arguments are missing or invalid. The message lists each one; correct them and start again."""

    def __init__(self, task: str, problems: Sequence[str]) -> None:
        super().__init__(f"{task} cannot start: {'; '.join(problems)}")
        self.problems = tuple(problems)


class Stopped(SystemExit):
    """A stop of the job was requested. The exception is raised in the main thread at any point.

    Clean up in ``finally`` and do not catch it: the process is killed after 25 seconds.

    It is a SystemExit, because libraries treat this as the end of the process: psycopg cancels the statement that it
    waits for, so that the connection can be used for the cleanup, and asyncio leaves its event loop.
    """

    exit_code = ExitCode.STOPPED

    def __init__(self) -> None:
        super().__init__(int(self.exit_code))


class TimeLimitReached(Stopped):
    """The job exceeded its time limit. Find the operation that it was waiting for, or raise the limit."""

    exit_code = ExitCode.TIME_LIMIT
