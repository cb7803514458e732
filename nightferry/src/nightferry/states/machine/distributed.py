"""A distributed Map: each item, or batch of items, is an execution of its own.

Its items may be read from objects, and its results may be written to one. The child executions have
histories of their own, whose events name their ``child``.
"""

from __future__ import annotations

from typing import Any

from nightferry.states.data.payload import Json, Payload
from nightferry.states.machine import flow, items
from nightferry.states.machine.commands import Outcome, ReadItems, TaskFailed, TaskSucceeded, TaskTimedOut, WriteResults
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.map_items import make_item_input, map_state
from nightferry.states.machine.memory.containers import Container, Failure
from nightferry.states.machine.memory.fold_children import child_execution
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.work import integer


def read_items(machine: Machine, frame: Frame) -> None:
    """Have the items read."""
    reader = map_state(frame).reader
    assert reader is not None
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, salt="read")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if reader.parameters is None else reader.parameters.evaluate(scope, f"ItemReader/{name}")
    config = dict(reader.config or {})
    most = integer(reader.max_items, scope, "MaxItems", 1)
    if most is not None:
        config["MaxItems"] = most
    _await(machine, frame, Phase.READING)
    machine.command(ReadItems(frame.token, reader.resource, parameters, config, frame.current.name))


def run_children(machine: Machine, frame: Frame) -> bool:
    """Start the child executions that may start, or end the Map; False if it has to wait for something."""
    container, limits = frame.children, frame.children.limits
    assert limits is not None
    if not container.run:
        run = f"{map_state(frame).label or frame.current.name}:{frame.stream.last + 1}"
        machine.emit(frame, "MapRunStarted", {"mapRunArn": _run_arn(machine, run)}, engine={"run": run})
    if container.failed and container.failed > limits.tolerated_of(container.length):
        failure = {
            "cause": "The specified tolerated failure threshold was exceeded",
            "error": "States.ExceedToleratedFailureThreshold",
        }
        machine.emit(frame, "MapRunFailed", failure)
        return True
    while container.started < container.length and container.running < limits.concurrency:
        data = make_item_input(machine, frame, container.started)
        child = child_execution(frame, container.started)
        details: Json = {"input": data.text, "inputDetails": {"truncated": False}}
        machine.emit(child, "ExecutionStarted", details, previous=0, payload=data)
        machine.ready.append(child)
    if container.done < container.length:
        return False
    if container.ended_run == 0:
        machine.emit(frame, "MapRunSucceeded", None)
    return _write(machine, frame, container)


def _run_arn(machine: Machine, run: str) -> str:
    return f"{machine.info.state_machine_id.replace(':stateMachine:', ':mapRun:')}/{run}"


def _exit_follows(frame: Frame) -> int:
    """Return the event that the exit follows.

    All nine recordings of AWS: the end of the run, but its start where the items come by an ItemsPath and the results
    take the input's place.
    """
    state, container = map_state(frame), frame.children
    replaces = state.items is not None and state.result_path == ()
    return container.before_end if replaces and state.language == "JSONPath" else container.ended_run


def _results(container: Container) -> list[Json]:
    return [container.outputs[index].value for index in sorted(container.outputs)]


def _write(machine: Machine, frame: Frame, container: Container) -> bool:
    writer = map_state(frame).writer
    if writer is None or writer.resource is None:
        config = {} if writer is None else dict(writer.config or {})
        payload = Payload(items.apply_writer_config(_results(container), config))
        engine: dict[str, Any] = {"tip": _exit_follows(frame)}
        if config:
            engine["output"] = payload.value
        machine.emit(frame, "MapStateSucceeded", None, payload=payload, engine=engine)
        return True
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, salt="write")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if writer.parameters is None else writer.parameters.evaluate(scope, f"ResultWriter/{name}")
    _await(machine, frame, Phase.WRITING)
    machine.command(
        WriteResults(
            frame.token,
            writer.resource,
            parameters,
            dict(writer.config or {}),
            _results(container),
            frame.current.name,
            _run_arn(machine, container.run),
        )
    )
    return False


def _await(machine: Machine, frame: Frame, phase: Phase) -> None:
    frame.await_objects(phase, machine.memory.make_token(frame, phase.name))
    machine.memory.await_outcome(frame)


def apply_outcome(machine: Machine, frame: Frame, outcome: Outcome) -> None:
    """Apply the outcome of reading the items or of writing the results."""
    reading = frame.phase is Phase.READING
    match outcome:
        case TaskSucceeded(output=output) if reading:
            machine.memory.await_nothing(frame)
            frame.take_items(list(output))
        case TaskSucceeded(output=output):
            machine.emit(frame, "MapStateSucceeded", None, engine={"output": output, "tip": _exit_follows(frame)})
        case TaskFailed(cause=cause) | TaskTimedOut(cause=cause):
            machine.memory.await_nothing(frame)
            frame.fail(Failure("States.ItemReaderFailed" if reading else "States.ResultWriterFailed", cause))
        case _:
            return
    machine.ready.append(frame)
