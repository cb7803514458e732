"""The machine: the memory of an execution, its history, and the events and commands of a step.

Only ``emit`` creates events. It applies the event to the memory (:mod:`.memory.fold`), adds it to the history, and
cancels the tasks whose results are no longer needed.
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
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.memory.memory import AbandonedTask, Memory


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one ``advance``: events to store first, then commands to execute."""

    events: list[HistoryEvent]
    commands: list[Command]


class Machine:
    """The state that the modules of this package read and change. ``ready`` are the frames that run in this step."""

    def __init__(self, program: Program, info: ContextInfo) -> None:
        self.info = info
        self.memory = Memory.create(program, info.execution_id, info.redrive_count)
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
        """Create an event of the frame. ``engine`` contains the data that a replay needs and AWS's history lacks."""
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
        """Create the event that ends an execution or child execution unsuccessfully.

        It names the frames that a redrive restarts (:func:`describe_restarts`).
        """
        anew = describe_restarts(self.memory.list_execution(frame))
        self.emit(frame, kind, details, previous=previous, engine={"anew": anew})

    def replay(self, history: Iterable[HistoryEvent]) -> None:
        """Apply recorded events without any other effect."""
        self.history = list(history)
        memory, apply = self.memory, fold.apply
        for event in self.history:
            apply(memory, event)
        if self.history:
            self.now = self.history[-1].timestamp

    def schedule(self, frames: Iterable[Frame]) -> None:
        """Schedule frames for this step or the next one, in the order of a live execution.

        Frames with children come first, because they derive their children's data. Then follow frames that have run
        since their outcome, frames that have not, each in the order of their last events, and frames that have not yet
        entered a state.
        """
        frames = list(frames)
        parents = [frame for frame in frames if frame.phase is Phase.CHILDREN]
        others = [frame for frame in frames if frame.phase is not Phase.CHILDREN]
        others.sort(key=lambda frame: (frame.phase is Phase.START, frame.reported, frame.stream.child, frame.tip))
        self.ready.extend(parents + others)

    def add_command(self, command: Command) -> None:
        """Add a command, which the caller executes after it has stored the events so far."""
        self._commands.append(command)

    def suspend_children(self, frame: Frame) -> None:
        """Suspend the descendants of this frame and cancel their tasks."""
        self._cancel(self.memory.suspend_children(frame, ()))

    def drop_children(self, frame: Frame) -> None:
        """Remove the descendants of this frame and cancel their tasks."""
        self._cancel(self.memory.drop_children(frame))

    def _cancel(self, abandoned: list[AbandonedTask]) -> None:
        for task in abandoned:
            self.add_command(CancelTask(task.token, task.resource, "Its result is no longer needed."))

    def take_step(self) -> Step:
        """Return the events and commands since the last call."""
        step = Step(self._events, self._commands)
        self._events, self._commands = [], []
        return step


def describe_restarts(frames: Iterable[Frame]) -> list[str] | None:
    """Return the frames that a redrive restarts, for an event's engine data.

    A live execution has removed the children of such frames, and chosen retries. A replay of the history before the
    event does not know that, because neither has an event.
    """
    return [frame.key for frame in frames if frame.restarts_state] or None
