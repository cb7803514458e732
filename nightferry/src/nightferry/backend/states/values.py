"""The states of an execution as values: passes through states, their attempts and data, and the items of Map states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from nightferry.states.machine.history import HistoryEvent

ItemStatus = Literal["failed", "stopped", "running", "pending", "succeeded"]

ITEM_STATUSES: tuple[ItemStatus, ...] = get_args(ItemStatus)
"""The statuses of an item, those that need attention first. An item is ``pending`` until it starts."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a Task state: its times, its error if it failed, and the runs that it started."""

    scheduled_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StateExecution:
    """One pass of an execution through a state: its times, its outcome and the runs that it started.

    ``depth`` counts the Map and Parallel states around the state. ``attempts`` is 1 without a retry, and 0 if the state
    is not a Task; ``tries`` has their times. ``path`` names the state and those around it, as in ``each[1] / load``;
    ``visit`` counts the passes through the same path. ``index`` is the number of the item of the innermost Map around
    the state, and ``key`` a redacted name of that item. ``left`` is False for a state that is open or was stopped; a
    state that failed was left if its failure was caught.
    """

    name: str
    type: str
    entered_at: datetime
    exited_at: datetime | None
    failed: bool
    error: str | None
    attempts: int
    depth: int
    runs: tuple[str, ...]
    path: str = ""
    visit: int = 1
    index: int | None = None
    key: str | None = None
    tries: tuple[Attempt, ...] = ()
    left: bool = False


@dataclass(frozen=True)
class AttemptData(Attempt):
    """One attempt of a Task state with its data."""

    parameters: Any = None
    result: Any = None
    cause: str | None = None


@dataclass(frozen=True)
class StateData:
    """One pass through a state with its data and events. The data may contain personal data.

    ``exited`` is False if the state has no output yet. ``truncated`` is True if AWS left out a part of the data.
    """

    state: StateExecution
    input: Any
    output: Any
    exited: bool
    cause: str | None
    attempts: tuple[AttemptData, ...]
    events: tuple[HistoryEvent, ...]
    truncated: bool = False


@dataclass(frozen=True)
class MapItem:
    """One item of a Map state."""

    index: int
    status: ItemStatus
    key: str | None
    started_at: datetime | None
    stopped_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class MapSummary:
    """One pass through a Map state: how many of its items have each status."""

    path: str
    visit: int
    counts: Mapping[ItemStatus, int]

    @property
    def total(self) -> int:
        """Return the number of items."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class MapItems(MapSummary):
    """All items of one pass through a Map state, in columns, because there may be thousands.

    Times are seconds since 1970, or 0 if unknown. ``keys`` are redacted.
    """

    statuses: bytes = b""  # positions in ITEM_STATUSES
    starts: Sequence[float] = ()
    stops: Sequence[float] = ()
    keys: Sequence[str | None] = ()
    errors: Mapping[int, str] = field(default_factory=dict)

    def __getitem__(self, index: int) -> MapItem:
        return MapItem(
            index,
            ITEM_STATUSES[self.statuses[index]],
            self.keys[index],
            _to_time(self.starts[index]),
            _to_time(self.stops[index]),
            self.errors.get(index),
        )

    def __len__(self) -> int:
        return len(self.statuses)


def _to_time(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
