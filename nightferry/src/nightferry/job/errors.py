"""How a job ends: the exceptions that lead to its exit codes.

::

    NightferryError
    ├── JobFailed            the job failed and its message says why                    exit 1
    └── BadSettings          settings or arguments are missing or wrong                 exit 2
    Stopped                  somebody asked the job to stop (SIGTERM)                   exit 143
    └── TimeLimitReached     the job ran for longer than its time limit                 exit 124
"""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError


class JobFailed(NightferryError):
    """The job failed for a reason that its message tells people. It is logged without a traceback.

    The message says what is wrong, where, and what to do; it holds no personal data.
    """


class BadSettings(NightferryError):
    """Settings or arguments are missing or wrong. The message names each; set or correct them and start again."""

    def __init__(self, task: str, problems: Sequence[str]) -> None:
        super().__init__(f"{task} cannot start: {'; '.join(problems)}")
        self.problems = tuple(problems)


class Stopped(BaseException):
    """Somebody asked the job to stop. It is raised in the main thread, whatever that does.

    Clean up in ``finally`` and let it pass: 25 seconds later the process is ended the hard way.
    """

    exit_code = ExitCode.STOPPED


class TimeLimitReached(Stopped):
    """The job ran for longer than its time limit. Find out what it waited for, or raise the limit."""

    exit_code = ExitCode.TIME_LIMIT
