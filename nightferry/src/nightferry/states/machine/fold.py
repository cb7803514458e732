"""What each event of a history means for the state of a machine.

A live machine and a replayed one change their state by these functions alone, so that they cannot differ. Nothing here
evaluates an expression: whatever an evaluation led to stands in the event.
"""

# ruff: noqa: ARG001  (every event is applied by a function of the same four arguments)

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nightferry.states.data.payload import EMPTY, Payload
from nightferry.states.language.model import Map, Parallel
from nightferry.states.machine.frames import Container, Frame, Phase, Stream
from nightferry.states.machine.history import HistoryEvent

if TYPE_CHECKING:
    from nightferry.states.machine.interpreter import Execution, Status

Fold = Callable[["Execution", Frame, HistoryEvent, Payload | None], None]


def apply(
    execution: Execution, event: HistoryEvent, frame: Frame | None = None, payload: Payload | None = None
) -> None:
    """Take an event into account. ``frame`` and ``payload`` are known when the machine itself made the event."""
    if frame is None:
        frame = _frame_of(execution, event)
    frame.stream.last = event.id
    kind = event.type
    if kind.endswith("StateEntered"):
        _entered(execution, frame, event, payload)
    elif kind.endswith("StateExited"):
        _exited(execution, frame, event, payload)
    else:
        _FOLDS[kind](execution, frame, event, payload)


def _frame_of(execution: Execution, event: HistoryEvent) -> Frame:
    scope = event.engine.get("scope", "") if event.engine else ""
    if not scope:
        return execution.root
    frame = execution.frames.get(scope)
    if frame is None:  # a child execution begins with its first event
        parent = execution.frames[scope.rpartition("/")[0]]
        return child_execution(execution, parent, int(scope.rpartition("/")[2]))
    return frame


def child_execution(execution: Execution, parent: Frame, index: int) -> Frame:
    """A new frame for an item of a distributed Map; it knows no variables of the states around it."""
    state, container = parent.current, parent.container
    assert isinstance(state, Map)
    assert container is not None
    container.started = max(container.started, index + 1)
    container.running += 1
    stream = Stream(f"{container.run}/{index}")
    return _add(
        execution, Frame(f"{parent.scope}/{index}", state.processor, stream, parent, index, parent.place_of(index))
    )


def _add(execution: Execution, frame: Frame) -> Frame:
    frame.next = frame.program.start
    execution.frames[frame.scope] = frame
    return frame


def _touch(frame: Frame, event: HistoryEvent) -> None:
    frame.tip = event.id
    frame.tip_at = event.timestamp


# ── executions and states ─────────────────────────────────────────────────────────────────────────────────────


def _execution_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.input = payload or Payload(text=(event.details or {})["input"])
    frame.stream.input = frame.input
    frame.stream.started = event.timestamp
    if frame.parent is None:
        execution.started = event.timestamp
    frame.tip = 0  # AWS: the first state's entry follows event 0
    frame.tip_at = event.timestamp


