"""The items of a Map state: the inputs of its iterations or child executions, and the limits of running and failures.

``now`` is the time that expressions read. A replay that derives the items again passes the time of the Map's start.
"""

from __future__ import annotations

from datetime import datetime

from nightferry.states.data import jsonata
from nightferry.states.data.expressions import Expression, JsonataExpression, PathExpression
from nightferry.states.data.payload import Json, Payload, dumps
from nightferry.states.data.scope import Scope
from nightferry.states.language.model import MapState
from nightferry.states.machine import flow
from nightferry.states.machine.commands import Item, list_members
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.memory.containers import MapLimits
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.work import evaluate_integer

_CHILDREN_LIMIT = 10_000  # simultaneous child executions of a distributed Map (service quota)


def get_map_state(frame: Frame) -> MapState:
    """Return the Map state that the frame is in."""
    state = frame.current
    assert isinstance(state, MapState)
    return state


def list_items(machine: Machine, frame: Frame, now: datetime) -> list[Item]:
    """Return the items of the Map state, before ItemSelector: an array, or in a distributed Map also an object."""
    if frame.read_items is not None:
        return frame.read_items
    value = _evaluate_items(machine, frame, now)
    return list_members(value) if isinstance(value, dict) else [Item(item) for item in value]


def _evaluate_items(machine: Machine, frame: Frame, now: datetime) -> Json:
    state = get_map_state(frame)
    kinds = (list, dict) if state.distributed else (list,)
    data = flow.apply_input_path(machine, frame)
    scope = flow.make_scope(machine, frame, data.value, salt="items", now=now)
    if state.language == "JSONata":
        value = frame.input.value if state.items is None else state.items.evaluate(scope, "Items")
        if isinstance(value, kinds):
            return value
        if state.items is None:
            raise jsonata.make_error(scope, None, f"Map state input must be an array but was: {dumps(value)}")
        source = getattr(state.items, "source", "")
        raise jsonata.make_type_error(scope, "Items", source, "array", value)
    if state.items is None:
        if isinstance(data.value, kinds):
            return data.value
        raise scope.make_runtime_error('Reference path "$" must point to array.')
    value = flow.select_path(machine, frame, state.items, data.value)
    if not isinstance(value, kinds):
        text = state.items.path.text if isinstance(state.items, PathExpression) else "$"
        raise scope.make_runtime_error(f'Reference path "{text}" must point to array.')
    return value


def list_children_input(machine: Machine, frame: Frame, found: list[Item], now: datetime) -> list[Item]:
    """Return the items of the iterations: the Map's items, or batches of selected items."""
    state = get_map_state(frame)
    if state.batcher is None:
        return found
    data = flow.apply_input_path(machine, frame).value
    scope = flow.make_scope(machine, frame, data, salt="batch", now=now)
    most = evaluate_integer(state.batcher.max_items, scope, "MaxItemsPerBatch", 1)
    most_bytes = evaluate_integer(state.batcher.max_bytes, scope, "MaxInputBytesPerBatch", 1, flow.DATA_LIMIT_BYTES)
    common = None if state.batcher.batch_input is None else state.batcher.batch_input.evaluate(scope, "BatchInput")
    selected = [_apply_item_selector(machine, frame, index, item, now) for index, item in enumerate(found)]
    return [
        Item({"Items": batch} if common is None else {"BatchInput": common, "Items": batch})
        for batch in make_batches(selected, most, most_bytes)
    ]


def make_batches(found: list[Json], most: int | None, most_bytes: int | None) -> list[list[Json]]:
    """Return batches of at most ``most`` items and ``most_bytes``; a larger single item forms its own batch."""
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


def _apply_item_selector(machine: Machine, frame: Frame, index: int, item: Item, now: datetime) -> Json:
    selector = get_map_state(frame).item_selector
    if selector is None:
        return item.input
    data = flow.apply_input_path(machine, frame).value
    scope = flow.make_scope(machine, frame, data, salt=f"item {index}", item=(index, item), now=now)
    return selector.evaluate(scope, "ItemSelector")


def make_item_input(machine: Machine, frame: Frame, index: int) -> Payload:
    """Return the input of one iteration or child execution."""
    items = frame.children.items
    assert items is not None
    state = get_map_state(frame)
    if state.batcher is not None or state.item_selector is None:
        return Payload(items[index].input)
    return Payload(_apply_item_selector(machine, frame, index, items[index], machine.now))


def compute_limits(machine: Machine, frame: Frame, now: datetime) -> MapLimits:
    """Return the maximum of running children, and the number and percentage of children that may fail."""
    state = get_map_state(frame)
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, salt="limits", now=now)
    concurrency = evaluate_integer(state.max_concurrency, scope, "MaxConcurrency", 0) or 0
    if not state.distributed:
        return MapLimits(concurrency, 0, 0)  # as on AWS, an inline Map may name tolerated failures and has none
    count = evaluate_integer(state.tolerated_count, scope, "ToleratedFailureCount", 0)
    share = _evaluate_percentage(state.tolerated_percentage, scope)
    return MapLimits(min(concurrency or _CHILDREN_LIMIT, _CHILDREN_LIMIT), count or 0, share)


def _evaluate_percentage(expression: Expression | None, scope: Scope) -> float:
    if expression is None:
        return 0
    name = "ToleratedFailurePercentage"
    if isinstance(expression, PathExpression):
        name += "Path"
    raw = value = expression.evaluate(scope, name)
    if isinstance(expression, JsonataExpression):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise jsonata.make_type_error(scope, name, expression.source, "number", value)
        if not 0 <= value <= 100:
            raise jsonata.make_range_error(scope, name, expression.source, value)
        return value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        path = expression.path.text if isinstance(expression, PathExpression) else name
        text = raw if isinstance(raw, str) else dumps(raw)
        raise scope.make_runtime_error(f'The {name} field refers to value "{text}" which is not a valid float: {path}')
    if not 0 <= value <= 100:
        raise scope.make_runtime_error("ToleratedFailurePercentage must be between 0 and 100.")
    return value
