"""The machine: a definition and a history in, events and commands out. No clocks, no threads, no I/O.

How it works, stage by stage:

1. ``advance(now)`` runs every frame as far as it gets without the outside. A frame's phase says what is to be done
   next; doing it makes an event (:mod:`.work`, :mod:`.branches`, :mod:`.maps`, :mod:`.failures`).
2. Each event is applied at once (:mod:`.fold`). Only that changes what the machine knows.
3. The caller writes the events down, then carries out the commands, and delivers what came of them.

``replay`` applies a recorded history and does nothing else: the same functions, so the same state. What an event does
not tell (a wait's end, the rule that a Choice took last) follows from the definition and the events' times alone.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from nightferry.states.data.errors import InvalidInput, NotRedrivable, StatesError
from nightferry.states.data.payload import Json, Payload
from nightferry.states.language.model import Definition, Task
from nightferry.states.language.parser import parse
from nightferry.states.machine import failures, flow, fold, maps, outcomes
from nightferry.states.machine.branches import CHILD_WORK, child_ended, child_input, go_on
from nightferry.states.machine.commands import CancelTask, Command, Outcome
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.frames import Frame, Phase, Stream
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.outcomes import PendingTask as PendingTask  # it is part of this module's interface
from nightferry.states.machine.outcomes import reasons
from nightferry.states.machine.work import WORK

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
HISTORY_LIMIT = 25_000
"""Events of one execution (service quota); an execution that reaches it fails."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one ``advance`` led to: events to write down, then commands to carry out, in this order."""

    events: list[HistoryEvent]
    commands: list[Command]


