"""Starts by schedules and triggers: every decision of an environment, and its progress.

A start is decided once, at or after the time at which it was due. Lists are ordered by the time of the decision, newest
first. What an environment does not record is :class:`NotKnown`, with the reason, and never an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from nightferry.backend.queries import Outcome

StartOutcome = Literal["started", "skipped", "missed"]
"""The target was started; it was skipped because of its overlap policy; or nothing was started in time."""

START_OUTCOMES: tuple[StartOutcome, ...] = get_args(StartOutcome)


@dataclass(frozen=True)
class NotKnown:
    """A fact that an environment does not have. ``reason`` is a full sentence, with the fix if there is one."""

    reason: str


@dataclass(frozen=True)
class Start:
    """One decision of a schedule or trigger.

    ``source`` is ``schedule:NAME`` or ``trigger:NAME``. ``id`` is the run or execution that was started, or that was
    already open, and ``result`` is the outcome so far of the one that was started. ``object`` is the key of the object
    for which a trigger started its target. A backfill starts what a schedule did not; its starts are those of the
    schedule, and ``by_backfill`` is True.
    """

    source: str
    kind: Literal["task", "workflow"]
    target: str
    due_at: datetime
    decided_at: datetime
    outcome: StartOutcome
    id: str | None = None
    note: str | None = None
    object: str | None = None
    by_backfill: bool = False
    result: Outcome | None = None


@dataclass(frozen=True)
class StartFilter:
    """The starts that a query is for; None includes all.

    ``source`` is that of a :class:`Start`. ``since`` is inclusive and ``until`` exclusive; both apply to the decision.
    """

    source: str | None = None
    outcome: StartOutcome | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL_STARTS = StartFilter()


@dataclass(frozen=True)
class ScheduleProgress:
    """How far an engine has processed a schedule: every fire up to ``decided_until`` has been decided.

    ``first_seen`` is the time at which the engine loaded the declaration for the first time, the origin of a rate.
    ``enabled`` is the value with which the engine loaded it.
    """

    enabled: bool
    first_seen: datetime
    decided_until: datetime


@dataclass(frozen=True)
class SeenObject:
    """An object that a trigger has seen: its key, size and modification time.

    ``start`` is the start for its last version, or None if the trigger started nothing for it: the object existed
    before the trigger (``existed_before``), or the record of the start is older than the retention time. ``gone_at`` is
    the time since which the object no longer exists.
    """

    key: str
    size: int
    modified_at: datetime
    existed_before: bool
    gone_at: datetime | None
    start: Start | None


def make_source(kind: Literal["schedule", "trigger"], name: str) -> str:
    """Return the source of the starts of a schedule or trigger."""
    return f"{kind}:{name}"
