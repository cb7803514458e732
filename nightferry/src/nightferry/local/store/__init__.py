"""The engine's store: one SQLite file.

The engine records every effect before it causes it: a run before its process starts, the events of an execution's step
before the step's commands are executed. Commits are synchronous (``synchronous = FULL``), so neither a killed engine
nor a power failure loses or repeats a step. Writes inside :meth:`Store.relaxed_durability` do not wait for the disk.
They survive a killed engine. Use it for data that a later commit makes durable, or that is meaningless after a power
failure, such as a process ID.

Commands in other terminals use the same file to communicate with a running engine: they add runs, executions and stop
requests, and read the results. The store contains no secrets and no personal data: the job runtime redacts the output
of tasks, and secrets pass from their files directly into the task's environment.

Each table is created by a step in :mod:`nightferry.local.store.schema`, and a class in this package reads and writes
it.
"""

from __future__ import annotations

from nightferry.local.store.actions import Actions
from nightferry.local.store.executions import Executions, HistoryDamaged
from nightferry.local.store.file import StoreDamaged, StoreUnusable
from nightferry.local.store.lines import Lines
from nightferry.local.store.log_windows import LogWindows
from nightferry.local.store.objects import FileFingerprint, Filter, KnownObject, Objects
from nightferry.local.store.pruning import Pruning
from nightferry.local.store.queries import Queries
from nightferry.local.store.requests import Requests
from nightferry.local.store.runs import RunRecord, Runs
from nightferry.local.store.schema import StoreTooNew
from nightferry.local.store.start_queries import StartQueries
from nightferry.local.store.starts import ScheduleRecord, Schedules, StartRecord, Starts
from nightferry.local.store.times import now

__all__ = [
    "FileFingerprint",
    "Filter",
    "HistoryDamaged",
    "KnownObject",
    "RunRecord",
    "ScheduleRecord",
    "StartRecord",
    "Store",
    "StoreDamaged",
    "StoreTooNew",
    "StoreUnusable",
    "now",
]


class Store(
    Runs, Executions, Starts, Schedules, Objects, Lines, LogWindows, Requests, Actions, Queries, StartQueries, Pruning
):
    """The store's file; safe for several processes at once, each with its own ``Store``."""
