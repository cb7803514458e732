"""Frames: one for each running sequence of states, with its transitions.

The root frame runs the state machine. A Parallel state's branch, a Map's iteration and a distributed Map's child
execution are child frames of the frame whose state they belong to.

Only the methods of this module change a frame. A transition follows either from an event (:mod:`.fold`) or, without an
event, from the state's definition and data, such as the end of a wait or the time of a retry. When a replayed execution
advances, it repeats the transitions without events from the same data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from nightferry.states.data.payload import EMPTY, Json, Payload
from nightferry.states.language.model import FailState, MapState, Program, State
from nightferry.states.machine.commands import Item
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory.containers import Awaited, Container, Failure, Stream


class Phase(Enum):
    """The next action of a frame, or the event that it waits for."""

    START = auto()  # the next state must be entered
    ENTERED = auto()  # the state was entered and its work must start
    WAITING = auto()  # a Wait state waits until ``wake``
    TASK = auto()  # a task is running
    READING = auto()  # a distributed Map's items are being read
    CHILDREN = auto()  # branches or iterations are running
    WRITING = auto()  # a distributed Map's results are being written
    RESULT = auto()  # the work is done and the state must be left
    FAILED = auto()  # the work failed, and Retry and Catch must be applied
    RETRYING = auto()  # the work restarts at ``wake``
    ENDED = auto()  # the last state was left
    GONE = auto()  # the frame's result is no longer needed


_RETAINED_PHASES = frozenset({Phase.START, Phase.CHILDREN, Phase.RESULT, Phase.ENDED})
_RESTARTING_PHASES = frozenset({Phase.ENTERED, Phase.FAILED, Phase.RETRYING})
_RESTARTING_ERRORS = ("States.DataLimitExceeded", "States.Runtime")


@dataclass(slots=True, eq=False)
class Frame:
    """One running sequence of states. ``key`` identifies it: ``"/0/2"``, or an empty string for the root."""

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
    visits: int = 0  # the number of states that this frame has entered
    before: int = 0  # the event before the state was entered
    tip: int = 0  # the frame's last event
    tip_at: datetime | None = None
    container: Container | None = None
    suspended: list[Frame] = field(default_factory=list)  # see suspend_children
    unsuccessful: dict[int, list[Frame]] = field(default_factory=dict)  # see retain_child
    result: Payload = EMPTY

    # The current attempt of the state's work.
    awaited: Awaited | None = None
    read_items: list[Item] | None = None
    failure: Failure | None = None
    reported: bool = False  # the last event is the outcome of a task
    wake: datetime | None = None
    retrier: int | None = None  # the retrier whose delay is running
    retries: tuple[int, ...] = ()  # retries so far, per retrier
    tried_at: datetime | None = None  # when the last retry started, if no event followed it

    @classmethod
    def create_child(cls, parent: Frame, index: int, program: Program, *, child: Stream | None = None) -> Frame:
        """Return a new frame for a branch or iteration of the parent's state; ``child`` is a child execution's stream.

        A child execution has its own variables, and its first event contains its input.
        """
        return cls(
            f"{parent.key}/{index}",
            program,
            child or parent.stream,
            parent,
            index,
            f"{parent.describe_attempt()}/{index}",
            {} if child else parent.variables,
            next=program.start,
            input_known=child is not None,
        )

    # ── queries ───────────────────────────────────────────────────────────────────────────────────────────────

    def describe_attempt(self) -> str:
        """Return a name of the current attempt of the current state that does not depend on other frames."""
        return f"{self.place}:{self.visits}.{sum(self.retries)}"

    def make_retry_details(self) -> dict[str, Any]:
        """Return the retries so far, for the event that starts the state's work."""
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
        """The token of the awaited outcome, or an empty string."""
        return "" if self.awaited is None else self.awaited.token

    @property
    def distributed(self) -> bool:
        """True for a child execution, which has its own history."""
        return self.parent is not None and self.stream is not self.parent.stream

    @property
    def item(self) -> tuple[int, Item] | None:
        """The index and item of a Map's iteration, or None for other frames and for batches."""
        parent = self.parent
        if parent is None or parent.container is None or parent.container.items is None:
            return None
        if isinstance(parent.state, MapState) and parent.state.batcher is not None:
            return None
        return self.index, parent.container.items[self.index]

    @property
    def announced(self) -> bool:
        """True if an event has recorded the failure of the frame's Map or Parallel state."""
        return self.failure is not None and self.failure.announced

    @property
    def restarts_state(self) -> bool:
        """True if a redrive must restart the state's work, regardless of its last event."""
        return self.phase in _RESTARTING_PHASES and not self.suspended and not self._continues_run

    @property
    def _continues_run(self) -> bool:
        """True if the state failed and a redrive continues its map run.

        A state whose result is too large or cannot be processed starts a new one (developer guide, "Redriving Map
        Runs").
        """
        if self.phase is not Phase.FAILED or self.container is None or not self.container.run:
            return False
        return self.failure is not None and self.failure.error not in _RESTARTING_ERRORS

    @property
    def times(self) -> list[datetime]:
        """The times at which the frame must run again even without an outcome."""
        if self.phase is Phase.TASK and self.awaited is not None:
            return [moment for moment in (self.awaited.deadline, self.awaited.heartbeat_deadline) if moment is not None]
        return [] if self.wake is None else [self.wake]

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────

    def touch(self, event: HistoryEvent) -> None:
        """Record the frame's last event."""
        self.tip = event.id
        self.tip_at = event.timestamp
        self.tried_at = None

    def follow(self, tip: int, tip_at: datetime | None) -> None:
        """Set the event that the frame's next event follows, if it is another frame's or not the last one."""
        self.tip, self.tip_at, self.tried_at = tip, tip_at, None

    def begin(self, event: HistoryEvent, input: Payload) -> None:
        """Start the frame's execution or child execution."""
        self.input = self.stream.input = input
        self.stream.started = event.timestamp
        self.follow(0, event.timestamp)  # as on AWS, the first state's entry follows event 0

    def enter(self, event: HistoryEvent, input: Payload | None) -> None:
        """Enter the state of an event; without ``input``, read the input from the event."""
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
        """Leave the current state; without ``output``, read the output from the event."""
        details = event.details or {}
        self.input = output or Payload(text=details["output"])
        if assigned := details.get("assignedVariables"):
            values = {name: Payload(text=text).value for name, text in assigned.items()}
            self.variables = {**self.variables, **values}
        following = event.engine.get("next") if event.engine else None
        self.next = following or ""
        self.phase = Phase.START if following else Phase.ENDED
        self.clear_children()
        self.result = EMPTY
        self.tip = event.id
        self.tip_at = event.timestamp
        self._clear_attempts()

    def _clear_attempts(self) -> None:
        self.awaited = self.read_items = self.failure = self.wake = self.retrier = self.tried_at = None
        self.retries = ()
        self.reported = False

    # ── work ──────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_attempt(self, event: HistoryEvent, retries: list[int] | None) -> None:
        """Record that the state's work started, after ``retries`` (None: the current number)."""
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
        """Wait until a distributed Map's items are read or its results are written."""
        self.awaited = Awaited(token)
        self.phase = phase

    def receive_items(self, items: list[Item]) -> None:
        """Set the items that were read, for a new run of the Map or for a run that a replay restored."""
        self.awaited = None
        self.read_items = items
        self.phase = Phase.ENTERED if self.container is None else Phase.CHILDREN

    def start_children(self, container: Container) -> None:
        """Start the branches or iterations."""
        self.container = container
        self.phase = Phase.CHILDREN

    def provide_items(self, items: list[Item]) -> None:
        """Set the Map's items or batches for its children."""
        self.children.items = items
        self.read_items = None

    def clear_children(self) -> None:
        """Clear the branches or iterations after they were removed or have ended."""
        self.container = None
        self.suspended = []
        self.unsuccessful = {}

    def retain_child(self, index: int, frames: list[Frame]) -> None:
        """Keep the frames of an unsuccessful child execution, which a redrive continues, until the state is left."""
        self.unsuccessful[index] = frames

    def release_child(self, index: int) -> list[Frame]:
        """Return the frames of an unsuccessful child execution that continues."""
        return self.unsuccessful.pop(index)

    def suspend_children(self, children: list[Frame]) -> None:
        """Keep the descendants of a state that failed until a retry or a catcher handles the failure.

        If nothing does, the execution fails, and a redrive continues with these frames. The branches and iterations
        that have ended are not repeated.
        """
        self.suspended = children

    def resume_children(self) -> list[Frame]:
        """Wait for the suspended descendants again, and return them."""
        children, self.suspended = self.suspended, []
        self.phase = Phase.CHILDREN
        return children

    def drop(self) -> None:
        """Mark the frame as removed, because its result is no longer needed."""
        self.phase = Phase.GONE

    def wait_until(self, moment: datetime) -> None:
        """Wait until ``moment`` in a Wait state."""
        self.wake = moment
        self.phase = Phase.WAITING

    def end_wait(self, result: Payload) -> None:
        """End the wait of a Wait state."""
        self.wake = None
        self.succeed(result)

    def report(self) -> None:
        """Record that the frame's last event is the outcome of a task."""
        self.reported = True

    def succeed(self, result: Payload) -> None:
        """End the state's work with its result."""
        self.awaited = None
        self.result = result
        self.phase = Phase.RESULT

    # ── failures ──────────────────────────────────────────────────────────────────────────────────────────────

    def fail(self, failure: Failure) -> None:
        """Record a failure, to which Retry and Catch must be applied."""
        self.awaited = self.read_items = None
        self.failure = failure
        self.phase = Phase.FAILED

    def wait_for_retry(self, retrier: int, moment: datetime) -> None:
        """Wait until ``moment`` to retry."""
        self.retrier = retrier
        self.wake = moment
        self.phase = Phase.RETRYING

    def retry(self) -> None:
        """Restart the state's work when the retry is due."""
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

    def restart_state(self) -> None:
        """Make a redrive restart the state's work. As on AWS, its next event follows the state's entry."""
        self.tip = self.entered
        self.phase = Phase.ENTERED

    def stop(self, now: datetime) -> None:
        """Stop with the execution, in a state from which a redrive can continue.

        A redrive repeats unfinished and failed work; a frame with branches or iterations still waits for them.
        """
        if self._continues_run or self.phase is Phase.WRITING or (self.phase is Phase.READING and self.container):
            self.phase = Phase.CHILDREN
        elif self.phase not in _RETAINED_PHASES:
            self.restart_state()
        if self.phase is Phase.ENTERED:
            self.result = EMPTY
        if self.container is not None:
            self.container.forget_derived()
        self._clear_attempts()
        self.tip_at = now

    def resume(self, event: HistoryEvent) -> None:
        """Continue after the event of a redrive. As on AWS, a Fail state fails again after that event."""
        self.tip_at = event.timestamp
        if isinstance(self.state, FailState) and (self.parent is None or self.distributed):
            self.tip = event.id

    def redrive(self, event: HistoryEvent) -> None:
        """Record the redrive of the frame's execution or child execution."""
        self.stream.redrives = (event.details or {})["redriveCount"]
        self.stream.redriven = event.timestamp
