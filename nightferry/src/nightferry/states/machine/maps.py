"""Processing of Map states. Iterations run in the execution itself; :mod:`.distributed` runs child executions."""

from __future__ import annotations

from typing import Any

from nightferry.states.data.errors import StatesError
from nightferry.states.machine import distributed
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.map_items import compute_limits, get_map_state, list_children_input, list_items
from nightferry.states.machine.memory.frames import Frame


def enter_map(machine: Machine, frame: Frame) -> None:
    """Enter a Map state: read its items, or start its iterations."""
    if get_map_state(frame).reader is not None and frame.read_items is None:
        distributed.read_items(machine, frame)
        return
    found = list_items(machine, frame, machine.now)
    compute_limits(machine, frame, machine.now)  # reports an invalid limit before the Map starts
    children = list_children_input(machine, frame, found, machine.now)
    engine: dict[str, Any] = frame.make_retry_details()
    if len(children) != len(found):
        engine["children"] = len(children)
    machine.emit(frame, "MapStateStarted", {"length": len(found)}, engine=engine)
    frame.provide_items(children)


def run_children(machine: Machine, frame: Frame) -> bool:
    """Start the iterations that may start, or end the Map; return False if it must wait for iterations."""
    state, container = get_map_state(frame), frame.children
    distributed.continue_run(machine, frame)
    if container.items is None and container.done < container.length:  # a replay derives the items
        if state.reader is not None and frame.read_items is None:
            distributed.read_items(machine, frame)
            return False
        found = list_items(machine, frame, container.since)
        children = list_children_input(machine, frame, found, container.since)
        if len(children) != container.length:
            cause = f"The object with the items has changed: {len(children)} instead of {container.length} children."
            raise StatesError("States.ItemReaderFailed", cause)
        frame.provide_items(children)
    if container.limits is None:
        container.provide_limits(compute_limits(machine, frame, container.since))
    assert container.limits is not None
    if state.distributed:
        return distributed.run_children(machine, frame)
    concurrency = container.limits.concurrency
    while container.started < container.length and (not concurrency or container.running < concurrency):
        index = container.started
        details = {"index": index, "name": state.name}
        machine.emit(frame, "MapIterationStarted", details, previous=container.tip)
        machine.ready.append(machine.memory.frames[f"{frame.key}/{index}"])
    if container.succeeded < container.length:
        return False
    machine.emit(frame, "MapStateSucceeded", None)
    return True
