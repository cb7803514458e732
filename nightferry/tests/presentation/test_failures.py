"""The explanation of a failed run: the last error in its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from nightferry.aws.backend import AwsBackend
from nightferry.backend.errors import Refused
from nightferry.backend.interface import Backend
from nightferry.backend.log_lines import LAST_LINES
from nightferry.backend.log_windows import LogLine
from nightferry.backend.runs import TaskRun
from nightferry.presentation.failures import explain_run

END = datetime(2026, 1, 2, 12, tzinfo=UTC)
RUN = TaskRun(
    "7", "load", "STOPPED", END - timedelta(hours=9), None, END, 1,
    args=(), started_by="anna", execution=None, reason=None,
)  # fmt: skip
TEXT = '{"level": "ERROR", "message": "The disk is full"}'


class Log:
    """A backend with the log of one run, and the periods that were read. Without a log, AWS refuses to read it."""

    def __init__(self, *lines: str | tuple[timedelta, str]) -> None:
        self._lines = [line if isinstance(line, tuple) else (timedelta(), line) for line in lines]
        self.since: list[datetime | None] = []

    def log_reader(self, since: datetime | None = None) -> Log:
        self.since.append(since)
        return self

    def new(self, runs: Sequence[str]) -> Iterator[LogLine]:
        if not self._lines:
            raise Refused("AWS denied logs:FilterLogEvents.")
        yield from (LogLine(n, runs[0], END - before, text) for n, (before, text) in enumerate(self._lines))


def explain(log: Log) -> str | None:
    return explain_run(cast(Backend, cast(Any, log)), RUN)


def test_only_the_last_lines_of_a_long_log_are_read() -> None:
    log = Log("started", TEXT, "ended")
    assert explain(log) == "The disk is full"
    assert log.since == [END - timedelta(minutes=15)]


def test_an_error_before_the_last_lines_or_minutes_is_not_the_last_error() -> None:
    assert explain(Log(TEXT, *["x"] * LAST_LINES)) is None
    assert explain(Log(TEXT, *["x"] * (LAST_LINES - 1))) == "The disk is full"
    assert explain(Log((timedelta(minutes=16), TEXT), "ended")) is None


def test_the_result_of_a_run_on_aws_is_read_from_its_log() -> None:
    line = '{"level": "INFO", "message": "result", "event": "result", "result": {"rows": 3}}'
    ended = replace(RUN, exit_code=0)

    def read(log: Log, run: TaskRun = ended) -> object:
        return AwsBackend.result(cast(Any, log), run)

    assert read(Log("started", line, "ended")) == {"rows": 3}
    assert read(Log("started", "ended")) is None
    assert read(Log()) is None  # the caller may not read the log
    assert read(Log(line), RUN) is None  # a run that failed has none


def test_a_log_that_may_not_be_read_does_not_hide_the_run() -> None:
    assert explain(Log()) == "not known. AWS denied logs:FilterLogEvents."
