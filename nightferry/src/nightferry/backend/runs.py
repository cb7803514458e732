"""Runs: one start of a task each, and the request for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from nightferry.backend.queries import Outcome, judge_run
from nightferry.contract import SCHEDULED_AT_VARIABLE, StopCode, parse_repeat, parse_scheduled_time

RunStatus = Literal[
    "QUEUED",  # recorded but not started; the other statuses are those of ECS
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
]


@dataclass(frozen=True)
class RunRequest:
    """A request to run a task. ``env`` and ``args`` are added to the task's own. None means its own size."""

    task: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cpu: int | None = None
    memory: int | None = None
    started_by: str = ""


@dataclass(frozen=True)
class RunSummary:
    """One run of a task, as in a picture or a statistic of many. ``stop_code`` is an ECS stop code.

    ``exit_code`` is None while the run is open and if it never started.
    """

    id: str
    task: str
    status: RunStatus
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    exit_code: int | None
    stop_code: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Return the outcome so far."""
        return judge_run(self.status, self.exit_code, self.stop_code)

    @property
    def succeeded(self) -> bool:
        """Return True if the run ended with exit code 0."""
        return self.status == "STOPPED" and self.exit_code == 0

    @property
    def seconds(self) -> float | None:
        """Return the time from the start to the end in seconds; None for a run that is open or never started."""
        if self.started_at is None or self.stopped_at is None:
            return None
        return max((self.stopped_at - self.started_at).total_seconds(), 0)


@dataclass(frozen=True, kw_only=True)
class TaskRun(RunSummary):
    """One run of a task with its data.

    ``reason`` explains why the run stopped. ``links`` are URLs for a browser, by name. ``args``, ``env``, ``cpu`` and
    ``memory`` are what this start changed, as in :class:`RunRequest`. They may contain personal data;
    :mod:`nightferry.presentation.inputs` redacts them. ``attempt`` counts the attempts of a task with ``retry``; a
    further attempt of the local engine is queued until ``not_before``. ``revision`` is the family and number of the
    task definition on AWS, and ``image`` the container's image with its digest; the local engine runs the project's own
    folder.
    """

    args: tuple[str, ...]
    started_by: str
    execution: str | None
    reason: str | None
    links: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cpu: int | None = None
    memory: int | None = None
    attempt: int = 1
    not_before: datetime | None = None
    revision: str | None = None
    image: str | None = None

    @property
    def repeats(self) -> str | None:
        """Return the ID, or its beginning, of the run that this run repeats, with the same inputs or changed ones."""
        return parse_repeat(self.started_by)

    @property
    def scheduled_at(self) -> datetime | None:
        """Return the time for which a schedule or a backfill started the run, or None."""
        try:
            return parse_scheduled_time(self.env.get(SCHEDULED_AT_VARIABLE))
        except ValueError:  # the variable was set by hand
            return None

    @property
    def stopped_by_user(self) -> bool:
        """Return True if a person or command stopped the run. Its exit code, often 143, is then not a failure."""
        return self.status == "STOPPED" and self.stop_code == StopCode.BY_USER
