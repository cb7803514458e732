"""The memory of an execution: its frames, tokens, timers and status. :mod:`.fold` applies events to it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Literal

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import Program, TaskState
from nightferry.states.machine.memory.containers import Stream
from nightferry.states.machine.memory.frames import Frame

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]

Timer = tuple[datetime, int, tuple[int, ...], str]
"""When a frame is to be run, its last event, and its key (as numbers, which order the timers of one moment)."""


@dataclass(frozen=True, slots=True)
class AbandonedTask:
    """A task whose result is no longer needed."""

    token: str
    resource: str


@dataclass(slots=True)
class Memory:
    """Everything that the next step of an execution depends on, besides its definition and the time."""

    execution_id: str
    root: Frame
    redrives: int = 0
    status: Status = "RUNNING"
    output: Payload | None = None
    error: str | None = None
    cause: str | None = None
    started: datetime | None = None
    frames: dict[str, Frame] = field(default_factory=dict)
    tokens: dict[str, Frame] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)  # a heap; those that no longer apply are skipped when they come
    left: list[Frame] = field(default_factory=list)  # the frames of an execution that did not end well

    @classmethod
    def of(cls, program: Program, execution_id: str, redrives: int) -> Memory:
        """Return the memory of an execution before its first event."""
        memory = cls(execution_id, Frame("", program, Stream(""), next=program.start), redrives)
        memory.add(memory.root)
        return memory

    @property
    def ended(self) -> bool:
        """Return True once the execution no longer runs."""
        return self.status != "RUNNING"

    # ── names and numbers that a replay makes again ───────────────────────────────────────────────────────────

    def make_token(self, frame: Frame, work: str = "task") -> str:
        """Return the token of what the frame's state waits for: the same after a replay, unique to the execution."""
        text = f"{self.execution_id}\n{self.redrives}\n{frame.moment()}\n{work}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def rng(self, frame: Frame, salt: str) -> Random:
        """Return random numbers that the execution and the place in it determine, so that a replay draws the same."""
        return Random(f"{self.execution_id}\n{self.redrives}\n{frame.moment()}\n{salt}")  # noqa: S311  (not a secret)

    # ── frames ────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, frame: Frame) -> None:
        """Add a frame."""
        self.frames[frame.key] = frame

    def remove(self, frame: Frame) -> None:
        """Remove a frame that has no task."""
        self.frames.pop(frame.key, None)

    def forget(self, frames: Iterable[Frame]) -> list[AbandonedTask]:
        """Remove frames whose results are no longer needed; return the tasks that they waited for."""
        abandoned: list[AbandonedTask] = []
        for frame in frames:
            self._abandon(frame, abandoned)
            frame.drop()
            self.frames.pop(frame.key, None)
        return abandoned

    def drop_children(self, frame: Frame) -> list[AbandonedTask]:
        """Remove every frame below this one; return the tasks that they waited for."""
        if frame.container is None:
            return []
        frame.lose_children()
        below = f"{frame.key}/"
        return self.forget([child for key, child in self.frames.items() if key.startswith(below)])

    def await_outcome(self, frame: Frame) -> None:
        """Have the frame receive the outcome that is delivered with its token."""
        self.tokens[frame.token] = frame
        self.watch(frame)

    def await_nothing(self, frame: Frame) -> None:
        """Take no more outcomes for the frame."""
        self.tokens.pop(frame.token, None)

    def _abandon(self, frame: Frame, abandoned: list[AbandonedTask]) -> None:
        if frame.awaited is not None:
            self.tokens.pop(frame.awaited.token, None)
            if isinstance(frame.current, TaskState):
                abandoned.append(AbandonedTask(frame.awaited.token, frame.current.resource))

    # ── timers ────────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, frame: Frame) -> None:
        """Have the frame run again when one of its times comes."""
        for moment in frame.times:
            order = tuple(int(part) for part in frame.key.split("/")[1:])
            heapq.heappush(self.timers, (moment, frame.tip, order, frame.key))

    def next_timer(self) -> datetime | None:
        """Return the next time at which a frame is to be run."""
        while self.timers and not self.applies(self.timers[0]):
            heapq.heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def pop_due(self, now: datetime) -> list[Frame]:
        """Take the frames of the next time that has come; later times wait until these frames have run."""
        moment = self.next_timer()
        due: list[Frame] = []
        while moment is not None and moment <= now and self.timers and self.timers[0][0] == moment:
            timer = heapq.heappop(self.timers)
            if self.applies(timer):
                due.append(self.frames[timer[3]])
        return due

    def applies(self, timer: Timer) -> bool:
        """Return True if the timer's frame still waits for its time."""
        frame = self.frames.get(timer[3])
        return frame is not None and timer[1] == frame.tip and timer[0] in frame.times

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, status: Status, now: datetime, anew: Mapping[str, int]) -> list[AbandonedTask]:
        """End the execution; return the tasks that it waited for.

        ``anew`` has the frames whose work a redrive does from its beginning, and their last events. A live execution
        has dropped their branches and iterations; a replayed one cannot read that from the events before.
        """
        self.status = status
        abandoned: list[AbandonedTask] = []
        for key, tip in anew.items():
            if key in self.frames:
                abandoned += self.drop_children(self.frames[key])
                self.frames[key].restart_state(tip)
        for frame in self.frames.values():
            self._abandon(frame, abandoned)
            frame.stop(now)
        self.left = [] if status == "SUCCEEDED" else list(self.frames.values())
        self.frames = {}
        self.timers = []
        return abandoned

    def restart(self, redrives: int, now: datetime) -> None:
        """Continue with the frames that were left when the execution ended."""
        self.status, self.error, self.cause = "RUNNING", None, None
        self.redrives, self.started = redrives, now
        for frame in self.left:
            frame.resume(now)
            self.add(frame)
        self.left = []
