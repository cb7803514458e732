"""Frames: one for each sequence of states that runs, with the transitions that it can make.

The root frame runs the state machine; a Parallel state's branch, a Map's iteration and a distributed Map's child
execution are frames below the frame whose state they belong to.

Only the methods of this module change a frame. A transition is made either because of an event (:mod:`.fold`), or
because of what the state's definition and its data lead to without an event: the end of a wait, the time of a retry.
A replayed execution makes the transitions of the second kind again when it advances, from the same data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from nightferry.states.data.payload import EMPTY, Json, Payload
from nightferry.states.language.model import MapState, Program, State
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory.containers import Awaited, Container, Failure, Stream


class Phase(Enum):
    """What a frame does next, or waits for."""

    START = auto()  # a state is to be entered
    ENTERED = auto()  # the state was entered and has its work to do
    WAITING = auto()  # a Wait state, until ``wake``
    TASK = auto()  # a task runs
    READING = auto()  # a distributed Map's items are being read
    CHILDREN = auto()  # branches or iterations run
    WRITING = auto()  # a distributed Map's results are being written
    RESULT = auto()  # the work is done; the state is to be left
    FAILED = auto()  # the work failed; Retry and Catch are to be applied
    RETRYING = auto()  # until ``wake``, then the work begins anew
    ENDED = auto()  # the last state was left
    GONE = auto()  # the result of this frame is no longer needed


_KEPT = frozenset({Phase.START, Phase.CHILDREN, Phase.RESULT, Phase.ENDED})
_BEGINS_ANEW = frozenset({Phase.ENTERED, Phase.FAILED, Phase.RETRYING})


@dataclass(slots=True, eq=False)
class Frame:
    """One running sequence of states. ``key`` is its name among the frames: ``"/0/2"``, empty for the root."""

    key: str
    program: Program
    stream: Stream
    parent: Frame | None = None
    index: int = 0
    place: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict)
    phase: Phase = Phase.START
    next: str = ""
    input: Payload = EMPTY
    input_known: bool = True

    state: State | None = None
    entered: int = 0
    entered_at: datetime | None = None
    visits: int = 0  # how many states this frame entered
    before: int = 0  # the event before the state was entered
    tip: int = 0  # the frame's last event
    tip_at: datetime | None = None
    container: Container | None = None
    result: Payload = EMPTY

    # One attempt of the current state's work.
    awaited: Awaited | None = None
    read_items: list[Json] | None = None
    failure: Failure | None = None
    reported: bool = False  # the outcome of a task is the last event
    wake: datetime | None = None
    retrier: int | None = None  # the retrier whose delay the frame waits for
    retries: tuple[int, ...] = ()  # retries so far, per retrier
    tried_at: datetime | None = None  # when the last retry began, if no event followed it

    @classmethod
    def below(cls, parent: Frame, index: int, program: Program, *, child: Stream | None = None) -> Frame:
        """Return a new frame for a branch or iteration of the parent's state; ``child`` is a child execution's stream.

        A child execution has its own variables; its first event gives its input.
        """
        return cls(
            f"{parent.key}/{index}",
            program,
            child or parent.stream,
            parent,
            index,
            f"{parent.moment()}/{index}",
            {} if child else parent.variables,
            next=program.start,
            input_known=child is not None,
        )

    # ── queries ───────────────────────────────────────────────────────────────────────────────────────────────

    def moment(self) -> str:
        """Return a name of this attempt of this entry of this state that does not depend on other frames."""
        return f"{self.place}:{self.visits}.{sum(self.retries)}"

    def retried(self) -> dict[str, Any]:
        """Return the retries so far, for the event with which the work begins anew."""
        return {"retries": list(self.retries)} if any(self.retries) else {}

    @property
    def current(self) -> State:
        """The state that was entered last."""
        assert self.state is not None
        return self.state

    @property
    def children(self) -> Container:
        """The branches or iterations of the current state."""
        assert self.container is not None
        return self.container

    @property
    def token(self) -> str:
        """The token of what the frame waits for outside the execution."""
        return "" if self.awaited is None else self.awaited.token

    @property
    def distributed(self) -> bool:
        """Return True for a child execution with a history of its own."""
        return self.parent is not None and self.stream is not self.parent.stream

    @property
    def item(self) -> tuple[int, Json] | None:
        """The index and item of a Map's iteration; None for other frames and for batches."""
        parent = self.parent
        if parent is None or parent.container is None or parent.container.items is None:
            return None
        if isinstance(parent.state, MapState) and parent.state.batcher is not None:
            return None
        return self.index, parent.container.items[self.index]

    @property
    def announced(self) -> bool:
        """Return True if an event recorded the failure of the frame's Map or Parallel state."""
        return self.failure is not None and self.failure.announced

    @property
    def restarts_state(self) -> bool:
        """Return True if the state's work is to be done from its beginning, whatever its last event was."""
        return self.phase in _BEGINS_ANEW

    @property
    def times(self) -> list[datetime]:
        """The times at which the frame is to be run again without an outcome."""
        if self.phase is Phase.TASK and self.awaited is not None:
            return [moment for moment in (self.awaited.deadline, self.awaited.heartbeat_deadline) if moment is not None]
        return [] if self.wake is None else [self.wake]

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────

    def touch(self, event: HistoryEvent) -> None:
        """Make the event the frame's last one."""
        self.tip = event.id
        self.tip_at = event.timestamp
        self.tried_at = None

    def follow(self, tip: int, tip_at: datetime | None) -> None:
        """Have the frame's next event follow an event that belongs to another frame or is not its last one."""
        self.tip, self.tip_at, self.tried_at = tip, tip_at, None

    def begin(self, event: HistoryEvent, input: Payload) -> None:
        """Start the execution, or the child execution, that the frame runs."""
        self.input = self.stream.input = input
        self.stream.started = event.timestamp
        self.follow(0, event.timestamp)  # AWS: the first state's entry follows event 0

    def enter(self, event: HistoryEvent, input: Payload | None) -> None:
        """Enter the state that the event names; ``input`` if it need not be read from the event."""
        details = event.details or {}
        self.state = self.program.states[details["name"]]
        self.input = input or Payload(text=details["input"])
        self.input_known = True
        self.before = event.previous_event_id
        self.entered = self.tip = event.id
        self.entered_at = self.tip_at = event.timestamp
        self.visits += 1
        self.phase = Phase.ENTERED

    def leave(self, event: HistoryEvent, output: Payload | None) -> None:
        """Leave the current state; ``output`` if it need not be read from the event."""
        details = event.details or {}
        self.input = output or Payload(text=details["output"])
        if assigned := details.get("assignedVariables"):
            values = {name: Payload(text=text).value for name, text in assigned.items()}
            self.variables = {**self.variables, **values}
        following = event.engine.get("next") if event.engine else None
        self.next = following or ""
        self.phase = Phase.START if following else Phase.ENDED
        self.container = None
        self.result = EMPTY
        self.tip = event.id
        self.tip_at = event.timestamp
        self._forget_attempts()

    def _forget_attempts(self) -> None:
        self.awaited = self.read_items = self.failure = self.wake = self.retrier = self.tried_at = None
        self.retries = ()
        self.reported = False

    # ── work ──────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_attempt(self, event: HistoryEvent, retries: list[int] | None) -> None:
        """Note that the state's work began, after so many retries (None: as many as are known)."""
        if retries is not None:
            self.retries = tuple(retries)
        self.failure = self.read_items = None
        self.reported = False
        self.touch(event)

    def await_task(self, awaited: Awaited) -> None:
        """Wait for a task."""
        self.awaited = awaited
        self.phase = Phase.TASK

    def await_objects(self, phase: Phase, token: str) -> None:
        """Wait until a distributed Map's items are read, or its results written."""
        self.awaited = Awaited(token)
        self.phase = phase

    def take_items(self, items: list[Json]) -> None:
        """Take the items that were read: for a new run of the Map, or for one that a replay restored."""
        self.awaited = None
        self.read_items = items
        self.phase = Phase.ENTERED if self.container is None else Phase.CHILDREN

    def start_children(self, container: Container) -> None:
        """Run the branches or iterations."""
        self.container = container
        self.phase = Phase.CHILDREN

    def provide_items(self, items: list[Json]) -> None:
        """Keep the items of the Map, or its batches, for its children."""
        self.children.items = items
        self.read_items = None

    def lose_children(self) -> None:
        """Forget the branches or iterations, which were dropped or are over."""
        self.container = None

    def drop(self) -> None:
        """Stop for good: the result of this frame is no longer needed."""
        self.phase = Phase.GONE

    def wait_until(self, moment: datetime) -> None:
        """Wait, in a Wait state."""
        self.wake = moment
        self.phase = Phase.WAITING

    def end_wait(self, result: Payload) -> None:
        """End the wait of a Wait state."""
        self.wake = None
        self.succeed(result)

    def report(self) -> None:
        """Note that the outcome of a task is the frame's last event."""
        self.reported = True

    def succeed(self, result: Payload) -> None:
        """End the state's work with its result."""
        self.awaited = None
        self.result = result
        self.phase = Phase.RESULT

    # ── failures ──────────────────────────────────────────────────────────────────────────────────────────────

    def fail(self, failure: Failure) -> None:
        """Fail: Retry and Catch are to be applied."""
        self.awaited = self.read_items = None
        self.failure = failure
        self.phase = Phase.FAILED

    def wait_for_retry(self, retrier: int, moment: datetime) -> None:
        """Wait for the time of a retry."""
        self.retrier = retrier
        self.wake = moment
        self.phase = Phase.RETRYING

    def retry(self) -> None:
        """Begin the state's work anew: the time of the retry has come."""
        chosen = self.retrier
        assert chosen is not None
        counts = [*self.retries, *([0] * (chosen + 1 - len(self.retries)))]
        counts[chosen] += 1
        self.retries = tuple(counts)
        self.tried_at = self.wake
        self.wake = self.retrier = self.failure = None
        self.reported = False
        self.phase = Phase.ENTERED

    # ── the end of the execution ──────────────────────────────────────────────────────────────────────────────

    def restart_state(self, tip: int) -> None:
        """Have a redrive do the state's work from its beginning; its event follows ``tip``."""
        self.tip = tip
        self.phase = Phase.ENTERED

    def stop(self, now: datetime) -> None:
        """Stop with the execution, so that a redrive can continue.

        What was being done, or had failed, is done again; a frame with branches or iterations still waits for them.
        """
        if self.phase is Phase.WRITING or (self.phase is Phase.READING and self.container is not None):
            self.phase = Phase.CHILDREN
        elif self.phase not in _KEPT:
            self.phase = Phase.ENTERED
        if self.phase is Phase.ENTERED:
            self.result = EMPTY
        if self.container is not None:
            self.container.forget_derived()
        self._forget_attempts()
        self.tip_at = now

    def resume(self, now: datetime) -> None:
        """Continue after a redrive."""
        self.tip_at = now
