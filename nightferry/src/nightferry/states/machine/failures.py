"""What becomes of a failure: a retry, a catcher, or the failure of the state around."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nightferry.states.data.errors import StatesError
from nightferry.states.language.model import Fail, Map, Parallel
from nightferry.states.machine import flow, fold
from nightferry.states.machine.frames import Frame, Phase
from nightferry.states.machine.retry import choose_catcher, choose_retrier, delay

if TYPE_CHECKING:
    from nightferry.states.machine.interpreter import Execution


def note(execution: Execution, frame: Frame, error: StatesError) -> None:
    """A state could not do its work: the frame is FAILED from now on."""
    # Nothing catches what a catcher's own expressions do, nor that the machine itself cannot go on.
    frame.final = frame.phase is Phase.FAILED
    frame.fatal = error.error == "States.Runtime" and not isinstance(frame.current, Fail)
    if error.evaluation:
        details: dict[str, Any] = {"cause": error.cause, "error": error.error, "state": frame.current.name}
        if error.location is not None:
            details["location"] = error.location
        # AWS: what a Map state's items lead to follows the event before the state was entered.
        early = isinstance(frame.current, Map) and frame.container is None
        previous = frame.before if early else None
        execution.emit(frame, "EvaluationFailed", details, previous=previous, engine={"final": frame.final or None})
        return
    frame.error, frame.cause = error.error, error.cause
    frame.phase = Phase.FAILED


def handle(execution: Execution, frame: Frame) -> Frame | None:
    """Take a failed frame one step further; answer the frame that is to go on, None if none can now."""
    state = frame.current
    if frame.fatal:
        return _end_execution(execution, frame)
    if not frame.final and not frame.announced:
        chosen = choose_retrier(state.retry, frame.retries, frame.error)
        if chosen is not None:
            _wait_for_retry(execution, frame, chosen)
            return None
    if isinstance(state, Map | Parallel) and not frame.announced:
        execution.emit(frame, f"{state.type}StateFailed", None, engine={"error": frame.error, "cause": frame.cause})
        return frame
    caught = None if frame.final else choose_catcher(state.catch, frame.error)
    if caught is not None:
        flow.leave_caught(execution, frame, caught)
        return frame
    return _give_up(execution, frame)


def _wait_for_retry(execution: Execution, frame: Frame, chosen: int) -> None:
    retrier = frame.current.retry[chosen]
    frame.retries += [0] * (chosen + 1 - len(frame.retries))
    fold.drop_children(execution, frame)
    assert frame.tip_at is not None
    since = frame.tip_at if frame.tried_at is None else max(frame.tip_at, frame.tried_at)
    seconds = delay(retrier, frame.retries[chosen], execution.dice(frame, "retry"))
    frame.wake = since + timedelta(seconds=seconds)
    frame.retrier = chosen
    frame.phase = Phase.RETRYING
    execution.watch(frame)


def retry_now(frame: Frame) -> None:
    """The time of a retry has come: the state's work begins anew."""
    frame.retries[frame.retrier] += 1
    frame.tried_at, frame.wake = frame.wake, None
    frame.phase = Phase.ENTERED


def _give_up(execution: Execution, frame: Frame) -> Frame | None:
    """Nothing caught it: the state around fails, or the execution."""
    parent = frame.parent
    if parent is None or frame.distributed:
        return _end_execution(execution, frame)
    if isinstance(parent.current, Map):
        details = {"index": frame.index, "name": parent.current.name}
        execution.emit(
            parent,
            "MapIterationFailed",
            details,
            previous=frame.tip,
            engine={"error": frame.error, "cause": frame.cause},
        )
        return parent
    # A Parallel state: AWS tells its failure only once its retriers have given up too.
    error, cause, tip, tip_at = frame.error, frame.cause, frame.tip, frame.tip_at
    fold.drop_children(execution, parent)
    parent.error, parent.cause, parent.tip, parent.tip_at = error, cause, tip, tip_at
    parent.phase = Phase.FAILED
    return parent


def _end_execution(execution: Execution, frame: Frame) -> Frame | None:
    """The failure ends the execution (or child execution) that the frame belongs to."""
    root = frame
    while root.parent is not None and not root.distributed:
        root = root.parent
    reasons = {name: value for name, value in (("cause", frame.cause), ("error", frame.error)) if value is not None}
    execution.emit(root, "ExecutionFailed", reasons, previous=frame.tip)
    return root.parent
