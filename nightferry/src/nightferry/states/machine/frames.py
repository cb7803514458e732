"""The state of a running machine: one frame for each sequence of states that runs.

The root frame runs the state machine; a Parallel state's branch, a Map's iteration and a distributed Map's child
execution are frames below the frame whose state they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from nightferry.states.data.payload import EMPTY, Json, Payload
from nightferry.states.language.model import Program, State
from nightferry.states.machine.history import HistoryEvent


class Phase(Enum):
    """Where a frame stands."""

    START = auto()  # a state is to be entered
    ENTERED = auto()  # the state was entered and has its work to do
    WAITING = auto()  # a Wait state, until ``wake``
    TASK = auto()  # a task runs
    READING = auto()  # a distributed Map's items are being read
    CHILDREN = auto()  # branches or iterations run
    WRITING = auto()  # a distributed Map's results are being written
    RESULT = auto()  # the work is done; the state is to be left
    FAILED = auto()  # the work failed; Retry and Catch are to be asked
    RETRYING = auto()  # until ``wake``, then the work begins anew
    ENDED = auto()  # the last state was left
    GONE = auto()  # nobody waits for this frame any more


@dataclass(slots=True)
class Stream:
    """A history of its own: the execution's (``child`` empty), or that of a child execution of a distributed Map."""

    child: str
    last: int = 0
    started: datetime | None = None
    input: Payload = EMPTY


@dataclass(slots=True)
class Container:
    """The branches or iterations of a Parallel or Map state.

    ``tip`` is the event before the next iteration's start. ``started`` counts children, which start in order.
    """

    length: int
    tip: int
    started: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    outputs: dict[int, Payload] = field(default_factory=dict)
    items: list[Json] | None = None
    run: str = ""  # the map run's name
    ended_run: int = 0  # the event that told the map run's end
    before_end: int = 0  # the event before that
    input: Payload | None = None  # what the branches of a Parallel state get
    limits: tuple[int, int, float] | None = None

    @property
    def done(self) -> int:
        return self.succeeded + self.failed


@dataclass(slots=True, eq=False)
class Frame:
    """One running sequence of states."""

    scope: str
    program: Program
    stream: Stream
    parent: Frame | None = None
    index: int = 0
    place: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict)
    item: tuple[int, Json] | None = None
    phase: Phase = Phase.START
    next: str = ""
    input: Payload = EMPTY
    input_known: bool = True

    state: State | None = None
    entered: int = 0
    visits: int = 0  # how many states this frame entered
    entered_at: datetime | None = None
    before: int = 0  # the event before the state was entered
    tip: int = 0
    tip_at: datetime | None = None
    result: Payload = EMPTY
    retries: list[int] = field(default_factory=list)
    wake: datetime | None = None
    container: Container | None = None

    error: str | None = None
    cause: str | None = None
    announced: bool = False  # the failure of a Map or Parallel state was told by an event
    final: bool = False  # nothing may retry or catch the failure
    fatal: bool = False  # the failure ends the execution at once
    retrier: int = 0
    tried_at: datetime | None = None
    read_items: list[Json] | None = None
    scheduled: HistoryEvent | None = None

    token: str = ""
    deadline: datetime | None = None
    heartbeat: int | None = None
    heartbeat_deadline: datetime | None = None
    submitted: Payload | None = None
    task_started: bool = False

    def moment(self) -> str:
        """Names this attempt of this entry of this state, whatever else happens in the execution meanwhile."""
        return f"{self.place}:{self.visits}.{sum(self.retries)}"

    def place_of(self, index: int) -> str:
        """The place of a child that this attempt starts."""
        return f"{self.moment()}/{index}"

    def retried(self) -> dict[str, Any]:
        """The retries so far, for the event with which the work begins anew."""
        return {"retries": list(self.retries)} if any(self.retries) else {}

    @property
    def current(self) -> State:
        """The state that was entered last."""
        assert self.state is not None
        return self.state

    @property
    def distributed(self) -> bool:
        """Whether this frame is a child execution with a history of its own."""
        return self.parent is not None and self.stream is not self.parent.stream
