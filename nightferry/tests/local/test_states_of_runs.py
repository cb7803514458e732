"""The store changes the status of a run or execution only as its diagram shows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import pytest

from nightferry.backend.runs import RunStatus
from nightferry.local.store import Store
from nightferry.local.store.executions import Executions
from nightferry.local.store.runs import Runs
from nightferry.states.machine.memory.memory import Status

ROOT = Path(__file__).parents[3]
RUN = {
    "mark_run_pending": (),
    "mark_run_started": (1, 0.0),
    "mark_run_stopped": (0, "EssentialContainerExited", "done"),
}


def test_the_statements_change_a_status_as_the_diagram_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from tools.diagrams.run_states import find_changes

    store = Store(tmp_path / "engine.sqlite")
    store.add_run("r", "task", [], {})
    store.add_execution("e", "workflow", {}, {})
    statuses = get_args(RunStatus)
    seen = {(None, store.run("r").run.status)}  # type: ignore[union-attr]
    for before, (method, arguments) in itertools.product(statuses, RUN.items()):
        store._db.execute("UPDATE run SET status = ?", (before,))
        getattr(store, method)("r", *arguments)
        after = store.run("r").run.status  # type: ignore[union-attr]
        seen |= {(before, after)} if before != after else set()
    assert seen == {(one.before, one.after) for one in find_changes(Runs, "run", statuses)}

    ends = get_args(Status)
    seen = {(None, store.execution("e").status)}  # type: ignore[union-attr]
    for before, end in itertools.product(ends, (None, *ends[1:])):
        store._db.execute("UPDATE execution SET status = ?", (before,))
        if end is None:
            store.mark_execution_reopened("e")
        else:
            store.mark_execution_ended("e", end, None, None, None)
        after = store.execution("e").status  # type: ignore[union-attr]
        seen |= {(before, after)} if before != after else set()
    assert seen == {(one.before, one.after) for one in find_changes(Executions, "execution", ends)}
    store.close()
