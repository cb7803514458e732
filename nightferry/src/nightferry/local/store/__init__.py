"""The engine's memory: one SQLite file.

Whatever happens outside the engine is written down before it is made to happen: a run before its process starts, the
events of an execution's step before its commands are carried out. Commits reach the disk (``synchronous = FULL``), so
that neither a killed engine nor a power failure forgets or repeats a step. What a later commit makes durable anyway,
or what means nothing after a power failure (a process id), is written :meth:`Store.unhurried`: a killed engine has it,
and nobody waits for the disk.

The file is also how a command in another terminal talks to a running engine: it adds runs, executions and requests to
stop, and reads what became of them. It holds no secret and no personal data: tasks' output is redacted by their
runtime, and secrets go from their files to the task's environment.

A table has a step in :mod:`nightferry.local.store.schema` that makes it, and a class beside this file that reads and
writes it.
"""

from __future__ import annotations

from nightferry.local.store.executions import Executions, HistoryDamaged
from nightferry.local.store.file import StoreUnusable
from nightferry.local.store.lines import Lines
from nightferry.local.store.objects import Filter, KnownObject, Objects, Print
from nightferry.local.store.pruning import Pruning
from nightferry.local.store.requests import Requests
from nightferry.local.store.runs import RunRecord, Runs
from nightferry.local.store.schema import StoreTooNew
from nightferry.local.store.starts import ScheduleRecord, Schedules, StartRecord, Starts
from nightferry.local.store.times import now

__all__ = [
    "Filter",
    "HistoryDamaged",
    "KnownObject",
    "Print",
    "RunRecord",
    "ScheduleRecord",
    "StartRecord",
    "Store",
    "StoreTooNew",
    "StoreUnusable",
    "now",
]


class Store(Runs, Executions, Starts, Schedules, Objects, Lines, Requests, Pruning):
    """The store's file; safe for several processes at once, each with its own ``Store``."""
