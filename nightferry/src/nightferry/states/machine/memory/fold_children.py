"""Application of the events of Map and Parallel states (see :mod:`.fold`)."""

# ruff: noqa: ARG001  (all functions that apply an event have the same four arguments)

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import MapState, ParallelState
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory.containers import Container, Failure, Stream
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.memory.memory import AbandonedTask, Memory

Fold = Callable[[Memory, Frame, HistoryEvent, Payload | None], list[AbandonedTask] | None]


# ── event data ─────────────────────────────────────────────────────────────────────────────────────────────────


def read_payload(event: HistoryEvent, name: str, payload: Payload | None) -> Payload:
    """Return an event's input or output, or ``payload`` if the machine that created the event passes it."""
    return payload or Payload(text=(event.details or {})[name])


def read_failure(data: Mapping[str, Any] | None) -> Failure:
    """Return the failure in an event's details or engine data."""
    return Failure(data.get("error"), data.get("cause")) if data else Failure(None, None)


def read_retries(event: HistoryEvent) -> list[int] | None:
    """Return the retries before the attempt of an event, or None if it is the first attempt."""
    return event.engine.get("retries") if event.engine else None


def read_anew(event: HistoryEvent) -> list[str]:
    """Return the frames that a redrive restarts after this event."""
    return (event.engine or {}).get("anew") or []


# ── children ──────────────────────────────────────────────────────────────────────────────────────────────────


def make_child_execution(parent: Frame, index: int) -> Frame:
    """Return a frame for an item of a distributed Map. Its first event adds it to the memory.

    An Express execution that a redrive starts again continues the numbers of its events.
    """
    state = parent.current
    assert isinstance(state, MapState)
    last = parent.unsuccessful[index][0].stream.last if index in parent.unsuccessful else 0
    stream = Stream(f"{parent.children.run}/{index}", state.express, last)
    return Frame.create_child(parent, index, state.processor, child=stream)


def _parallel_started(
    memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None
) -> list[AbandonedTask]:
    state = frame.current
    assert isinstance(state, ParallelState)
    abandoned = memory.drop_children(frame)
    frame.begin_attempt(event, read_retries(event))
    frame.start_children(Container(len(state.branches), event.id, event.timestamp, running=len(state.branches)))
    for index, branch in enumerate(state.branches):
        child = Frame.create_child(frame, index, branch)
        child.follow(event.id, event.timestamp)
        memory.add(child)
    return abandoned


def _map_started(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> list[AbandonedTask]:
    abandoned = memory.drop_children(frame)
    frame.begin_attempt(event, read_retries(event))
    length = (event.engine or {}).get("children", (event.details or {})["length"])
    frame.start_children(Container(length, event.id, event.timestamp))
    return abandoned


def _map_run_started(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.children.run_started((event.engine or {})["run"], memory.redrives)
    frame.touch(event)


def _map_run_redriven(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.children.run_redriven(list((event.engine or {})["waiting"]), memory.redrives)
    frame.touch(event)


def _map_run_succeeded(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.children.run_ended(event)
    frame.touch(event)


def _map_run_failed(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> list[AbandonedTask]:
    abandoned: list[AbandonedTask] = []
    for child in [other for other in memory.list_descendants(frame) if other.parent is frame]:
        frame.children.child_failed()
        abandoned += memory.end_child(child, event.timestamp, read_anew(event))
    frame.fail(read_failure(event.details))
    frame.touch(event)
    return abandoned


def _iteration_started(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    state = frame.current
    assert isinstance(state, MapState)
    child = Frame.create_child(frame, (event.details or {})["index"], state.processor)
    child.follow(event.id, event.timestamp)
    memory.add(child)
    frame.children.child_started()


def _iteration_succeeded(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    index = (event.details or {})["index"]
    child = memory.frames[f"{frame.key}/{index}"]
    # As on AWS, the next iteration's start follows the last event of this one.
    frame.children.child_succeeded(index, child.input, event.previous_event_id)
    frame.touch(event)
    child.drop()
    memory.remove(child)


def _iteration_failed(
    memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None
) -> list[AbandonedTask]:
    abandoned = memory.suspend_children(frame, read_anew(event))
    frame.fail(read_failure(event.engine))
    frame.follow(event.previous_event_id, event.timestamp)
    return abandoned


def _children_succeeded(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    engine = event.engine or {}
    outputs = frame.children.outputs
    if "output" in engine:  # the result of a distributed Map's writer
        payload = Payload(engine["output"])
    memory.stop_awaiting(frame)
    frame.succeed(payload or Payload([outputs[index].value for index in sorted(outputs)]))
    # As on AWS, the exit follows the same event as the success.
    frame.follow(engine.get("tip", event.previous_event_id), event.timestamp)


def _children_failed(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> list[AbandonedTask]:
    abandoned = memory.suspend_children(frame, read_anew(event))
    failure = read_failure(event.engine)
    frame.fail(Failure(failure.error, failure.cause, announced=True))
    frame.touch(event)
    return abandoned


FOLDS: dict[str, Fold] = {
    "ParallelStateStarted": _parallel_started,
    "ParallelStateSucceeded": _children_succeeded,
    "ParallelStateFailed": _children_failed,
    "MapStateStarted": _map_started,
    "MapStateSucceeded": _children_succeeded,
    "MapStateFailed": _children_failed,
    "MapIterationStarted": _iteration_started,
    "MapIterationSucceeded": _iteration_succeeded,
    "MapIterationFailed": _iteration_failed,
    "MapRunStarted": _map_run_started,
    "MapRunSucceeded": _map_run_succeeded,
    "MapRunFailed": _map_run_failed,
    "MapRunRedriven": _map_run_redriven,
}
