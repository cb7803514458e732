"""The work of the states that have states within them: Parallel here, Map in :mod:`.maps`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import Map, Parallel, State
from nightferry.states.machine import flow, maps
from nightferry.states.machine.frames import Frame

if TYPE_CHECKING:
    from nightferry.states.machine.interpreter import Execution


def do_parallel(execution: Execution, frame: Frame) -> None:
    data = flow.arguments(execution, frame)
    execution.emit(frame, "ParallelStateStarted", None, engine=frame.retried())
    assert frame.container is not None
    frame.container.input = data
    for index in range(frame.container.length):
        execution.make_ready(execution.frames[f"{frame.scope}/{index}"])


def go_on(execution: Execution, frame: Frame) -> bool:
    """Take a state whose children run further; False if it has to wait for them."""
    if isinstance(frame.current, Map):
        return maps.go_on(execution, frame)
    container = frame.container
    assert container is not None
    if container.succeeded < container.length:
        return False
    execution.emit(frame, "ParallelStateSucceeded", None, previous=container.tip)
    return True


def child_input(execution: Execution, frame: Frame) -> Payload:
    """The input of a branch or iteration, which its first event will tell."""
    parent = frame.parent
    assert parent is not None
    container = parent.container
    assert container is not None
    if isinstance(parent.current, Map):
        return maps.item_input(execution, parent, frame.index)
    if container.input is None:
        container.input = flow.arguments(execution, parent)
    return container.input


def child_ended(execution: Execution, frame: Frame) -> None:
    """A branch or iteration left its last state; AWS tells that of iterations only."""
    parent = frame.parent
    assert parent is not None
    if isinstance(parent.current, Map):
        details = {"index": frame.index, "name": parent.current.name}
        execution.emit(parent, "MapIterationSucceeded", details, previous=frame.tip)
    else:
        execution.forget(frame)


CHILD_WORK: dict[type[State], Callable[[Execution, Frame], None]] = {Parallel: do_parallel, Map: maps.do_map}
"""What the states with states within them do when they were entered, and again for each retry."""
