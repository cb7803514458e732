"""The work of a Map state: inline, where iterations run in the execution itself, and distributed, where each item (or
batch of items) is an execution of its own.

A distributed Map's child executions have histories of their own, whose events name their ``child``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightferry.states.data import jsonata
from nightferry.states.data.expressions import Expression, JsonataExpression, PathExpression
from nightferry.states.data.payload import Json, Payload, dumps
from nightferry.states.data.scope import Scope
from nightferry.states.language.model import Map
from nightferry.states.machine import flow, fold, items
from nightferry.states.machine.commands import Outcome, ReadItems, TaskFailed, TaskSucceeded, TaskTimedOut, WriteResults
from nightferry.states.machine.frames import Container, Frame, Phase
from nightferry.states.machine.work import whole_number

if TYPE_CHECKING:
    from nightferry.states.machine.interpreter import Execution

_MOST_CHILDREN = 10_000  # child executions of a distributed Map at once (service quota)


def do_map(execution: Execution, frame: Frame) -> None:
    state = _state(frame)
    if state.reader is not None and frame.read_items is None:
        _read(execution, frame)
        return
    found = _items(execution, frame)
    _limits(execution, frame)
    children = _children(execution, frame, found)
    engine: dict[str, Any] = frame.retried()
    if len(children) != len(found):
        engine["children"] = len(children)
    execution.emit(frame, "MapStateStarted", {"length": len(found)}, engine=engine)
    _container(frame).items = children


def _state(frame: Frame) -> Map:
    state = frame.current
    assert isinstance(state, Map)
    return state


def _container(frame: Frame) -> Container:
    assert frame.container is not None
    return frame.container


# ── items ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _items(execution: Execution, frame: Frame) -> list[Json]:
    """The items of the Map state, before ItemSelector."""
    if frame.read_items is not None:
        return frame.read_items
    state = _state(frame)
    data = flow.effective_input(execution, frame)
    here = flow.scope(execution, frame, data.value, salt="items")
    if state.language == "JSONata":
        value = frame.input.value if state.items is None else state.items.evaluate(here, "Items")
        if isinstance(value, list):
            return value
        if state.items is None:
            raise jsonata.failure(here, None, f"Map state input must be an array but was: {dumps(value)}")
        source = getattr(state.items, "source", "")
        raise jsonata.wrong_type(here, "Items", source, "array", value)
    if state.items is None:
        if isinstance(data.value, list):
            return data.value
        raise here.runtime_error('Reference path "$" must point to array.')
    value = flow.selected(execution, frame, state.items, data.value)
    if not isinstance(value, list):
        text = state.items.path.text if isinstance(state.items, PathExpression) else "$"
        raise here.runtime_error(f'Reference path "{text}" must point to array.')
    return value


def _children(execution: Execution, frame: Frame, found: list[Json]) -> list[Json]:
    """What the iterations get: the items, or batches of selected items."""
    state = _state(frame)
    if state.batcher is None:
        return found
    data = flow.effective_input(execution, frame).value
    here = flow.scope(execution, frame, data, salt="batch")
    most = whole_number(state.batcher.max_items, here, "MaxItemsPerBatch", 1)
    most_bytes = whole_number(state.batcher.max_bytes, here, "MaxInputBytesPerBatch", 1, flow.DATA_LIMIT)
    common = None if state.batcher.batch_input is None else state.batcher.batch_input.evaluate(here, "BatchInput")
    selected = [_selected(execution, frame, index, item) for index, item in enumerate(found)]
    return [
        ({"Items": batch} if common is None else {"BatchInput": common, "Items": batch})
        for batch in batches(selected, most, most_bytes)
    ]


def batches(found: list[Json], most: int | None, most_bytes: int | None) -> list[list[Json]]:
    """Items in batches of at most so many items and bytes; an item that is too large alone is a batch of its own."""
    result: list[list[Json]] = []
    size = 0
    for item in found:
        length = len(dumps(item).encode()) + 1 if most_bytes is not None else 0
        full = result and (
            (most is not None and len(result[-1]) >= most) or (most_bytes is not None and size + length > most_bytes)
        )
        if not result or full:
            result.append([])
            size = len('{"Items":[]}')
        result[-1].append(item)
        size += length
    return result


def _selected(execution: Execution, frame: Frame, index: int, item: Json) -> Json:
    selector = _state(frame).item_selector
    if selector is None:
        return item
    data = flow.effective_input(execution, frame).value
    here = flow.scope(execution, frame, data, salt=f"item {index}", item=(index, item))
    return selector.evaluate(here, "ItemSelector")


def item_input(execution: Execution, frame: Frame, index: int) -> Payload:
    """The input of one iteration or child execution."""
    state, container = _state(frame), _container(frame)
    if container.items is None:
        container.items = _children(execution, frame, _items(execution, frame))
    child = container.items[index]
    if state.batcher is None:
        execution.frames[f"{frame.scope}/{index}"].item = (index, child)
        child = _selected(execution, frame, index, child)
    return Payload(child)


# ── iterations ────────────────────────────────────────────────────────────────────────────────────────────────


def _limits(execution: Execution, frame: Frame) -> tuple[int, int, float]:
    """How many children at once, and which number and share of them may fail."""
    state = _state(frame)
    here = flow.scope(execution, frame, flow.effective_input(execution, frame).value, salt="limits")
    concurrency = whole_number(state.max_concurrency, here, "MaxConcurrency", 0) or 0
    count = whole_number(state.tolerated_count, here, "ToleratedFailureCount", 0)
    share = _percentage(state.tolerated_percentage, here)
    if state.distributed:
        concurrency = min(concurrency or _MOST_CHILDREN, _MOST_CHILDREN)
    return concurrency, count or 0, share


def _percentage(expression: Expression | None, here: Scope) -> float:
    if expression is None:
        return 0
    name = "ToleratedFailurePercentage"
    if isinstance(expression, PathExpression):
        name += "Path"
    raw = value = expression.evaluate(here, name)
    if isinstance(expression, JsonataExpression):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise jsonata.wrong_type(here, name, expression.source, "number", value)
        if not 0 <= value <= 100:
            raise jsonata.out_of_range(here, name, expression.source, value)
        return value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        path = expression.path.text if isinstance(expression, PathExpression) else name
        text = raw if isinstance(raw, str) else dumps(raw)
        raise here.runtime_error(f'The {name} field refers to value "{text}" which is not a valid float: {path}')
    if not 0 <= value <= 100:
        raise here.runtime_error("ToleratedFailurePercentage must be between 0 and 100.")
    return value


def go_on(execution: Execution, frame: Frame) -> bool:
    """Start the iterations that may start, or end the Map; False if it has to wait for iterations."""
    container = _container(frame)
    if container.limits is None:
        container.limits = _limits(execution, frame)
    if _state(frame).distributed:
        return _go_on_distributed(execution, frame, container)
    concurrency = container.limits[0]
    while container.started < container.length and (not concurrency or container.running < concurrency):
        details = {"index": container.started, "name": frame.current.name}
        execution.emit(frame, "MapIterationStarted", details, previous=container.tip)
        execution.make_ready(execution.frames[f"{frame.scope}/{container.started - 1}"])
    if container.succeeded < container.length:
        return False
    execution.emit(frame, "MapStateSucceeded", None)
    return True


# ── distributed ───────────────────────────────────────────────────────────────────────────────────────────────


def _go_on_distributed(execution: Execution, frame: Frame, container: Container) -> bool:
    if not container.run:
        run = f"{_state(frame).label or frame.current.name}:{frame.stream.last + 1}"
        execution.emit(frame, "MapRunStarted", {"mapRunArn": _run_arn(execution, run)}, engine={"run": run})
    concurrency, tolerated, share = container.limits or (0, 0, 0.0)
    if container.failed and container.failed > max(tolerated, share * container.length / 100):
        details = {
            "cause": "The specified tolerated failure threshold was exceeded",
            "error": "States.ExceedToleratedFailureThreshold",
        }
        execution.emit(frame, "MapRunFailed", details)
        return True
    while container.started < container.length and container.running < concurrency:
        child = fold.child_execution(execution, frame, container.started)
        data = item_input(execution, frame, child.index)
        execution.emit(
            child,
            "ExecutionStarted",
            {"input": data.text, "inputDetails": {"truncated": False}},
            previous=0,
            payload=data,
        )
        execution.make_ready(child)
    if container.done < container.length:
        return False
    if container.ended_run == 0:
        execution.emit(frame, "MapRunSucceeded", None)
    return _write(execution, frame, container)


def _run_arn(execution: Execution, run: str) -> str:
    return f"{execution.info.state_machine_id.replace(':stateMachine:', ':mapRun:')}/{run}"


def _exit_follows(frame: Frame) -> int:
    """The event that the exit follows. All nine recordings of AWS: the end of the run, but its start where the items
    come by an ItemsPath and the results take the input's place.
    """
    state, container = _state(frame), _container(frame)
    replaces = state.items is not None and state.result_path == ()
    return container.before_end if replaces and state.language == "JSONPath" else container.ended_run


def _results(container: Container) -> list[Json]:
    return [container.outputs[index].value for index in sorted(container.outputs)]


def _write(execution: Execution, frame: Frame, container: Container) -> bool:
    writer = _state(frame).writer
    if writer is None or writer.resource is None:
        config = {} if writer is None else dict(writer.config or {})
        payload = Payload(items.transformed(_results(container), config))
        engine: dict[str, Any] = {"tip": _exit_follows(frame)}
        if config:
            engine["output"] = payload.value
        execution.emit(frame, "MapStateSucceeded", None, payload=payload, engine=engine)
        return True
    here = flow.scope(execution, frame, flow.effective_input(execution, frame).value, salt="write")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if writer.parameters is None else writer.parameters.evaluate(here, f"ResultWriter/{name}")
    _await(execution, frame, Phase.WRITING)
    execution.command(
        WriteResults(
            frame.token,
            writer.resource,
            parameters,
            dict(writer.config or {}),
            _results(container),
            frame.current.name,
            _run_arn(execution, container.run),
        )
    )
    return False


def _read(execution: Execution, frame: Frame) -> None:
    reader = _state(frame).reader
    assert reader is not None
    here = flow.scope(execution, frame, flow.effective_input(execution, frame).value, salt="read")
    name = "Parameters" if frame.current.language == "JSONPath" else "Arguments"
    parameters = {} if reader.parameters is None else reader.parameters.evaluate(here, f"ItemReader/{name}")
    config = dict(reader.config or {})
    most = whole_number(reader.max_items, here, "MaxItems", 1)
    if most is not None:
        config["MaxItems"] = most
    _await(execution, frame, Phase.READING)
    execution.command(ReadItems(frame.token, reader.resource, parameters, config, frame.current.name))


def _await(execution: Execution, frame: Frame, phase: Phase) -> None:
    frame.phase = phase
    frame.token = execution.token_of(frame, phase.name)
    execution.tokens[frame.token] = frame


def take(execution: Execution, frame: Frame, outcome: Outcome) -> None:
    """What came of reading the items or of writing the results."""
    reading = frame.phase is Phase.READING
    match outcome:
        case TaskSucceeded(output=output):
            execution.tokens.pop(frame.token, None)
            if reading:
                frame.read_items = list(output)
                frame.phase = Phase.ENTERED
            else:
                execution.emit(frame, "MapStateSucceeded", None, engine={"output": output, "tip": _exit_follows(frame)})
        case TaskFailed(cause=cause) | TaskTimedOut(cause=cause):
            execution.tokens.pop(frame.token, None)
            error = "States.ItemReaderFailed" if reading else "States.ResultWriterFailed"
            frame.error, frame.cause, frame.phase = error, cause, Phase.FAILED
        case _:
            return
