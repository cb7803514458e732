"""Handling of failures: a retry, a catcher, or the failure of the enclosing state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from nightferry.states.data.errors import StatesError
from nightferry.states.language.model import FailState, MapState, ParallelState
from nightferry.states.machine import flow
from nightferry.states.machine.machine import Machine, describe_restarts
from nightferry.states.machine.memory.containers import Failure
from nightferry.states.machine.memory.frames import Frame, Phase
from nightferry.states.machine.retry import choose_catcher, choose_retrier, compute_delay


def make_failure_details(error: str | None, cause: str | None) -> dict[str, Any]:
    """Return error and cause as event details, without fields that are None."""
    return {name: value for name, value in (("cause", cause), ("error", error)) if value is not None}


def record_failure(machine: Machine, frame: Frame, error: StatesError) -> None:
    """Record that the frame's state failed."""
    # Failures of a catcher's expressions and failures of the machine itself cannot be caught.
    final = frame.phase is Phase.FAILED
    if not error.evaluation:
        fatal = error.error == "States.Runtime" and not isinstance(frame.current, FailState)
        frame.fail(Failure(error.error, error.cause, final, fatal, announced=frame.announced))
        return
    details: dict[str, Any] = {"cause": error.cause, "error": error.error, "state": frame.current.name}
    if error.location is not None:
        details["location"] = error.location
    # As on AWS, a failure of a Map state's items follows the event before the state's entry.
    before_start = isinstance(frame.current, MapState) and frame.container is None
    previous = frame.before if before_start else None
    engine = {"final": final or None, **frame.make_retry_details()}
    machine.emit(frame, "EvaluationFailed", details, previous=previous, engine=engine)


def handle(machine: Machine, frame: Frame) -> Frame | None:
    """Handle a failed frame's failure; return the frame that runs next, or None if no frame can run now."""
    state, failure = frame.current, frame.failure
    assert failure is not None
    if failure.fatal:
        return _fail_execution(machine, frame, failure)
    if not failure.final and not failure.announced:
        chosen = choose_retrier(state.retry, frame.retries, failure.error)
        if chosen is not None:
            _wait_for_retry(machine, frame, chosen)
            return None
    if isinstance(state, MapState | ParallelState) and not failure.announced:
        engine = {"error": failure.error, "cause": failure.cause, "anew": describe_restarts(frame.suspended)}
        machine.emit(frame, f"{state.type}StateFailed", None, engine=engine)
        return frame
    caught = None if failure.final else choose_catcher(state.catch, failure.error)
    if caught is not None:
        flow.leave_by_catcher(machine, frame, failure, caught)
        return frame
    return _fail_parent(machine, frame, failure)


def _wait_for_retry(machine: Machine, frame: Frame, chosen: int) -> None:
    machine.drop_children(frame)
    assert frame.tip_at is not None
    since = frame.tip_at if frame.tried_at is None else max(frame.tip_at, frame.tried_at)
    used = frame.retries[chosen] if chosen < len(frame.retries) else 0
    seconds = compute_delay(frame.current.retry[chosen], used, machine.memory.make_rng(frame, "retry"))
    frame.wait_for_retry(chosen, since + timedelta(seconds=seconds))
    machine.memory.watch(frame)


def retry(machine: Machine, frame: Frame) -> bool:
    """Restart the state's work; return False if the retry is not due yet."""
    if frame.wake is None or frame.wake > machine.now:
        return False
    frame.retry()
    return True


def _fail_parent(machine: Machine, frame: Frame, failure: Failure) -> Frame | None:
    """Fail the enclosing state or the execution, because no catcher matches the failure."""
    parent = frame.parent
    if parent is None or frame.distributed:
        return _fail_execution(machine, frame, failure)
    if isinstance(parent.current, MapState):
        details = {"index": frame.index, "name": parent.current.name}
        descendants = machine.memory.list_descendants(parent)
        engine = {"error": failure.error, "cause": failure.cause, "anew": describe_restarts(descendants)}
        machine.emit(parent, "MapIterationFailed", details, previous=frame.tip, engine=engine)
        return parent
    # AWS records the failure of a Parallel state only when its retries are exhausted.
    machine.suspend_children(parent)
    parent.follow(frame.tip, frame.tip_at)
    parent.fail(Failure(failure.error, failure.cause))
    return parent


def _fail_execution(machine: Machine, frame: Frame, failure: Failure) -> Frame | None:
    """Fail the execution or child execution that the frame belongs to."""
    root = frame
    while root.parent is not None and not root.distributed:
        root = root.parent
    machine.conclude(root, "ExecutionFailed", make_failure_details(failure.error, failure.cause), previous=frame.tip)
    return root.parent
