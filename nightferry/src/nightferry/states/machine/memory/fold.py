"""Application of a history's events to the memory of an execution.

A live machine and a replayed one apply events with the same functions, so that they cannot differ. These functions
evaluate no expressions, because events contain the results of evaluations. They issue no commands either: they return
the tasks whose results are no longer needed, and the machine that created the event cancels them.
"""

# ruff: noqa: ARG001  (all functions that apply an event have the same four arguments)

from __future__ import annotations

from nightferry.states.data.payload import Payload
from nightferry.states.language.model import FailState, ParallelState
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.memory import fold_children
from nightferry.states.machine.memory.containers import Awaited, Failure
from nightferry.states.machine.memory.fold_children import Fold, read_failure, read_payload, read_retries
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.memory.memory import AbandonedTask, Memory, Status


def apply(
    memory: Memory, event: HistoryEvent, frame: Frame | None = None, payload: Payload | None = None
) -> list[AbandonedTask] | None:
    """Apply an event. The machine passes ``frame`` and ``payload`` if it created the event itself.

    Returns the tasks whose results are no longer needed.
    """
    if frame is None:
        frame = _find_frame(memory, event)
    frame.stream.last = event.id
    kind = event.type
    if kind.endswith("StateEntered"):
        if not frame.input_known:
            _branch_entered(frame)
        frame.enter(event, payload)
        return None
    if kind.endswith("StateExited"):
        frame.leave(event, payload)
        if not frame.next and frame.parent is not None:
            _branch_ended(memory, frame)
        return None
    return _FOLDS[kind](memory, frame, event, payload)


def _find_frame(memory: Memory, event: HistoryEvent) -> Frame:
    key = event.engine.get("scope", "") if event.engine else ""
    if not key:
        return memory.root
    frame = memory.frames.get(key)
    if frame is None:  # a child execution begins with its first event, and continues with that of its redrive
        parent, _, index = key.rpartition("/")
        if event.type == "ExecutionRedriven":
            return memory.frames[parent].unsuccessful[int(index)][0]
        return fold_children.make_child_execution(memory.frames[parent], int(index))
    return frame


# ── executions ────────────────────────────────────────────────────────────────────────────────────────────────


def _execution_started(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.begin(event, read_payload(event, "input", payload))
    if frame.parent is None:
        memory.started = event.timestamp
    else:
        memory.add(frame)
        if frame.index in frame.parent.unsuccessful:  # an Express execution, which a redrive starts again
            frame.parent.release_child(frame.index)
            frame.parent.children.child_redriven(frame.index)
        else:
            frame.parent.children.child_started()


def _execution_succeeded(
    memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None
) -> list[AbandonedTask]:
    output = read_payload(event, "output", payload)
    if frame.parent is None:
        memory.output = output
        return memory.end("SUCCEEDED", event.timestamp, ())
    frame.parent.children.child_succeeded(frame.index, output, frame.parent.children.tip)
    return [*memory.drop_children(frame), *memory.forget([frame])]


def _execution_failed(
    memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None
) -> list[AbandonedTask]:
    if frame.parent is None:
        if event.type != "ExecutionTimedOut":  # as on AWS, only the history contains a timeout's error
            failure = read_failure(event.details)
            memory.error, memory.cause = failure.error, failure.cause
        return memory.end(_STATUS[event.type], event.timestamp, fold_children.read_anew(event))
    frame.parent.children.child_failed()
    return memory.end_child(frame, event.timestamp, fold_children.read_anew(event))


_STATUS: dict[str, Status] = {
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}


def _execution_redriven(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    if frame.parent is None:
        memory.restart(event)
    else:
        memory.restart_child(frame, event)


# ── states ────────────────────────────────────────────────────────────────────────────────────────────────────


def _branch_entered(frame: Frame) -> None:
    if frame.parent is not None and isinstance(frame.parent.state, ParallelState):
        frame.parent.children.branch_entered()


def _branch_ended(memory: Memory, frame: Frame) -> None:
    if frame.parent is not None and isinstance(frame.parent.state, ParallelState):
        frame.parent.children.child_succeeded(frame.index, frame.input, frame.tip)
        memory.remove(frame)


def _evaluation_failed(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    engine = event.engine or {}
    failure = read_failure(event.details)
    fatal = failure.error == "States.Runtime" and not isinstance(frame.state, FailState)
    announced = frame.announced
    frame.begin_attempt(event, read_retries(event))
    frame.fail(Failure(failure.error, failure.cause, bool(engine.get("final")), fatal, announced))


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _task_scheduled(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    frame.begin_attempt(event, read_retries(event))
    frame.await_task(Awaited.task(memory.make_token(frame), event))
    memory.await_outcome(frame)


def _task_started(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    assert frame.awaited is not None
    frame.awaited.start(event.timestamp)
    frame.touch(event)
    memory.watch(frame)


def _task_submitted(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    assert frame.awaited is not None
    frame.awaited.submit(read_payload(event, "output", payload), event.timestamp)
    frame.touch(event)
    memory.watch(frame)


def _task_succeeded(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    memory.stop_awaiting(frame)
    frame.succeed(read_payload(event, "output", payload))
    frame.report()
    frame.touch(event)


def _task_failed(memory: Memory, frame: Frame, event: HistoryEvent, payload: Payload | None) -> None:
    memory.stop_awaiting(frame)
    frame.fail(read_failure(event.details))
    frame.report()
    frame.touch(event)


_FOLDS: dict[str, Fold] = {
    "ExecutionStarted": _execution_started,
    "ExecutionSucceeded": _execution_succeeded,
    "ExecutionFailed": _execution_failed,
    "ExecutionAborted": _execution_failed,
    "ExecutionTimedOut": _execution_failed,
    "ExecutionRedriven": _execution_redriven,
    "EvaluationFailed": _evaluation_failed,
    **fold_children.FOLDS,
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
