"""The parts of a frame: its stream of events, its branches or iterations, the awaited outcome, and failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightferry.states.data.payload import EMPTY, Payload
from nightferry.states.machine.commands import Item
from nightferry.states.machine.history import HistoryEvent


@dataclass(slots=True)
class Stream:
    """One history: the execution's (``child`` is empty), or that of a child execution of a distributed Map.

    An ``express`` execution has another ARN, and no limit of its events. ``redriven`` is the time of the last redrive.
    """

    child: str
    express: bool = False
    last: int = 0
    started: datetime | None = None
    redrives: int = 0
    redriven: datetime | None = None
    input: Payload = EMPTY


@dataclass(frozen=True, slots=True)
class MapLimits:
    """The maximum of a Map's running children, and the number or percentage of children that may fail."""

    concurrency: int
    tolerated: int
    percentage: float

    def count_tolerated(self, length: int) -> float:
        """Return the number of ``length`` children that may fail."""
        return max(self.tolerated, self.percentage * length / 100)


@dataclass(slots=True)
class Container:
    """The branches or iterations of a Parallel or Map state.

    ``tip`` is the event before the next iteration's start; ``since`` is the time of the state's start. ``started`` is
    the number of iterations, which start in order, or of branches that have entered their first state.
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
    run_redrives: int = 0  # redrives of the map run
    continued: int = 0  # the execution's redrives when the map run started or was redriven
    waiting: list[int] = field(default_factory=list)  # child executions that the map run must redrive

    # Derived from the state's input, also after a replay, and retained while children need it.
    items: list[Item] | None = None  # a Map's items or batches, until all have ended
    input: Payload | None = None  # the input of a Parallel state's branches, until all have entered a state
    limits: MapLimits | None = None  # a Map's limits

    @property
    def done(self) -> int:
        """The number of iterations that have ended."""
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
        """Record the output of a branch or iteration; the next child's first event follows ``tip``."""
        self.outputs[index] = output
        self.tip = tip
        self.succeeded += 1
        self._child_ended()

    def child_failed(self) -> None:
        """Count a child execution that failed."""
        self.failed += 1
        self._child_ended()

    def child_redriven(self, index: int) -> None:
        """Count an unsuccessful child execution that runs again."""
        self.waiting.remove(index)
        self.running += 1

    def _child_ended(self) -> None:
        self.running -= 1
        if self.succeeded + self.failed == self.length:
            self.items = None

    def run_started(self, run: str, redrives: int) -> None:
        """Record the map run's name, and the execution's redrives so far."""
        self.run, self.continued = run, redrives

    def run_redriven(self, waiting: list[int], redrives: int) -> None:
        """Continue the map run: the child executions in ``waiting``, which have failed, run again."""
        self.run_redrives += 1
        self.waiting, self.continued = waiting, redrives
        self.failed -= len(waiting)
        self.ended_run = 0

    def run_ended(self, event: HistoryEvent) -> None:
        """Record the event that ended the map run."""
        self.ended_run, self.before_end = event.id, event.previous_event_id

    def provide_input(self, input: Payload) -> None:
        """Set the input of the branches, which is retained until all have entered a state."""
        self.input = input

    def provide_limits(self, limits: MapLimits) -> None:
        """Set the limits of the Map."""
        self.limits = limits

    def forget_derived(self) -> None:
        """Clear the data that is derived from the state's input; a redrive derives it again, as a replay does."""
        self.items = self.input = self.limits = None


@dataclass(slots=True)
class Awaited:
    """The outcome that a frame waits for: of a task, or of a distributed Map's objects (without ``scheduled``)."""

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
        """Restart the task's heartbeat interval."""
        if self.heartbeat is not None:
            self.heartbeat_deadline = now + timedelta(seconds=self.heartbeat)

    def start(self, now: datetime) -> None:
        """Record that the task started."""
        self.started = True
        self.beat(now)

    def submit(self, output: Payload, now: datetime) -> None:
        """Record the resource's output when it accepted the task."""
        self.submitted = output
        self.beat(now)


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure of a state.

    A ``final`` failure cannot be retried or caught; a ``fatal`` one ends the execution immediately. ``announced`` is
    True once an event has recorded the failure of a Map or Parallel state, after its retries.
    """

    error: str | None
    cause: str | None
    final: bool = False
    fatal: bool = False
    announced: bool = False
