"""Test that the memory of an execution does not grow with its history, also after a restart."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightferry import Catalog, Image
from nightferry.local.engine.executor import Executor
from nightferry.local.integrations import Integrations
from nightferry.local.store import Store
from nightferry.states import Execution
from nightferry.states.machine.interpreter import Step

ITEMS = 50
PROCESSOR = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "Wait",
    "States": {"Wait": {"Type": "Wait", "Seconds": 0, "Next": "Pass"}, "Pass": {"Type": "Pass", "End": True}},
}
MAP = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": PROCESSOR, "ResultPath": None, "End": True}


def test_an_execution_holds_only_the_events_that_are_not_stored_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "engine.sqlite")
    store.add_execution("e", "map", {"StartAt": "Map", "States": {"Map": MAP}}, list(range(ITEMS)))
    advance = Execution.advance
    held: list[tuple[int, int]] = []

    def advance_briefly(execution: Execution, *arguments: object, **more: object) -> Step:
        states = iter(range(20))
        step = advance(execution, *arguments, interrupted=lambda: next(states, None) is None)  # type: ignore[arg-type]
        held.append((len(execution.history), len(step.events)))
        if len(held) == 10:
            raise KeyboardInterrupt
        return step

    monkeypatch.setattr(Execution, "advance", advance_briefly)
    with pytest.raises(KeyboardInterrupt):
        run(store, tmp_path)
    run(store, tmp_path)
    ended = store.execution("e")
    assert ended is not None
    assert ended.status == "SUCCEEDED"
    assert all(history <= max(new, 1) for history, new in held), held
    assert len(store.events("e")) > 6 * ITEMS


def run(store: Store, folder: Path) -> None:
    record = store.execution("e")
    assert record is not None
    catalog = Catalog("map", image=Image("map"))
    resources = Integrations(store, catalog, folder, resolve=dict, launch=lambda _: None, stop=lambda _, __: None)
    with ThreadPoolExecutor(1) as threads:
        asyncio.run(Executor(store, record, resources, threads, catalog.privacy, asyncio.Lock()).run())
