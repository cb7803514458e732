"""Queries of runs and executions: filters, pages with a cursor, and counts.

Lists are ordered by time, newest first, and by ID within the same time. A page ends with the cursor of its last entry,
and the next page begins after it: entries that are added in the meantime neither shift nor repeat others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self, TypeVar, get_args, overload

from nightferry.contract import StopCode

Outcome = Literal["open", "succeeded", "failed", "stopped"]
"""The result of a run or execution so far. ``stopped``, by a person or command, is not a failure."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Entry = TypeVar("Entry", covariant=True)


@dataclass(frozen=True, order=True)
class Cursor:
    """The place of an entry in a list: its time and its ID, or no ID for a place before all IDs of that time.

    As text, it fits into a URL's query.
    """

    time: datetime
    id: str

    def __str__(self) -> str:
        return f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{self.id}"

    @property
    def number(self) -> int:
        """Return the ID of an entry whose ID is a number; 0 without one, and for another text in a URL."""
        return int(self.id) if re.fullmatch("[0-9]{1,18}", self.id) else 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor of a text; raises ValueError."""
        time, mark, id = text.partition("~")
        if not mark:
            raise ValueError(f"'{text}' is not a place in a list")
        return cls(datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC), id)


@dataclass(frozen=True)
class RunFilter:
    """The runs that a query is for; None includes all.

    ``since`` is inclusive and ``until`` exclusive; both apply to the time at which a run was requested. ``text`` is
    searched, without regard to case, in the ID, the arguments and variables of the start, its author, and the reason.
    """

    task: str | None = None
    execution: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True)
class ExecutionFilter:
    """The executions that a query is for, as in :class:`RunFilter`. ``text`` is searched in the ID."""

    workflow: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


ALL_RUNS = RunFilter()
ALL_EXECUTIONS = ExecutionFilter()


@dataclass(frozen=True)
class Page(Sequence[Entry]):
    """A part of a list. ``next`` is the place after which the list continues, or None at its end.

    A search for text examines a limited number of entries, so a page may be short although the list continues.
    """

    entries: tuple[Entry, ...]
    next: Cursor | None

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        return self.entries[index]


@dataclass(frozen=True)
class Count:
    """A number of entries. ``complete`` is False if there are more, because counting stopped at a limit."""

    number: int
    complete: bool

    def __str__(self) -> str:
        return f"{self.number:,}" if self.complete else f"{self.number:,}+"


def count_entries(page: Page[object], count: Callable[[], Count]) -> Count:
    """Return the number of entries of the list that ``page`` begins; ``count`` is called only if the list continues."""
    return Count(len(page), complete=True) if page.next is None else count()


def judge_run(status: str, exit_code: int | None, stop_code: str | None) -> Outcome:
    """Return the outcome of a run from its status and its end."""
    if status != "STOPPED":
        return "open"
    if exit_code == 0:
        return "succeeded"
    return "stopped" if stop_code == StopCode.BY_USER else "failed"


def judge_execution(status: str) -> Outcome:
    """Return the outcome of an execution from its status."""
    outcomes: dict[str, Outcome] = {"SUCCEEDED": "succeeded", "ABORTED": "stopped", "FAILED": "failed"}
    return outcomes.get(status, "failed" if status == "TIMED_OUT" else "open")
