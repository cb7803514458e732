"""The interpreter: a definition and a history in, events and commands out. No clocks, no threads, no I/O.

How it works, stage by stage; each module imports only from those before it:

1. :mod:`.memory` holds the state of an execution: frames, tokens, timers, status. ``memory.fold`` applies events to it.
2. :mod:`.machine` makes an event, applies it at once and collects what a step leads to.
3. :mod:`.flow` computes a state's input and output; :mod:`.work`, :mod:`.failures`, :mod:`.maps` and :mod:`.branches`
   do what a frame's phase demands; :mod:`.outcomes` records what the outside reports.
4. ``advance(now)``, here, runs every frame as far as it gets without the outside.
5. The caller writes the events down, then carries out the commands, and delivers their outcomes.

``replay`` applies a recorded history and does nothing else. What a step changes without an event (a wait's end, the
time of a retry, a Map's items) follows from the definition, the data and the events' times alone: the next ``advance``
of a replayed execution derives it again, and is then in the state of the live one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from nightferry.states.data.errors import InvalidInput, NotRedrivable, StatesError
from nightferry.states.data.payload import Json, Payload
from nightferry.states.language.model import Definition, TaskState
from nightferry.states.language.parser import parse
from nightferry.states.machine import distributed, failures, flow, outcomes
from nightferry.states.machine.branches import CHILD_WORK, make_child_input, record_child_end, run_children
from nightferry.states.machine.commands import Outcome
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.failures import make_failure_details
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.machine import Step as Step  # it is part of this module's interface
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.memory.memory import Memory, Status
from nightferry.states.machine.outcomes import PendingTask as PendingTask  # it is part of this module's interface
from nightferry.states.machine.work import WORK, end_wait

HISTORY_LIMIT_EVENTS = 25_000
"""Events of one execution (service quota); an execution that reaches it fails."""


class Execution:
    """One execution of a state machine. Made by :meth:`start` or :meth:`replay`."""

    def __init__(self, definition: Definition, info: ContextInfo) -> None:
        self.definition = definition
        self._machine = Machine(definition.program, info)

    @classmethod
    def start(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        input: Json = None,
        *,
        context: ContextInfo | None = None,
        now: datetime | None = None,
    ) -> Execution:
        """Return a new execution; ``advance`` runs it. ``input`` is a JSON value ({} when None).

        ``now`` is the start's time, by default that of ``context``.
        """
        execution = cls(_ensure_parsed(definition), context or ContextInfo())
        machine = execution._machine
        machine.now = now or machine.info.start_time
        payload = _make_input({} if input is None else input)
        details = {"input": payload.text, "inputDetails": {"truncated": False}}
        machine.emit(machine.memory.root, "ExecutionStarted", details, payload=payload)
        execution._run_all()
        return execution

    @classmethod
    def replay(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        history: Iterable[HistoryEvent],
        *,
        context: ContextInfo | None = None,
    ) -> Execution:
        """Return the execution as it was after the last event of ``history`` (in the order of the events' making)."""
        execution = cls(_ensure_parsed(definition), context or ContextInfo())
        execution._machine.replay(history)
        execution._run_all()
        return execution

    # ── what the outside sees ─────────────────────────────────────────────────────────────────────────────────

    @property
    def memory(self) -> Memory:
        """The state of the execution. Only events and the transitions of an ``advance`` change it."""
        return self._machine.memory

    @property
    def history(self) -> list[HistoryEvent]:
        """All events so far."""
        return self._machine.history

    @property
    def now(self) -> datetime:
        """The latest time that the execution was given."""
        return self._machine.now

    @property
    def status(self) -> Status:
        """Return the status."""
        return self.memory.status

    @property
    def output(self) -> Json:
        """The output of an execution that succeeded."""
        output = self.memory.output
        return None if output is None else output.value

    @property
    def error(self) -> str | None:
        """Return the error of an execution that failed."""
        return self.memory.error

    @property
    def cause(self) -> str | None:
        """Return the cause of an execution that failed."""
        return self.memory.cause

    @property
    def ended(self) -> bool:
        """Return True once the execution no longer runs."""
        return self.memory.ended

    @property
    def _deadline(self) -> datetime | None:
        """When the execution's own time limit ends, counted from its (latest) start."""
        seconds, started = self.definition.timeout_seconds, self.memory.started
        return None if seconds is None or started is None else started + timedelta(seconds=seconds)

    @property
    def next_wakeup(self) -> datetime | None:
        """When to call ``advance`` although nothing was delivered; None if the execution waits for the outside only."""
        if self.ended:
            return None
        times = [moment for moment in (self.memory.next_timer(), self._deadline) if moment is not None]
        return min(times, default=None)

    @property
    def pending_tasks(self) -> list[PendingTask]:
        """The tasks without an end. After a replay these, and no others, may still run."""
        tasks = [outcomes.describe_pending(token, frame) for token, frame in self.memory.tokens.items()]
        return [task for task in tasks if task is not None]

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, now: datetime) -> Step:
        """Run as far as possible without the outside. Returns the events and commands since the last time."""
        machine = self._machine
        machine.now = max(now, machine.now)
        if not self.ended and self._deadline is not None and machine.now >= self._deadline:
            machine.conclude(machine.memory.root, "ExecutionTimedOut", {"error": "States.Timeout"})
        self._wake()
        while machine.ready and not self.ended:
            self._run(machine.ready.popleft())
            if not machine.ready:
                self._wake()
        return machine.take_step()

    def deliver(self, token: str, outcome: Outcome, now: datetime) -> bool:
        """Record the outcome of a task; call ``advance`` afterwards. False if the outcome is not needed."""
        frame = self.memory.tokens.get(token)
        if frame is None or self.ended:
            return False
        self._machine.now = max(now, self._machine.now)
        apply = outcomes.record_outcome if isinstance(frame.current, TaskState) else distributed.apply_outcome
        apply(self._machine, frame, outcome)
        return True

    def abort(self, error: str | None, cause: str | None, now: datetime) -> None:
        """Stop the execution; the next ``advance`` returns the commands that cancel its tasks."""
        if not self.ended:
            machine = self._machine
            machine.now = max(now, machine.now)
            machine.conclude(machine.memory.root, "ExecutionAborted", make_failure_details(error, cause))

    def redrive(self, now: datetime) -> None:
        """Start an execution that did not succeed again from where it stopped; ``advance`` runs it.

        What had succeeded is not repeated; a Map or Parallel state that had failed begins anew. Retries count from
        zero. Raises NotRedrivable.
        """
        if self.status not in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise NotRedrivable(f"The execution is {self.status}: only one that failed can be started again.")
        machine, root = self._machine, self.memory.root
        machine.now = max(now, machine.now)
        details = {"redriveCount": self.memory.redrives + 1}
        machine.emit(root, "ExecutionRedriven", details, previous=root.stream.last)
        self._run_all()

    def _run_all(self) -> None:
        """Have every frame run in the next step, in the order in which those of a live execution run.

        Frames with children come first: they derive what their children need. Then those that had run, those that had
        not run since their outcome, in the order of their last events, and at last those that are yet to enter a state.
        """
        frames = list(self.memory.frames.values())
        parents = [frame for frame in frames if frame.phase is Phase.CHILDREN]
        others = [frame for frame in frames if frame.phase is not Phase.CHILDREN]
        others.sort(key=lambda frame: (frame.phase is Phase.START, frame.reported, frame.stream.child, frame.tip))
        self._machine.ready.clear()
        self._machine.ready.extend(parents + others)

    def _wake(self) -> None:
        """Have the frames run whose time has come, one time after the other: a replay may come to several at once."""
        machine = self._machine
        for frame in machine.memory.pop_due(machine.now):
            if frame.phase is Phase.TASK:
                outcomes.time_out(machine, frame)
            machine.ready.append(frame)

    def _run(self, frame: Frame) -> None:
        """Run a frame until it waits for something, or is gone."""
        machine, memory = self._machine, self._machine.memory
        while memory.status == "RUNNING":
            if frame.stream.last >= HISTORY_LIMIT_EVENTS - 1:
                self._fail_for_length(frame)
                return
            try:
                match frame.phase:
                    case Phase.START:
                        self._enter(frame)
                    case Phase.ENTERED:
                        kind = type(frame.current)
                        (WORK.get(kind) or CHILD_WORK[kind])(machine, frame)
                    case Phase.RESULT:
                        flow.leave(machine, frame, frame.result, frame.current.next)
                    case Phase.ENDED:
                        following = self._end(frame)
                        if following is None:
                            return
                        frame = following
                    case Phase.CHILDREN:
                        if not run_children(machine, frame):
                            return
                    case Phase.WAITING:
                        if not end_wait(machine, frame):
                            return
                    case Phase.RETRYING:
                        if not failures.retry(machine, frame):
                            return
                    case Phase.FAILED:
                        following = failures.handle(machine, frame)
                        if following is None:
                            return
                        frame = following
                    case _:
                        return
            except StatesError as error:
                if not frame.input_known and frame.parent is not None:
                    # The state around could not make this branch's input: the failure is its own.
                    frame.parent.follow(frame.tip, frame.tip_at)
                    frame = frame.parent
                failures.record_failure(machine, frame, error)

    def _enter(self, frame: Frame) -> None:
        payload = frame.input if frame.input_known else make_child_input(self._machine, frame)
        state = frame.program.states[frame.next]
        details = {"input": payload.text, "inputDetails": {"truncated": False}, "name": state.name}
        self._machine.emit(frame, f"{state.type}StateEntered", details, payload=payload)

    def _end(self, frame: Frame) -> Frame | None:
        """End the frame, whose last state was left; return the frame that runs next."""
        if frame.parent is None or frame.distributed:
            details = {"output": frame.input.text, "outputDetails": {"truncated": False}}
            self._machine.emit(frame, "ExecutionSucceeded", details, payload=frame.input)
        else:
            record_child_end(self._machine, frame)
        return frame.parent

    def _fail_for_length(self, frame: Frame) -> None:
        cause = f"The execution reached the maximum number of history events ({HISTORY_LIMIT_EVENTS})."
        ending = frame if frame.distributed else self.memory.root
        self._machine.conclude(ending, "ExecutionFailed", make_failure_details("States.Runtime", cause))


def _ensure_parsed(definition: Definition | Mapping[str, Any] | str) -> Definition:
    return definition if isinstance(definition, Definition) else parse(definition)


def _make_input(value: Json) -> Payload:
    payload = Payload(value)
    try:
        flow.check_size("", payload)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input is not JSON: {error}.") from None
    except StatesError:
        raise InvalidInput(f"The input has more than {flow.DATA_LIMIT_BYTES:,} bytes.") from None
    return payload
