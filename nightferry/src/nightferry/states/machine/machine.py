"""The machine: the memory of an execution, its history, and what a step led to.

``emit`` is the only way to make an event: it is applied to the memory at once (:mod:`.memory.fold`), added to the
history, and the tasks that it made superfluous are cancelled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import Program
from nightferry.states.machine.commands import CancelTask, Command
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory import fold
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.memory.memory import AbandonedTask, Memory


@dataclass(frozen=True, slots=True)
class Step:
    """What one ``advance`` led to: events to write down, then commands to carry out, in this order."""

    events: list[HistoryEvent]
    commands: list[Command]


class Machine:
    """What the modules that run states read and change. ``ready`` are the frames that run in this step."""

    def __init__(self, program: Program, info: ContextInfo) -> None:
        self.info = info
        self.memory = Memory.of(program, info.execution_id, info.redrive_count)
        self.now = info.start_time
        self.history: list[HistoryEvent] = []
        self.ready: deque[Frame] = deque()
        self._events: list[HistoryEvent] = []
        self._commands: list[Command] = []

    def emit(
        self,
        frame: Frame,
        kind: str,
        details: dict[str, Any] | None,
        *,
        previous: int | None = None,
        payload: Payload | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an event of the frame. ``engine`` is what a replay needs and AWS's history does not have."""
        stream = frame.stream
        extra = {name: value for name, value in engine.items() if value is not None} if engine else {}
        if frame.key:
            extra["scope"] = frame.key
            if stream.child:
                extra["child"] = stream.child
        event = HistoryEvent(
            stream.last + 1, frame.tip if previous is None else previous, kind, self.now, details, extra or None
        )
        abandoned = fold.apply(self.memory, event, frame, payload)
        if abandoned:
            self._cancel(abandoned)
        self.history.append(event)
        self._events.append(event)

    def conclude(self, frame: Frame, kind: str, details: dict[str, Any], *, previous: int | None = None) -> None:
        """Make the event with which an execution, or a child execution, ends without success.

        It names the frames that a redrive starts anew, because their failures may not stand in the history.
        """
        anew: dict[str, int] = {}
        if frame is self.memory.root:
            anew = {key: other.tip for key, other in self.memory.frames.items() if other.restarts_state}
        self.emit(frame, kind, details, previous=previous, engine={"anew": anew or None})

    def replay(self, history: Iterable[HistoryEvent]) -> None:
        """Apply recorded events, and do nothing else."""
        self.history = list(history)
        memory, apply = self.memory, fold.apply
        for event in self.history:
            apply(memory, event)
        if self.history:
            self.now = self.history[-1].timestamp

    def command(self, command: Command) -> None:
        """Have the caller do something once the events so far are written down."""
        self._commands.append(command)

    def drop_children(self, frame: Frame) -> None:
        """Drop the frames below this one and cancel their tasks."""
        self._cancel(self.memory.drop_children(frame))

    def _cancel(self, abandoned: list[AbandonedTask]) -> None:
        for task in abandoned:
            self.command(CancelTask(task.token, task.resource, "Nobody waits for its result any more."))

    def take_step(self) -> Step:
        """Return the events and commands since the last time."""
        step = Step(self._events, self._commands)
        self._events, self._commands = [], []
        return step
