"""Processing of states that contain other states: Parallel here, and Map in :mod:`.maps`."""

from __future__ import annotations

from collections.abc import Callable

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import MapState, ParallelState, State
from nightferry.states.machine import flow, maps
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.map_items import make_item_input
from nightferry.states.machine.memory.frames import Frame


def do_parallel(machine: Machine, frame: Frame) -> None:
    """Enter a Parallel state: start its branches."""
    data = flow.evaluate_arguments(machine, frame)
    machine.emit(frame, "ParallelStateStarted", None, engine=frame.make_retry_details())
    frame.children.provide_input(data)
    for index in range(frame.children.length):
        machine.ready.append(machine.memory.frames[f"{frame.key}/{index}"])


def run_children(machine: Machine, frame: Frame) -> bool:
    """Continue a state with running children; return False if it must wait for them."""
    if isinstance(frame.current, MapState):
        return maps.run_children(machine, frame)
    container = frame.children
    if container.succeeded < container.length:
        return False
    machine.emit(frame, "ParallelStateSucceeded", None, previous=container.tip)
    return True


def make_child_input(machine: Machine, frame: Frame) -> Payload:
    """Return the input of a branch or iteration that enters its first state."""
    parent = frame.parent
    assert parent is not None
    if isinstance(parent.current, MapState):
        return make_item_input(machine, parent, frame.index)
    container = parent.children
    if container.input is None:  # the input is not in the history, so a replay derives it
        container.provide_input(flow.evaluate_arguments(machine, parent, now=container.since))
    assert container.input is not None
    return container.input


def record_child_end(machine: Machine, frame: Frame) -> None:
    """Record the end of an iteration. As on AWS, the end of a branch is not recorded."""
    parent = frame.parent
    assert parent is not None
    if isinstance(parent.current, MapState):
        details = {"index": frame.index, "name": parent.current.name}
        machine.emit(parent, "MapIterationSucceeded", details, previous=frame.tip)


CHILD_WORK: dict[type[State], Callable[[Machine, Frame], None]] = {ParallelState: do_parallel, MapState: maps.enter_map}
"""The functions of Parallel and Map, which run after the state is entered and again for each retry."""
