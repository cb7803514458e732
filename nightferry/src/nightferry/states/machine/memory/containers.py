"""What frames hold: streams of events, branches and iterations, what is awaited from outside, and failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightferry.states.data.payload import EMPTY, Json, Payload
from nightferry.states.machine.history import HistoryEvent


@dataclass(slots=True)
class Stream:
    """A history of its own: the execution's (``child`` empty), or that of a child execution of a distributed Map."""

    child: str
    last: int = 0
    started: datetime | None = None
    input: Payload = EMPTY


@dataclass(frozen=True, slots=True)
class Limits:
    """How many children of a Map may run at once, and how many may fail: a number or a percentage."""

    concurrency: int
    tolerated: int
    percentage: float

    def tolerated_of(self, length: int) -> float:
        """Return the number of children of so many that may fail."""
        return max(self.tolerated, self.percentage * length / 100)


@dataclass(slots=True)
class Container:
    """The branches or iterations of a Parallel or Map state.

    ``tip`` is the event before the next iteration's start, ``since`` the time of the state's start. ``started`` counts
    children: iterations, which start in order, and branches that entered their first state.
    """

    length: int
    tip: int
    since: datetime
    started: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    outputs: dict[int, Payload] = field(default_factory=dict)
    run: str = ""  # the map run's name
    ended_run: int = 0  # the event of the map run's end
    before_end: int = 0  # the event before that

    # Derived from the state's input, again after a replay, and kept while children need it.
    items: list[Json] | None = None  # of a Map, or its batches, until all are done
    input: Payload | None = None  # of the branches of a Parallel state, until all have entered a state
    limits: Limits | None = None  # of a Map

    @property
    def done(self) -> int:
        """Return how many iterations have ended."""
        return self.succeeded + self.failed

    def child_started(self) -> None:
        """Count an iteration that starts."""
        self.started += 1
        self.running += 1

    def branch_entered(self) -> None:
        """Count a branch that enters its first state."""
        self.started += 1
        if self.started == self.length:
            self.input = None

    def child_succeeded(self, index: int, output: Payload, tip: int) -> None:
        """Keep the output of a branch or iteration; the next child's first event follows ``tip``."""
        self.outputs[index] = output
        self.tip = tip
        self.succeeded += 1
        self._child_ended()

    def child_failed(self) -> None:
        """Count a child execution that failed."""
        self.failed += 1
        self._child_ended()

    def _child_ended(self) -> None:
        self.running -= 1
        if self.succeeded + self.failed == self.length:
            self.items = None

    def run_started(self, run: str) -> None:
        """Name the map run."""
        self.run = run

    def run_ended(self, event: HistoryEvent) -> None:
        """Note the event with which the map run ended."""
        self.ended_run, self.before_end = event.id, event.previous_event_id

    def provide_input(self, input: Payload) -> None:
        """Keep the input of the branches until all have entered a state."""
        self.input = input

    def provide_limits(self, limits: Limits) -> None:
        """Keep the limits of the Map."""
        self.limits = limits

    def forget_derived(self) -> None:
        """Drop what is derived from the state's input: a redrive derives it again, as its replay would."""
        self.items = self.input = self.limits = None


@dataclass(slots=True)
class Awaited:
    """What a frame waits for outside the execution: a task, or the objects of a distributed Map (no ``scheduled``)."""

    token: str
    scheduled: HistoryEvent | None = None
    deadline: datetime | None = None
    heartbeat: int | None = None
    heartbeat_deadline: datetime | None = None
    submitted: Payload | None = None
    started: bool = False

    @classmethod
    def task(cls, token: str, scheduled: HistoryEvent) -> Awaited:
        """Return the task that an event scheduled."""
        details = scheduled.details or {}
        timeout = details.get("timeoutInSeconds")
        deadline = None if timeout is None else scheduled.timestamp + timedelta(seconds=timeout)
        awaited = cls(token, scheduled, deadline, details.get("heartbeatInSeconds"))
        awaited.beat(scheduled.timestamp)
        return awaited

    def beat(self, now: datetime) -> None:
        """Give the task another heartbeat interval."""
        if self.heartbeat is not None:
            self.heartbeat_deadline = now + timedelta(seconds=self.heartbeat)

    def start(self, now: datetime) -> None:
        """Note that the task's work began."""
        self.started = True
        self.beat(now)

    def submit(self, output: Payload, now: datetime) -> None:
        """Note what the resource returned when it accepted the task."""
        self.submitted = output
        self.beat(now)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a state could not do its work.

    Nothing retries or catches a ``final`` failure; a ``fatal`` one ends the execution at once. ``announced``: an event
    recorded the failure of the Map or Parallel state, after its retriers.
    """

    error: str | None
    cause: str | None
    final: bool = False
    fatal: bool = False
    announced: bool = False