class Execution:
    """One execution of a state machine. Made by :meth:`start` or :meth:`replay`."""

    def __init__(self, definition: Definition, info: ContextInfo) -> None:
        self.definition = definition
        self.info = info
        self.status: Status = "RUNNING"
        self.error: str | None = None
        self.cause: str | None = None
        self.now = info.start_time
        self.history: list[HistoryEvent] = []
        self.frames: dict[str, Frame] = {}
        self.tokens: dict[str, Frame] = {}
        self._output: Payload | None = None
        self.root = Frame("", definition.program, Stream(""), next=definition.program.start)
        self.frames[""] = self.root
        self._events: list[HistoryEvent] = []
        self._commands: list[Command] = []
        self._ready: deque[Frame] = deque()
        self._timers: list[tuple[datetime, int, Frame]] = []
        self._ticket = 0
        self.started: datetime | None = None
        self.redrives = info.redrive_count
        self._left: list[tuple[Frame, Phase]] = []

    # ── beginnings ────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def start(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        input: Json = None,
        *,
        context: ContextInfo | None = None,
        now: datetime | None = None,
    ) -> Execution:
        """A new execution; ``advance`` makes it go. ``input`` is a JSON value ({} when None).

        ``now`` is the start's time, by default that of ``context``.
        """
        execution = cls(_parsed(definition), context or ContextInfo())
        execution.now = now or execution.info.start_time
        payload = _input({} if input is None else input)
        execution.emit(
            execution.root,
            "ExecutionStarted",
            {"input": payload.text, "inputDetails": {"truncated": False}},
            payload=payload,
        )
        execution._begin()
        return execution

    @classmethod
    def replay(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        history: Iterable[HistoryEvent],
        *,
        context: ContextInfo | None = None,
    ) -> Execution:
        """The execution as it was after the last event of ``history`` (in the order in which the events were made)."""
        execution = cls(_parsed(definition), context or ContextInfo())
        execution.history = list(history)
        for event in execution.history:
            execution.now = event.timestamp
            fold.apply(execution, event)
        execution._commands.clear()
        execution._begin()
        return execution

    def _begin(self) -> None:
        self._ready.extend(self.frames.values())

    # ── what the outside sees ─────────────────────────────────────────────────────────────────────────────────

    @property
    def output(self) -> Json:
        """The output of an execution that succeeded."""
        return None if self._output is None else self._output.value

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"

    @property
    def _deadline(self) -> datetime | None:
        """When the execution's own time limit ends, counted from its (latest) start."""
        seconds, started = self.definition.timeout_seconds, self.started
        return None if seconds is None or started is None else started + timedelta(seconds=seconds)

    @property
    def next_wakeup(self) -> datetime | None:
        """When ``advance`` is to be called although nothing was delivered; None if only the outside can go on."""
        if self.ended:
            return None
        while self._timers and self._timers[0][0] not in _times(self._timers[0][2]):
            heapq.heappop(self._timers)
        times = [self._timers[0][0]] if self._timers else []
        if self._deadline is not None:
            times.append(self._deadline)
        return min(times, default=None)

    @property
    def pending_tasks(self) -> list[PendingTask]:
        """The tasks without an end. After a replay these, and no others, may still run."""
        tasks = [outcomes.pending(token, frame) for token, frame in self.tokens.items()]
        return [task for task in tasks if task is not None]

    # ── going on ──────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, now: datetime) -> Step:
        """Go on as far as possible without the outside. Answers the events and commands since the last time."""
        self.now = max(now, self.now)
        if not self.ended and self._deadline is not None and self.now >= self._deadline:
            self._conclude("ExecutionTimedOut", {"error": "States.Timeout"})
        self._wake()
        while self._ready and not self.ended:
            self._run(self._ready.popleft())
            if not self._ready:
                self._wake()
        step = Step(self._events, self._commands)
        self._events, self._commands = [], []
        return step

    def deliver(self, token: str, outcome: Outcome, now: datetime) -> bool:
        """Tell what came of a task; call ``advance`` afterwards. False if nobody waits for it (any more)."""
        frame = self.tokens.get(token)
        if frame is None or self.ended:
            return False
        self.now = max(now, self.now)
        if not isinstance(frame.current, Task):
            maps.take(self, frame, outcome)
            self._ready.append(frame)
            return True
        outcomes.take(self, frame, outcome)
        return True

    def abort(self, error: str | None, cause: str | None, now: datetime) -> None:
        """Stop the execution; the next ``advance`` answers the commands that cancel its tasks."""
        if not self.ended:
            self.now = max(now, self.now)
            self._conclude("ExecutionAborted", reasons(error, cause))

    def redrive(self, now: datetime) -> None:
        """Start an execution that did not end well again from where it stopped; ``advance`` makes it go.

        What had succeeded is not repeated; a Map or Parallel state that had failed begins anew. Retries count from
        zero. Raises NotRedrivable.
        """
        if self.status not in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise NotRedrivable(f"The execution is {self.status}: only one that failed can be started again.")
        self.now = max(now, self.now)
        self.emit(self.root, "ExecutionRedriven", {"redriveCount": self.redrives + 1}, previous=self.root.stream.last)

    # ── for the modules that do the work ──────────────────────────────────────────────────────────────────────

    def emit(
        self,
        frame: Frame,
        kind: str,
        details: dict[str, Any] | None,
        *,
        previous: int | None = None,
        payload: Payload | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> HistoryEvent:
        """Record an event of the frame and apply it. ``engine`` is what AWS's history does not tell."""
        stream = frame.stream
        told = {name: value for name, value in engine.items() if value is not None} if engine else {}
        if frame.scope:
            told["scope"] = frame.scope
            if stream.child:
                told["child"] = stream.child
        event = HistoryEvent(
            stream.last + 1, frame.tip if previous is None else previous, kind, self.now, details, told or None
        )
        fold.apply(self, event, frame, payload)
        self.history.append(event)
        self._events.append(event)
        return event

    def command(self, command: Command) -> None:
        """Ask the outside for something, once the events so far are written down."""
        self._commands.append(command)

    def make_ready(self, frame: Frame) -> None:
        """Have the frame run in this step."""
        self._ready.append(frame)

    def watch(self, frame: Frame) -> None:
        """Wake the frame when one of its times comes."""
        for moment in _times(frame):
            self._ticket += 1
            heapq.heappush(self._timers, (moment, self._ticket, frame))

    def forget(self, frame: Frame) -> None:
        """Nobody waits for this frame any more."""
        if frame.phase in (Phase.TASK, Phase.READING, Phase.WRITING):
            self.tokens.pop(frame.token, None)
            if isinstance(frame.current, Task):
                self.command(CancelTask(frame.token, frame.current.resource, "Nobody waits for its result any more."))
        frame.phase = Phase.GONE
        self.frames.pop(frame.scope, None)

    def end(
        self, status: Status, *, output: Payload | None = None, error: str | None = None, cause: str | None = None
    ) -> None:
        """The execution ended (called when its last event is applied)."""
        self.status, self._output, self.error, self.cause = status, output, error, cause
        self._left = [(frame, frame.phase) for frame in self.frames.values()]
        for frame in list(self.frames.values()):
            self.forget(frame)

    def restart(self, redrives: int, now: datetime) -> None:
        """Take up the frames that were left when the execution ended (called when its redrive is applied)."""
        self.status, self.error, self.cause = "RUNNING", None, None
        self.redrives, self.started = redrives, now
        for frame, phase in self._left:
            self.frames[frame.scope] = frame
            # What was being done, or had failed, is done again; what waits for others still does.
            frame.phase = phase if phase in (Phase.START, Phase.CHILDREN, Phase.RESULT, Phase.ENDED) else Phase.ENTERED
            if phase is Phase.WRITING:
                frame.phase = Phase.CHILDREN
            frame.retries, frame.tried_at, frame.wake = [], None, None
            frame.announced = frame.final = frame.fatal = False
            self._ready.append(frame)
        self._left = []

    def token_of(self, frame: Frame, work: str = "task") -> str:
        """The token of what the frame's state waits for: the same after a replay, another in every execution."""
        text = f"{self.info.execution_id}\n{self.redrives}\n{frame.moment()}\n{work}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def dice(self, frame: Frame, salt: str) -> Random:
        """Random numbers that the execution and the place in it determine, so that a replay draws the same."""
        return Random(f"{self.info.execution_id}\n{self.redrives}\n{frame.moment()}\n{salt}")  # noqa: S311  (no secret: a workflow's dice)

    # ── within ────────────────────────────────────────────────────────────────────────────────────────────────

    def _conclude(self, kind: str, details: dict[str, Any]) -> None:
        self.emit(self.root, kind, details)

    def _wake(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            moment, _, frame = heapq.heappop(self._timers)
            if moment not in _times(frame):
                continue
            if frame.phase is Phase.TASK:
                outcomes.time_out(self, frame)
            elif frame.phase is Phase.RETRYING:
                failures.retry_now(frame)
            else:
                frame.wake = None
                frame.phase = Phase.RESULT
                frame.result = flow.effective_input(self, frame)
            self._ready.append(frame)

    def _run(self, frame: Frame) -> None:
        """Run a frame until it waits for something, or is gone."""
        while not self.ended:
            if frame.stream.last >= HISTORY_LIMIT - 1:
                self._too_long(frame)
                return
            try:
                match frame.phase:
                    case Phase.START:
                        self._enter(frame)
                    case Phase.ENTERED:
                        state = frame.current
                        (WORK.get(type(state)) or CHILD_WORK[type(state)])(self, frame)
                    case Phase.RESULT:
                        state = frame.current
                        flow.leave(self, frame, frame.result, state.next)
                    case Phase.CHILDREN:
                        if not go_on(self, frame):
                            return
                    case Phase.FAILED:
                        following = failures.handle(self, frame)
                        if following is None:
                            return
                        frame = following
                    case Phase.ENDED:
                        following = self._end(frame)
                        if following is None:
                            return
                        frame = following
                    case _:
                        return
            except StatesError as error:
                if not frame.input_known and frame.parent is not None:
                    # The state around could not make this branch's input: the failure is its own.
                    frame.parent.tip, frame.parent.tip_at = frame.tip, frame.tip_at
                    frame = frame.parent
                failures.note(self, frame, error)

    def _enter(self, frame: Frame) -> None:
        if not frame.input_known:
            frame.input = child_input(self, frame)
            frame.input_known = True
        state = frame.program.states[frame.next]
        details = {"input": frame.input.text, "inputDetails": {"truncated": False}, "name": state.name}
        self.emit(frame, f"{state.type}StateEntered", details, payload=frame.input)

    def _end(self, frame: Frame) -> Frame | None:
        """The frame's last state was left: tell it to whom it matters, who then goes on."""
        if frame.parent is None or frame.distributed:
            details = {"output": frame.input.text, "outputDetails": {"truncated": False}}
            self.emit(frame, "ExecutionSucceeded", details, payload=frame.input)
        else:
            child_ended(self, frame)
        return frame.parent

    def _too_long(self, frame: Frame) -> None:
        cause = f"The execution reached the maximum number of history events ({HISTORY_LIMIT})."
        self.emit(frame if frame.distributed else self.root, "ExecutionFailed", reasons("States.Runtime", cause))


def _parsed(definition: Definition | Mapping[str, Any] | str) -> Definition:
    return definition if isinstance(definition, Definition) else parse(definition)


def _input(value: Json) -> Payload:
    payload = Payload(value)
    try:
        flow.check_size("", payload)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input is not JSON: {error}.") from None
    except StatesError:
        raise InvalidInput(f"The input has more than {flow.DATA_LIMIT:,} bytes.") from None
    return payload


def _times(frame: Frame) -> list[datetime]:
    """The times at which a frame is to be woken, as things stand."""
    match frame.phase:
        case Phase.WAITING | Phase.RETRYING:
            return [frame.wake] if frame.wake is not None else []
        case Phase.TASK:
            return [moment for moment in (frame.deadline, frame.heartbeat_deadline) if moment is not None]
        case _:
            return []
