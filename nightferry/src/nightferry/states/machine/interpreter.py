"""The interpreter: it turns a definition and a history into events and commands, without clocks, threads or I/O.

Its stages; each module imports only from earlier ones:

1. :mod:`.memory` is the state of an execution: frames, tokens, timers and status. ``memory.fold`` applies events to it.
2. :mod:`.machine` creates events, applies them, and collects the events and commands of a step.
3. :mod:`.flow` computes a state's input and output; :mod:`.work`, :mod:`.failures`, :mod:`.maps` and :mod:`.branches`
   process a frame according to its phase; :mod:`.outcomes` records the outcomes that the executor delivers.
4. ``advance(now)`` in this module runs every frame until it ends or waits for an outcome or a time.
5. The caller stores the events, then executes the commands, and delivers their outcomes.

``replay`` only applies a recorded history. Changes without an event (a wait's end, the time of a retry, a Map's items)
depend only on the definition, the data and the events' times. The next ``advance`` of a replayed execution therefore
derives them again, and reaches the same state as the live execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from nightferry.states.data.errors import InvalidInput, NotRedrivable, StatesError
from nightferry.states.data.path_filters import MatchingFailed
from nightferry.states.data.paths import TooManyMatches
from nightferry.states.data.payload import Json, NotJson, Payload
from nightferry.states.language.express import EXPRESS_LIMIT_SECONDS
from nightferry.states.language.model import Definition, MapState, TaskState, iterate_states
from nightferry.states.language.parser import parse
from nightferry.states.machine import distributed, failures, flow, outcomes
from nightferry.states.machine.branches import CHILD_WORK, make_child_input, record_child_end, run_children
from nightferry.states.machine.commands import Outcome
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.failures import make_failure_details
from nightferry.states.machine.history import HISTORY_LIMIT_EVENTS, HistoryEvent
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.machine import Step as Step  # part of this module's interface
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.memory.memory import REDRIVABLE, Memory, Status
from nightferry.states.machine.outcomes import PendingTask as PendingTask  # part of this module's interface
from nightferry.states.machine.work import WORK, end_wait


class Execution:
    """One execution of a state machine, created by :meth:`start` or :meth:`replay`."""

    def __init__(self, definition: Definition, info: ContextInfo) -> None:
        self.definition = definition
        self._machine = Machine(definition.program, info)
        self.memory.root.stream.express = definition.type == "EXPRESS"
        states = iterate_states(definition.program)
        self._has_express_children = any(isinstance(state, MapState) and state.express for state in states)

    @classmethod
    def start(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        input: Json = None,
        *,
        context: ContextInfo | None = None,
        now: datetime | None = None,
    ) -> Execution:
        """Return a new execution; ``advance`` runs it. ``input`` is a JSON value; None means {}.

        ``now`` is the start time; it defaults to the one of ``context``.
        """
        execution = cls(_ensure_parsed(definition), context or ContextInfo())
        machine = execution._machine
        machine.now = now or machine.info.start_time
        payload = _make_input({} if input is None else input)
        details = {"input": payload.text, "inputDetails": {"truncated": False}}
        machine.emit(machine.memory.root, "ExecutionStarted", details, payload=payload)
        execution._schedule_all()
        return execution

    @classmethod
    def replay(
        cls,
        definition: Definition | Mapping[str, Any] | str,
        history: Iterable[HistoryEvent],
        *,
        context: ContextInfo | None = None,
    ) -> Execution:
        """Return the execution as it was after the last event of ``history``, which is in order of creation."""
        execution = cls(_ensure_parsed(definition), context or ContextInfo())
        execution._machine.replay(history)
        execution._schedule_all()
        return execution

    # ── queries ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def memory(self) -> Memory:
        """The state of the execution. Only events and ``advance`` change it."""
        return self._machine.memory

    @property
    def history(self) -> list[HistoryEvent]:
        """All events so far, or since the last :meth:`forget_history`."""
        return self._machine.history

    def forget_history(self) -> None:
        """Release the memory of the events so far. No later step needs them; the caller has stored them."""
        self._machine.history.clear()

    @property
    def now(self) -> datetime:
        """The latest time that was passed to the execution."""
        return self._machine.now

    @property
    def status(self) -> Status:
        """``RUNNING``, or the status with which the execution ended."""
        return self.memory.status

    @property
    def output(self) -> Json:
        """The output of a successful execution."""
        output = self.memory.output
        return None if output is None else output.value

    @property
    def error(self) -> str | None:
        """The error of a failed execution."""
        return self.memory.error

    @property
    def cause(self) -> str | None:
        """The cause of a failed execution."""
        return self.memory.cause

    @property
    def ended(self) -> bool:
        """True once the execution is no longer running."""
        return self.memory.ended

    @property
    def _deadline(self) -> datetime | None:
        """The end of the execution's time limit, counted from its latest start."""
        seconds, started = self.definition.timeout_seconds, self.memory.started
        if self.definition.type == "EXPRESS":
            seconds = min(seconds or EXPRESS_LIMIT_SECONDS, EXPRESS_LIMIT_SECONDS)
        return None if seconds is None or started is None else started + timedelta(seconds=seconds)

    @property
    def next_wakeup(self) -> datetime | None:
        """When to call ``advance`` even without an outcome; None if the execution waits only for outcomes."""
        if self.ended:
            return None
        if self._machine.ready:
            return self.now
        deadlines = [deadline for deadline, _ in self._list_child_deadlines()]
        times = [moment for moment in (self.memory.find_next_timer(), self._deadline, *deadlines) if moment is not None]
        return min(times, default=None)

    def _list_child_deadlines(self) -> list[tuple[datetime, Frame]]:
        """Return the ends of the time limits of Express children."""
        if not self._has_express_children:
            return []
        limit = timedelta(seconds=EXPRESS_LIMIT_SECONDS)
        children = [frame for frame in self.memory.frames.values() if frame.distributed and frame.stream.express]
        return [(frame.stream.started + limit, frame) for frame in children if frame.stream.started is not None]

    @property
    def pending_tasks(self) -> list[PendingTask]:
        """The tasks that have not ended. After a replay, only these may still run."""
        tasks = [outcomes.describe_pending(token, frame) for token, frame in self.memory.tokens.items()]
        return [task for task in tasks if task is not None]

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, now: datetime, *, interrupted: Callable[[], bool] = lambda: False) -> Step:
        """Run until every frame waits or has ended. Returns the events and commands since the last call.

        An advance may take long, because each state may evaluate expressions. It returns as soon as ``interrupted``
        returns True, with ``next_wakeup`` in the past; the next advance continues.
        """
        machine = self._machine
        machine.now = max(now, machine.now)
        if not self.ended and self._deadline is not None and machine.now >= self._deadline:
            machine.conclude(machine.memory.root, "ExecutionTimedOut", {"error": "States.Timeout"})
        for deadline, frame in [] if self.ended else self._list_child_deadlines():
            if machine.now >= deadline:
                machine.conclude(frame, "ExecutionTimedOut", {"error": "States.Timeout"})
                assert frame.parent is not None
                machine.ready.append(frame.parent)
        self._schedule_due()
        while machine.ready and not self.ended and not interrupted():
            frame = machine.ready.popleft()
            if machine.memory.frames.get(frame.key) is frame:  # else it was suspended
                self._run(frame, interrupted)
            if not machine.ready:
                self._schedule_due()
        return machine.take_step()

    def deliver(self, token: str, outcome: Outcome, now: datetime) -> bool:
        """Record the outcome of a task; call ``advance`` afterward. Returns False if the outcome is not needed."""
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
        """Continue an unsuccessful execution at the states that failed; ``advance`` runs it.

        Successful states are not repeated. In a Parallel or Map, only the branches, iterations and child executions
        continue that failed or were stopped. Retries count from zero.
        Raises NotRedrivable.
        """
        if self.definition.type == "EXPRESS":
            raise NotRedrivable("it is an Express execution. Start it again.")
        if self.status not in REDRIVABLE:
            raise NotRedrivable(f"it is {self.status}, and only failed executions can be redriven.")
        machine, root = self._machine, self.memory.root
        if root.stream.last >= HISTORY_LIMIT_EVENTS - 1:
            raise NotRedrivable(f"its history has {root.stream.last:,} events, the maximum. Start it again.")
        machine.now = max(now, machine.now)
        details = {"redriveCount": self.memory.redrives + 1}
        machine.emit(root, "ExecutionRedriven", details, previous=root.stream.last)
        self._schedule_all()

    def _schedule_all(self) -> None:
        """Schedule every frame for the next step."""
        self._machine.ready.clear()
        self._machine.schedule(self.memory.frames.values())

    def _schedule_due(self) -> None:
        """Schedule the frames that are due at the next time. Later times follow one by one, as in a live execution."""
        machine = self._machine
        for frame in machine.memory.pop_due(machine.now):
            if frame.phase is Phase.TASK:
                outcomes.time_out(machine, frame)
            machine.ready.append(frame)

    def _run(self, frame: Frame, interrupted: Callable[[], bool]) -> None:
        """Run a frame until it waits, is removed, or is interrupted."""
        machine, memory = self._machine, self._machine.memory
        while memory.status == "RUNNING":
            if interrupted():
                machine.ready.appendleft(frame)
                return
            if frame.stream.last >= HISTORY_LIMIT_EVENTS - 1 and not frame.stream.express:
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
            except (StatesError, NotJson, TooManyMatches, MatchingFailed, RecursionError) as raised:
                error = raised if isinstance(raised, StatesError) else _describe_limit(frame, raised)
                if not frame.input_known and frame.parent is not None:
                    # The enclosing state failed to compute this branch's input, so the failure is its own.
                    frame.parent.follow(frame.tip, frame.tip_at)
                    frame = frame.parent
                failures.record_failure(machine, frame, error)

    def _enter(self, frame: Frame) -> None:
        payload = frame.input if frame.input_known else make_child_input(self._machine, frame)
        state = frame.program.states[frame.next]
        details = {"input": payload.text, "inputDetails": {"truncated": False}, "name": state.name}
        self._machine.emit(frame, f"{state.type}StateEntered", details, payload=payload)

    def _end(self, frame: Frame) -> Frame | None:
        """End a frame after its last state; return the frame that runs next."""
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


def _describe_limit(frame: Frame, error: Exception) -> StatesError:
    """Return the failure of a state whose data cannot be computed, or has no JSON text."""
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    cause = f"{flow.make_cause_prefix(frame)}The data of the state cannot be computed: {reason}."
    return StatesError("States.DataLimitExceeded", cause)


def _ensure_parsed(definition: Definition | Mapping[str, Any] | str) -> Definition:
    return definition if isinstance(definition, Definition) else parse(definition)


def _make_input(value: Json) -> Payload:
    payload = Payload(value)
    try:
        flow.check_size("", payload)
    except NotJson as error:
        raise InvalidInput(f"The input is not JSON: {error}.") from None
    except StatesError:
        raise InvalidInput(f"The input exceeds {flow.DATA_LIMIT_BYTES:,} bytes. Pass data by reference.") from None
    return payload
