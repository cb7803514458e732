"""Run a job in the process of a test, with the exit code and the log of a process of its own.

::

    from nightferry.testing import FakeClock, run_job

    def test_an_empty_file_is_refused(tmp_path):
        ended = run_job(main, {"FOLDER_PATH": tmp_path})
        assert ended.exit_code == 1
        assert ended.errors == ["orders.csv is empty. Send it again."]

A job changes its process: environment, logging, standard streams, signal handlers, and the secrets that are masked.
All of these are as before when :func:`run_job` returns.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from types import FrameType
from typing import Any, TextIO

from pydantic_core import to_json

from nightferry import storage
from nightferry.clock import Clock
from nightferry.contract import (
    PARAMETER_PATH,
    PRIVACY_VARIABLE,
    SUPPLIED_VARIABLES,
    TIME_LIMIT_VARIABLE,
    LogEvent,
    Privacy,
)
from nightferry.credentials import parameter
from nightferry.field_names import personal
from nightferry.job import logs
from nightferry.job.limits import EXIT_GRACE_SECONDS, Limits
from nightferry.job.redaction import redactor
from nightferry.job.settings import JobSettings
from nightferry.job.task import BackgroundTask, JobProcess

_OWN_VARIABLES = {*SUPPLIED_VARIABLES, "LOGGING_LEVEL", "NR_INSERT_API_KEY", "ECS_CONTAINER_METADATA_URI_V4"}
_OWN_PREFIX = "NEW_RELIC_"


@dataclass(frozen=True)
class RunResult:
    """The exit code of a job and its log lines, which are JSON objects."""

    exit_code: int
    lines: list[dict[str, Any]]

    @cached_property
    def report(self) -> dict[str, Any]:
        """The last line, whose event is ``ended``: exit code, duration, CPU time and peak memory of this process."""
        return self.lines[-1]

    @property
    def result(self) -> dict[str, Any] | None:
        """The object that the job returned, as it is stored for a later step of a workflow."""
        return next((line["result"] for line in self.events(LogEvent.RESULT)), None)

    @property
    def errors(self) -> list[str]:
        """The messages of level ERROR and above."""
        return [line["message"] for line in self.lines if line["level"] in ("ERROR", "CRITICAL")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines whose field ``event`` has this value."""
        return [line for line in self.lines if line.get("event") == name]


def run_job(
    main: BackgroundTask[Any],
    env: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    *,
    clock: Clock | None = None,
    time_limit: timedelta | None = None,
    privacy: Privacy = Privacy.SECRETS_ONLY,
) -> RunResult:
    """Run a job in this process, and return its exit code and its log.

    The job's settings come only from ``env`` and ``arguments``; variables of the same names in the environment of the
    test are not set during the run. True and False become ``true`` and ``false``, lists and mappings JSON, and any
    other value its text. A variable with None is not set.

    ``clock`` is the run's clock (``run.clock``). If its time passes ``time_limit``, as that of a
    :class:`~nightferry.testing.FakeClock` does in ``sleep``, the job ends at once with exit code 124.

    ``privacy`` is the policy of the job's catalog. The stricter one of it and the settings class applies.

    The log is also printed, so that pytest shows it for a test that fails. Text that the job or a program that it
    starts writes to the file descriptors of standard output, and not to ``sys.stdout``, is not in the log.

    Raises:
        RuntimeError: The caller is not the main thread, the only one that receives signals.
    """
    if not isinstance(main, BackgroundTask):
        raise TypeError(f"{main!r} is not a job. Decorate the function with @background_task(NAME, SETTINGS).")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run_job must be called in the main thread, because only it receives the job's signals.")
    variables = {name: _format_value(value) for name, value in (env or {}).items() if value is not None}
    if time_limit is not None:
        variables[TIME_LIMIT_VARIABLE] = str(time_limit.total_seconds())
    variables.setdefault(PRIVACY_VARIABLE, Privacy(privacy).value)
    output = _Output(sys.stdout)
    threads = set(threading.enumerate())
    with _isolate(main.settings, variables):
        process = JobProcess(main, arguments)
        process.limits = limits = _LimitsInTest(process.runtime.time_limit, process.job_run.stop_requested)
        if clock is not None:
            process.job_run = replace(process.job_run, clock=_LimitedClock(clock, limits))
        try:
            code = process.run_job(logging.StreamHandler(output))
            for thread in set(threading.enumerate()) - threads:
                if not thread.daemon:  # a process waits for them, too
                    thread.join(EXIT_GRACE_SECONDS)
        finally:
            limits.end()
    if limits.interrupted:
        raise KeyboardInterrupt
    return RunResult(int(code), [json.loads(line) for line in output.getvalue().splitlines()])


def _format_value(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return to_json(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _isolate(settings: type[JobSettings], variables: Mapping[str, str]) -> Iterator[None]:
    """Give the job the state of a new process, and restore that of this one."""
    storage.forget_client()  # its credentials and endpoint are those of the environment at its creation
    parameter.cache_clear()
    try:
        with ExitStack() as stack:
            stack.enter_context(_replace_environment(settings, variables))
            for isolate in (logs.isolate, redactor.isolate, personal.isolate_shown_numbers):
                stack.enter_context(isolate())
            yield
    finally:
        storage.forget_client()
        parameter.cache_clear()


@contextmanager
def _replace_environment(settings: type[JobSettings], variables: Mapping[str, str]) -> Iterator[None]:
    names = {name.upper() for name in settings.model_fields}
    own = names | {name + PARAMETER_PATH for name in names} | _OWN_VARIABLES
    before = dict(os.environ)
    for name in before:
        if name.upper() in own or name.startswith(_OWN_PREFIX):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


class _Output(io.StringIO):
    """The log, which is also written to the standard output of the test."""

    def __init__(self, shown: TextIO) -> None:
        super().__init__()
        self._shown = shown

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # a closed stream
            encoding = getattr(self._shown, "encoding", None) or "utf-8"
            self._shown.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return super().write(text)


class _LimitsInTest(Limits):
    """Limits that end the job, but not the process. Ctrl-C ends both."""

    may_end_process = False
    interrupted = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = self.interrupted or number == signal.SIGINT
        super()._on_signal(number, frame)


class _LimitedClock:
    """A run's clock, which ends the job when its time passes the time limit."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._started = clock.now()

    def now(self) -> datetime:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        limit = self._limits.time_limit
        remaining = seconds if limit is None else limit - (self.now() - self._started).total_seconds()
        self._clock.sleep(min(seconds, remaining))
        if limit is not None and seconds >= remaining:
            self._limits.end_time()
