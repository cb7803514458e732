"""Limits of running tasks: memory, time and processors.

ECS counts the memory of all processes in a container. The local equivalent is the task's own session with all
descendants of its processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import psutil

WATCH_SECONDS = 1.0  # between two checks

_log = logging.getLogger("nightferry.engine")


@dataclass(frozen=True)
class MonitoredTask:
    """A running task: its first process, its memory limit in bytes, and its time limit.

    ``deadline`` is in seconds of ``time.monotonic``. It includes a grace period in which the job runtime can end the
    job.
    """

    process: asyncio.subprocess.Process
    memory: int
    time_limit: timedelta
    deadline: float


class LimitMonitor:
    """A monitor that checks the running tasks once per second and reports the runs that exceed a limit."""

    def __init__(self, over_memory: Callable[[str, int], None], over_time: Callable[[str, timedelta], None]) -> None:
        self._over_memory = over_memory
        self._over_time = over_time
        self._monitored: dict[str, MonitoredTask] = {}
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None
        """The reason why the last check was not possible, or None."""

    def begin(self, run: str, watched: MonitoredTask) -> None:
        """Begin to monitor a run's task."""
        self._monitored[run] = watched
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._monitor())

    def end(self, run: str) -> None:
        """Stop monitoring a run's task."""
        self._monitored.pop(run, None)

    async def _monitor(self) -> None:
        """Check the monitored tasks until none is left."""
        while self._monitored:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                self._check()
                self.problem = None
            except OSError as error:  # for example, no file descriptor is left for reading a process
                self.problem = f"The limits of tasks cannot be checked: {error.strerror}. The next check is soon."
                _log.error("%s", self.problem, extra={"event": "limits_unchecked"})

    def _check(self) -> None:
        for run, one in list(self._monitored.items()):
            if one.process.returncode is None and time.monotonic() > one.deadline:
                self._over_time(run, one.time_limit)
        members = find_session_processes({one.process.pid for one in self._monitored.values()})
        for run, one in list(self._monitored.items()):
            if one.process.returncode is None and exceeds_memory(members.get(one.process.pid, ()), one.memory):
                self._over_memory(run, one.memory)


def find_session_processes(sessions: set[int]) -> dict[int, list[psutil.Process]]:
    """Return the processes of each session, including descendants that have left it, from one list of all processes."""
    parents: dict[int, int] = {}
    session: dict[int, int] = {}
    for process in psutil.process_iter():
        try:
            parents[process.pid] = process.ppid()
            session[process.pid] = os.getsid(process.pid)
        except (psutil.Error, OSError):
            continue
    found: dict[int, list[psutil.Process]] = {}
    for pid in session:
        ancestor = pid
        while ancestor in session and session[ancestor] not in sessions:
            ancestor = parents[ancestor]
        if ancestor in session:
            try:
                found.setdefault(session[ancestor], []).append(psutil.Process(pid))
            except psutil.Error:
                continue
    return found


def exceeds_memory(processes: Iterable[psutil.Process], limit: int) -> bool:
    """Return True if the processes together use more bytes. Shared memory counts once if the platform reports it."""
    processes = list(processes)
    return _sum_memory(processes, _measure_resident) > limit and _sum_memory(processes, _measure_proportional) > limit


def _sum_memory(processes: list[psutil.Process], measure: Callable[[psutil.Process], int]) -> int:
    total = 0
    for process in processes:
        try:
            total += measure(process)
        except psutil.Error:
            continue
    return total


def _measure_resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _measure_proportional(process: psutil.Process) -> int:
    return int(getattr(process.memory_full_info(), "pss", 0)) or _measure_resident(process)


class Processors:
    """Assignment of processors to tasks: as many as the task has vCPUs, the least used first."""

    def __init__(self) -> None:
        available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._tasks = Counter(dict.fromkeys(sorted(available), 0))

    def assign(self, units: int) -> frozenset[int]:
        """Return processors for a task with this many CPU units (1024 per vCPU); an empty set means all."""
        wanted = ceil(units / 1024)
        if wanted >= len(self._tasks):
            return frozenset()
        taken = frozenset(sorted(self._tasks, key=self._tasks.__getitem__)[:wanted])
        self._tasks.update(taken)
        return taken

    def release(self, taken: frozenset[int]) -> None:
        """Release the processors of a task that has ended."""
        self._tasks.subtract(taken)
