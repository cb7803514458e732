"""Starts that nobody asks for at a terminal: by a schedule, by an object. Each occasion starts its target once.

An occasion has a token (``schedule:NAME:FIRE``, ``trigger:NAME:KEY:VERSION``). The run or execution that it begins,
what is remembered of the occasion, and whatever else the caller writes in the same transaction reach the store together
or not at all. So a crash at any moment neither loses nor doubles a start.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Workflow
from nightferry.local.store import StartRecord, Store, now


@dataclass(frozen=True)
class StartRequest:
    """Something to start: ``target`` is a task (with ``command`` and ``env``) or a workflow (with ``input``).

    ``source`` names the declaration: ``schedule:NAME`` or ``trigger:NAME``. ``command`` and ``env`` may hold
    references.
    """

    token: str
    source: str
    kind: Literal["task", "workflow"]
    target: str
    due_at: datetime
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    input: Any = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True)
class StartResult:
    """The execution that a start led to: a ``new`` one, or the open one where the workflow's overlap is ``skip``."""

    id: str
    new: bool


class Starter:
    """Starts what occasions ask for. ``resolve`` answers references, as services do."""

    def __init__(self, store: Store, catalog: Catalog, resolve: Callable[[Any], Any]) -> None:
        self._store = store
        self._catalog = catalog
        self._resolve = resolve
        self.on_start: Callable[[StartRecord], None] = lambda _: None
        """Called with each occasion that has been decided upon."""

    def start(self, occasion: StartRequest) -> StartRecord:
        """Start the occasion's target unless that has been done, and answer what came of it, now or then.

        Call it in a transaction of the store to write something else together with it.
        """
        resolved: dict[str, Any] = {}
        if occasion.kind == "task":
            resolved = self._resolve({"command": list(occasion.command), "env": dict(occasion.env)})
        else:
            resolved = self._resolve(dict(self._catalog.workflows[occasion.target].definition))
        with self._store.transaction():
            if (known := self._store.start(occasion.token)) is not None:
                return known
            if occasion.kind == "task":
                started = self._build_record(occasion, "started", self._add_run(occasion, resolved))
            else:
                started = self._begin_execution(occasion, resolved)
            self._save(started)
            return started

    def record_missed(self, occasion: StartRequest) -> StartRecord:
        """Write down that the occasion's time went by and nothing was started for it.

        Its token stays free: should the time come again (a clock that was wrong), it starts its target.
        """
        with self._store.transaction():
            missed = replace(self._build_record(occasion, "missed", None), token=f"{occasion.token}:missed")
            if (known := self._store.start(missed.token)) is not None:
                return known
            self._save(missed)
            return missed

    def _save(self, start: StartRecord) -> None:
        self._store.add_start(start)
        self.on_start(start)

    def _add_run(self, occasion: StartRequest, resolved: dict[str, Any]) -> str:
        id = uuid.uuid4().hex
        self._store.add_run(
            id, occasion.target, resolved["command"], resolved["env"],
            started_by=occasion.source, token=occasion.token,
        )  # fmt: skip
        return id

    def _begin_execution(self, occasion: StartRequest, definition: dict[str, Any]) -> StartRecord:
        declared = self._catalog.workflows[occasion.target]
        begun = begin_execution(
            self._store, declared, definition, occasion.input, started_by=occasion.source, token=occasion.token
        )
        if begun.new:
            return self._build_record(occasion, "started", begun.id)
        return self._build_record(occasion, "skipped", begun.id, f"Execution {begun.id} was open, and overlap is skip.")

    def _build_record(
        self, occasion: StartRequest, outcome: Literal["started", "skipped", "missed"], id: str | None, note: str = ""
    ) -> StartRecord:
        return StartRecord(
            token=occasion.token,
            source=occasion.source,
            kind=occasion.kind,
            target=occasion.target,
            due_at=occasion.due_at,
            decided_at=now(),
            outcome=outcome,
            id=id,
            note=" ".join(part for part in (occasion.note, note) if part) or None,
        )


def begin_execution(
    store: Store,
    workflow: Workflow,
    definition: dict[str, Any],
    input: Any,
    *,
    started_by: str = "",
    token: str | None = None,
) -> StartResult:
    """Write down an execution as the workflow's overlap says: beside an open one, behind it, in its place, or not."""
    with store.transaction():
        open_ones = store.open_execution_ids(workflow.name)
        if open_ones and workflow.overlap == "skip":
            return StartResult(open_ones[0], new=False)
        id = f"{workflow.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        store.add_execution(id, workflow.name, definition, input, started_by=started_by, token=token)
        if workflow.overlap == "replace":
            for open_one in open_ones:
                store.request_stop(open_one, f"Execution {id} takes its place.")
        return StartResult(id, new=True)
