"""The memory of an execution: its frames, tokens, timers and status. :mod:`.fold` applies events to it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Literal

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import Program, TaskState
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory.containers import Stream
from nightferry.states.machine.memory.frames import Frame

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
REDRIVABLE: tuple[Status, ...] = ("FAILED", "TIMED_OUT", "ABORTED")

Timer = tuple[datetime, int, tuple[int, ...], str]
"""A time at which a frame must run, its last event, its key as numbers (to order simultaneous timers), and its key."""


@dataclass(frozen=True, slots=True)
class AbandonedTask:
    """A task whose result is no longer needed."""

    token: str
    resource: str


@dataclass(slots=True)
class Memory:
    """All data that the next step of an execution depends on, except its definition and the time."""

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
    timers: list[Timer] = field(default_factory=list)  # a heap; obsolete timers are skipped when they are due
    left: list[Frame] = field(default_factory=list)  # the frames of an unsuccessful execution

    @classmethod
    def create(cls, program: Program, execution_id: str, redrives: int) -> Memory:
        """Return the memory of an execution before its first event."""
        root = Frame("", program, Stream("", redrives=redrives), next=program.start)
        memory = cls(execution_id, root, redrives)
        memory.add(memory.root)
        return memory

    @property
    def ended(self) -> bool:
        """True once the execution is no longer running."""
        return self.status != "RUNNING"

    # ── names and numbers that a replay reproduces ─────────────────────────────────────────────────────────────

    def make_token(self, frame: Frame, work: str = "task") -> str:
        """Return the token of the outcome that a frame waits for. It is unique, and the same after a replay."""
        text = f"{self.execution_id}\n{self.redrives}\n{frame.describe_attempt()}\n{work}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def make_rng(self, frame: Frame, salt: str) -> Random:
        """Return a random number generator seeded by the execution and the attempt, so that a replay draws the same."""
        return Random(f"{self.execution_id}\n{self.redrives}\n{frame.describe_attempt()}\n{salt}")  # noqa: S311  (not a secret)

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
        """Remove all descendants of a frame; return the tasks that they waited for."""
        if frame.container is None:
            return []
        descendants = self.list_descendants(frame)
        frame.clear_children()
        return self.forget(descendants)

    def list_descendants(self, frame: Frame) -> list[Frame]:
        """Return the frames in the branches or iterations of a frame's state, at any depth.

        They are found by their keys, because a Map of thousands of items has as many other frames.
        """
        if frame.container is None:
            return []
        keys = (f"{frame.key}/{index}" for index in range(frame.container.length))
        children = [child for key in keys if (child := self.frames.get(key)) is not None]
        return [one for child in children for one in (child, *self.list_descendants(child))]

    def list_execution(self, frame: Frame) -> list[Frame]:
        """Return the frame of an execution or child execution and its descendants."""
        return [frame] if frame.container is None else [frame, *self.list_descendants(frame)]

    def suspend_children(self, frame: Frame, anew: Collection[str]) -> list[AbandonedTask]:
        """Suspend all descendants of a frame whose state failed; return the tasks that they waited for.

        ``anew`` are the descendants that a redrive restarts, as for :meth:`end`.
        """
        abandoned: list[AbandonedTask] = []
        if children := self.list_descendants(frame):
            for child in children:
                self._abandon(child, abandoned)
                del self.frames[child.key]
            frame.suspend_children(children)
        for child in frame.suspended:
            if child.key in anew:
                child.clear_children()
                child.restart_state()
        dropped = tuple(f"{key}/" for key in anew)
        frame.suspend_children([child for child in frame.suspended if not child.key.startswith(dropped)])
        return abandoned

    def await_outcome(self, frame: Frame) -> None:
        """Register the frame for the outcome that is delivered with its token."""
        self.tokens[frame.token] = frame
        self.watch(frame)

    def stop_awaiting(self, frame: Frame) -> None:
        """Accept no more outcomes for the frame."""
        self.tokens.pop(frame.token, None)

    def _abandon(self, frame: Frame, abandoned: list[AbandonedTask]) -> None:
        if frame.awaited is not None:
            self.tokens.pop(frame.awaited.token, None)
            if isinstance(frame.current, TaskState):
                abandoned.append(AbandonedTask(frame.awaited.token, frame.current.resource))

    # ── timers ────────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, frame: Frame) -> None:
        """Add timers for the frame's times."""
        for moment in frame.times:
            order = tuple(int(part) for part in frame.key.split("/")[1:])
            heapq.heappush(self.timers, (moment, frame.tip, order, frame.key))

    def find_next_timer(self) -> datetime | None:
        """Return the next time at which a frame must run."""
        while self.timers and not self.is_active(self.timers[0]):
            heapq.heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def pop_due(self, now: datetime) -> list[Frame]:
        """Return the frames that are due at the next time; later times wait until these frames have run."""
        moment = self.find_next_timer()
        due: list[Frame] = []
        while moment is not None and moment <= now and self.timers and self.timers[0][0] == moment:
            timer = heapq.heappop(self.timers)
            if self.is_active(timer):
                due.append(self.frames[timer[3]])
        return due

    def is_active(self, timer: Timer) -> bool:
        """Return True if the timer's frame still waits for it."""
        frame = self.frames.get(timer[3])
        return frame is not None and timer[1] == frame.tip and timer[0] in frame.times

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, status: Status, now: datetime, anew: Collection[str]) -> list[AbandonedTask]:
        """End the execution; return the tasks that it waited for.

        ``anew`` are the frames that a redrive restarts. A live execution has removed their branches and iterations; a
        replay learns this only from the last event.
        """
        self.status = status
        left, abandoned = self._stop(self.root, now, anew)
        self.left = [] if status == "SUCCEEDED" else left
        self.frames = {}
        self.timers = []
        return abandoned

    def end_child(self, frame: Frame, now: datetime, anew: Collection[str]) -> list[AbandonedTask]:
        """End a child execution without success; return the tasks that it waited for. The arguments are as in ``end``.

        The Map retains its frames until it is left, because a redrive continues with them.
        """
        left, abandoned = self._stop(frame, now, anew)
        for one in left:
            del self.frames[one.key]
        assert frame.parent is not None
        frame.parent.retain_child(frame.index, left)
        return abandoned

    def _stop(self, root: Frame, now: datetime, anew: Collection[str]) -> tuple[list[Frame], list[AbandonedTask]]:
        """Stop all frames of an execution or child execution; return them, and the tasks that they waited for."""
        abandoned: list[AbandonedTask] = []
        for key in anew:
            if key in self.frames:
                abandoned += self.drop_children(self.frames[key])
                self.frames[key].restart_state()
        for frame in self.list_execution(root):
            self._resume_children(frame)
        frames = self.list_execution(root)
        for frame in frames:
            self._abandon(frame, abandoned)
            frame.stop(now)
        return frames, abandoned

    def _resume_children(self, frame: Frame) -> None:
        if frame.suspended:
            for child in frame.resume_children():
                self.add(child)
                self._resume_children(child)

    def restart(self, event: HistoryEvent) -> None:
        """Continue with the frames that the execution had when it ended, after the event of its redrive."""
        self.status, self.error, self.cause = "RUNNING", None, None
        self.root.redrive(event)
        self.redrives, self.started = self.root.stream.redrives, event.timestamp
        self._add_again(self.left, event)
        self.left = []

    def restart_child(self, frame: Frame, event: HistoryEvent) -> None:
        """Continue an unsuccessful child execution, after the event of its redrive."""
        assert frame.parent is not None
        frame.redrive(event)
        frame.parent.children.child_redriven(frame.index)
        self._add_again(frame.parent.release_child(frame.index), event)

    def _add_again(self, frames: Iterable[Frame], event: HistoryEvent) -> None:
        for frame in frames:
            frame.resume(event)
            self.add(frame)
