"""Processing of a distributed Map, which runs a child execution for each item or batch of items.

Its items may be read from objects, and its results may be written to an object. Each child execution has its own
history, whose events name the ``child``.
"""

from __future__ import annotations

from typing import Any

from nightferry.states.data.payload import Json, Payload
from nightferry.states.machine import flow, items
from nightferry.states.machine.commands import (
    Item,
    Outcome,
    ReadItems,
    TaskFailed,
    TaskSucceeded,
    TaskTimedOut,
    WriteResults,
)
from nightferry.states.machine.history import HISTORY_LIMIT_EVENTS
from nightferry.states.machine.machine import Machine, describe_restarts
from nightferry.states.machine.map_items import get_map_state, make_item_input
from nightferry.states.machine.memory.containers import Container, Failure
from nightferry.states.machine.memory.fold_children import make_child_execution
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.work import evaluate_integer


def read_items(machine: Machine, frame: Frame) -> None:
    """Add the command that reads the items."""
    reader = get_map_state(frame).reader
    assert reader is not None
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, salt="read")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if reader.parameters is None else reader.parameters.evaluate(scope, f"ItemReader/{name}")
    config = dict(reader.config or {})
    most = evaluate_integer(reader.max_items, scope, "MaxItems", 1)
    if most is not None:
        config["MaxItems"] = most
    _await_objects(machine, frame, Phase.READING)
    machine.add_command(ReadItems(frame.token, reader.resource, parameters, config, frame.current.name))


def run_children(machine: Machine, frame: Frame) -> bool:
    """Start the child executions that may start, or end the Map; return False if it must wait."""
    container, limits = frame.children, frame.children.limits
    assert limits is not None
    if not container.run:
        run = f"{get_map_state(frame).label or frame.current.name}:{frame.stream.last + 1}"
        machine.emit(frame, "MapRunStarted", {"mapRunArn": _make_run_arn(machine, run)}, engine={"run": run})
    if container.failed and container.failed > limits.count_tolerated(container.length):
        failure = {
            "cause": "The specified tolerated failure threshold was exceeded",
            "error": "States.ExceedToleratedFailureThreshold",
        }
        anew = describe_restarts(machine.memory.list_descendants(frame))
        machine.emit(frame, "MapRunFailed", failure, engine={"anew": anew})
        return True
    while container.waiting and container.running < limits.concurrency:
        _redrive_child(machine, frame, container.waiting[0])
    while container.started < container.length and container.running < limits.concurrency:
        data = make_item_input(machine, frame, container.started)
        _start_child(machine, make_child_execution(frame, container.started), data)
    if container.done < container.length:
        return False
    if container.ended_run == 0:
        machine.emit(frame, "MapRunSucceeded", None)
    return _write_results(machine, frame, container)


def _start_child(machine: Machine, child: Frame, data: Payload) -> None:
    details: Json = {"input": data.text, "inputDetails": {"truncated": False}}
    machine.emit(child, "ExecutionStarted", details, previous=0, payload=data)
    machine.ready.append(child)


def continue_run(machine: Machine, frame: Frame) -> None:
    """Continue the map run, if it has started, after a redrive of the execution.

    All its unsuccessful child executions run again, also those whose failures were tolerated.

    A Standard execution with too many events is not redriven, and remains a failure (developer guide, "Redriving Map
    Runs").
    """
    container = frame.children
    if not container.run or container.continued == machine.memory.redrives:
        return
    waiting = [
        index
        for index, frames in sorted(frame.unsuccessful.items())
        if frames[0].stream.express or frames[0].stream.last < HISTORY_LIMIT_EVENTS - 1
    ]
    details = {"mapRunArn": _make_run_arn(machine, container.run), "redriveCount": container.run_redrives + 1}
    machine.emit(frame, "MapRunRedriven", details, previous=container.tip, engine={"waiting": waiting})


def _redrive_child(machine: Machine, frame: Frame, index: int) -> None:
    """Continue a child execution at the state that failed, or start an Express one again with the same input."""
    frames = frame.unsuccessful[index]
    stream = frames[0].stream
    if stream.express:
        _start_child(machine, make_child_execution(frame, index), stream.input)
        return
    details = {"redriveCount": stream.redrives + 1}
    machine.emit(frames[0], "ExecutionRedriven", details, previous=stream.last)
    machine.schedule(frames)


def _make_run_arn(machine: Machine, run: str) -> str:
    return f"{machine.info.state_machine_id.replace(':stateMachine:', ':mapRun:')}/{run}"


def _find_exit_tip(frame: Frame) -> int:
    """Return the event that the Map's exit follows.

    In all nine recordings of AWS, this is the end of the map run, or its start if the items come from an ItemsPath and
    the result replaces the input.
    """
    state, container = get_map_state(frame), frame.children
    replaces = state.items is not None and state.result_path == ()
    return container.before_end if replaces and state.language == "JSONPath" else container.ended_run


def _list_results(container: Container) -> list[Json]:
    return [container.outputs[index].value for index in sorted(container.outputs)]


def _write_results(machine: Machine, frame: Frame, container: Container) -> bool:
    writer = get_map_state(frame).writer
    if writer is None or writer.resource is None:
        config = {} if writer is None else dict(writer.config or {})
        payload = Payload(items.apply_writer_config(_list_results(container), config))
        engine: dict[str, Any] = {"tip": _find_exit_tip(frame)}
        if config:
            engine["output"] = payload.value
        machine.emit(frame, "MapStateSucceeded", None, payload=payload, engine=engine)
        return True
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, salt="write")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if writer.parameters is None else writer.parameters.evaluate(scope, f"ResultWriter/{name}")
    _await_objects(machine, frame, Phase.WRITING)
    machine.add_command(
        WriteResults(
            frame.token,
            writer.resource,
            parameters,
            dict(writer.config or {}),
            _list_results(container),
            frame.current.name,
            _make_run_arn(machine, container.run),
        )
    )
    return False


def _await_objects(machine: Machine, frame: Frame, phase: Phase) -> None:
    frame.await_objects(phase, machine.memory.make_token(frame, phase.name))
    machine.memory.await_outcome(frame)


def apply_outcome(machine: Machine, frame: Frame, outcome: Outcome) -> None:
    """Apply the outcome of reading the items or writing the results."""
    reading = frame.phase is Phase.READING
    match outcome:
        case TaskSucceeded(output=output) if reading:
            machine.memory.stop_awaiting(frame)
            frame.receive_items([item if isinstance(item, Item) else Item(item) for item in output])
        case TaskSucceeded(output=output):
            machine.emit(frame, "MapStateSucceeded", None, engine={"output": output, "tip": _find_exit_tip(frame)})
        case TaskFailed(cause=cause) | TaskTimedOut(cause=cause):
            machine.memory.stop_awaiting(frame)
            frame.fail(Failure("States.ItemReaderFailed" if reading else "States.ResultWriterFailed", cause))
        case _:
            return
    machine.ready.append(frame)