def _execution_succeeded(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    output = payload or Payload(text=(event.details or {})["output"])
    if frame.parent is None:
        execution.end("SUCCEEDED", output=output)
        return
    container = frame.parent.container
    assert container is not None
    container.outputs[frame.index] = output
    container.succeeded += 1
    _gone(execution, frame)
    container.running -= 1


def _execution_failed(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    details = event.details or {}
    error, cause = details.get("error"), details.get("cause")
    if frame.parent is None:
        # AWS: an execution that timed out tells that in its history, and has no error.
        told = (None, None) if event.type == "ExecutionTimedOut" else (error, cause)
        execution.end(_STATUS[event.type], error=told[0], cause=told[1])
        return
    container = frame.parent.container
    assert container is not None
    container.failed += 1
    _gone(execution, frame)
    container.running -= 1


_STATUS: dict[str, Status] = {
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}


def _execution_redriven(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    execution.restart((event.details or {})["redriveCount"], event.timestamp)


def _gone(execution: Execution, frame: Frame) -> None:
    """Forget a frame and all below it."""
    for scope in [s for s in execution.frames if s.startswith(f"{frame.scope}/")] if frame.container else []:
        execution.forget(execution.frames[scope])
    execution.forget(frame)


def drop_children(execution: Execution, frame: Frame) -> None:
    """Forget every frame below this one."""
    if frame.container is not None:
        for scope in [s for s in execution.frames if s.startswith(f"{frame.scope}/")]:
            execution.forget(execution.frames[scope])
    frame.container = None


def _entered(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    details = event.details or {}
    frame.state = frame.program.states[details["name"]]
    frame.input = payload or Payload(text=details["input"])
    frame.before = event.previous_event_id
    frame.entered = event.id
    frame.visits += 1
    frame.entered_at = event.timestamp
    frame.phase = Phase.ENTERED
    frame.retries = []
    frame.wake = None
    frame.container = None
    frame.announced = False
    frame.final = frame.fatal = False
    frame.tried_at = None
    frame.read_items = None
    frame.input_known = True
    _touch(frame, event)


def _exited(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    details = event.details or {}
    frame.input = payload or Payload(text=details["output"])
    assigned = details.get("assignedVariables")
    if assigned:
        frame.variables = {**frame.variables, **{name: Payload(text=text).value for name, text in assigned.items()}}
    following = event.engine.get("next") if event.engine else None
    frame.next = following or ""
    frame.phase = Phase.START if following else Phase.ENDED
    frame.container = None
    frame.result = EMPTY
    _touch(frame, event)
    if frame.phase is Phase.ENDED and frame.parent is not None and isinstance(frame.parent.current, Parallel):
        container = frame.parent.container
        assert container is not None
        container.outputs[frame.index] = frame.input
        container.succeeded += 1
        container.running -= 1
        container.tip = event.id


def _evaluation_failed(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    details = event.details or {}
    frame.final = bool(event.engine and event.engine.get("final"))
    _fail(frame, details.get("error"), details.get("cause"))
    _touch(frame, event)


def _fail(frame: Frame, error: str | None, cause: str | None) -> None:
    frame.error, frame.cause = error, cause
    frame.phase = Phase.FAILED


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _task_scheduled(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    details = event.details or {}
    _take_retries(frame, event)
    timeout, frame.heartbeat = details.get("timeoutInSeconds"), details.get("heartbeatInSeconds")
    frame.deadline = None if timeout is None else event.timestamp + timedelta(seconds=timeout)
    frame.heartbeat_deadline = None
    frame.submitted = None
    frame.task_started = False
    frame.token = execution.token_of(frame)
    frame.scheduled = event
    frame.phase = Phase.TASK
    frame.wake = None
    beat(execution, frame, event.timestamp)
    execution.tokens[frame.token] = frame
    _touch(frame, event)


def beat(execution: Execution, frame: Frame, now: Any) -> None:
    """Give the task another heartbeat interval."""
    if frame.heartbeat is not None:
        frame.heartbeat_deadline = now + timedelta(seconds=frame.heartbeat)
    execution.watch(frame)


def _take_retries(frame: Frame, event: HistoryEvent) -> None:
    if event.engine and "retries" in event.engine:
        frame.retries = list(event.engine["retries"])


def _task_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.task_started = True
    beat(execution, frame, event.timestamp)
    _touch(frame, event)


def _task_submitted(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.submitted = payload or Payload(text=(event.details or {})["output"])
    beat(execution, frame, event.timestamp)
    _touch(frame, event)


def _task_succeeded(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    execution.tokens.pop(frame.token, None)
    frame.result = payload or Payload(text=(event.details or {})["output"])
    frame.phase = Phase.RESULT
    _touch(frame, event)


def _task_failed(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    execution.tokens.pop(frame.token, None)
    details = event.details or {}
    _fail(frame, details.get("error"), details.get("cause"))
    _touch(frame, event)


# ── Map and Parallel ──────────────────────────────────────────────────────────────────────────────────────────


def _parallel_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    state = frame.current
    assert isinstance(state, Parallel)
    drop_children(execution, frame)
    _take_retries(frame, event)
    _touch(frame, event)
    frame.container = Container(len(state.branches), event.id, running=len(state.branches))
    frame.phase = Phase.CHILDREN
    frame.announced = False
    for index, branch in enumerate(state.branches):
        child = Frame(
            f"{frame.scope}/{index}",
            branch,
            frame.stream,
            frame,
            index,
            frame.place_of(index),
            frame.variables,
            input_known=False,
        )
        child.tip, child.tip_at = event.id, event.timestamp
        _add(execution, child)


def _map_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    drop_children(execution, frame)
    _take_retries(frame, event)
    _touch(frame, event)
    frame.container = Container((event.engine or {}).get("children", (event.details or {})["length"]), event.id)
    frame.phase = Phase.CHILDREN
    frame.announced = False


def _map_run_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    assert frame.container is not None
    frame.container.run = (event.engine or {})["run"]
    _touch(frame, event)


def _map_run_ended(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    _touch(frame, event)
    assert frame.container is not None
    frame.container.ended_run, frame.container.before_end = event.id, event.previous_event_id
    if event.type == "MapRunFailed":
        details = event.details or {}
        drop_children(execution, frame)
        _fail(frame, details.get("error"), details.get("cause"))


def _iteration_started(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    state, container, index = frame.current, frame.container, (event.details or {})["index"]
    assert isinstance(state, Map)
    assert container is not None
    child = Frame(
        f"{frame.scope}/{index}",
        state.processor,
        frame.stream,
        frame,
        index,
        frame.place_of(index),
        frame.variables,
        input_known=False,
    )
    child.tip, child.tip_at = event.id, event.timestamp
    _add(execution, child)
    container.started += 1
    container.running += 1


def _iteration_succeeded(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    container, index = frame.container, (event.details or {})["index"]
    assert container is not None
    child = execution.frames[f"{frame.scope}/{index}"]
    container.outputs[index] = child.input
    container.succeeded += 1
    container.running -= 1
    container.tip = event.previous_event_id  # AWS: the next iteration follows the last event within this one
    execution.forget(child)
    _touch(frame, event)


def _iteration_failed(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    engine = event.engine or {}
    drop_children(execution, frame)
    _fail(frame, engine.get("error"), engine.get("cause"))
    frame.tip, frame.tip_at = event.previous_event_id, event.timestamp


def _children_succeeded(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    container = frame.container
    assert container is not None
    frame.phase = Phase.RESULT
    if isinstance(frame.current, Parallel):
        drop_children(execution, frame)
    outputs = container.outputs
    frame.result = payload or Payload([outputs[index].value for index in sorted(outputs)])
    engine = event.engine or {}
    if "output" in engine:  # what the writer of a distributed Map's results answered
        frame.result = Payload(engine["output"])
    # AWS: the exit follows the same event as the success.
    frame.tip, frame.tip_at = engine.get("tip", event.previous_event_id), event.timestamp


def _children_failed(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    engine = event.engine or {}
    drop_children(execution, frame)
    _fail(frame, engine.get("error"), engine.get("cause"))
    frame.announced = True
    _touch(frame, event)


def _ignored(execution: Execution, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    _touch(frame, event)


_FOLDS: dict[str, Fold] = {
    "ExecutionStarted": _execution_started,
    "ExecutionSucceeded": _execution_succeeded,
    "ExecutionFailed": _execution_failed,
    "ExecutionAborted": _execution_failed,
    "ExecutionTimedOut": _execution_failed,
    "ExecutionRedriven": _execution_redriven,
    "EvaluationFailed": _evaluation_failed,
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
    "MapRunSucceeded": _map_run_ended,
    "MapRunFailed": _map_run_ended,
}
for _family in ("Task", "Activity", "LambdaFunction"):
    _FOLDS |= {
        f"{_family}Scheduled": _task_scheduled,
        f"{_family}Started": _task_started,
        f"{_family}Submitted": _task_submitted,
        f"{_family}Succeeded": _task_succeeded,
        f"{_family}Failed": _task_failed,
        f"{_family}StartFailed": _task_failed,
        f"{_family}SubmitFailed": _task_failed,
        f"{_family}TimedOut": _task_failed,
    }
