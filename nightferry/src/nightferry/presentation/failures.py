"""The explanation of a failed execution or run: the step, the cause, and the last error in the job's log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from nightferry.backend.errors import Refused
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.log_lines import LAST_PERIOD, find_last_error
from nightferry.backend.runs import TaskRun
from nightferry.backend.states.values import StateExecution

_MAX_CAUSE_CHARACTERS = 1000


def explain_execution(
    backend: Backend, execution: WorkflowExecution, states: Iterable[StateExecution], runs: Mapping[str, TaskRun]
) -> Iterator[str]:
    """Yield lines that explain the failure of an execution: its error and cause, and the error of each failed job.

    ``states`` and ``runs`` (by ID) are those of the execution.
    """
    if execution.error is None and execution.cause is None:
        return
    yield f"Error: {execution.error or 'none'}"
    if execution.cause and not _describes_task(execution.cause):
        cause = execution.cause
        yield "Cause: " + (cause if len(cause) <= _MAX_CAUSE_CHARACTERS else f"{cause[:_MAX_CAUSE_CHARACTERS]} …")
    ends = [(state, run) for state in states if state.failed and state.runs and (run := runs.get(state.runs[-1]))]
    # A failure stops the other branches. The end of their runs is an effect, and not the cause.
    causes = [(state, run) for state, run in ends if not run.stopped_by_user] or ends
    for state, run in causes:
        yield _explain_state(backend, state, run)


def explain_run(backend: Backend, run: TaskRun) -> str | None:
    """Return the last error in the log of a run that failed, or None.

    A caller may have the permission to read the state of a run but not its log, so an unreadable log is not an error.
    """
    if run.status != "STOPPED" or run.succeeded:
        return None
    since = run.stopped_at and run.stopped_at - LAST_PERIOD
    try:
        return find_last_error(backend.log_reader(since).new([run.id]), run.stopped_at)
    except Refused as problem:
        return f"not known. {problem}"


def _explain_state(backend: Backend, state: StateExecution, run: TaskRun) -> str:
    code = "no exit code" if run.exit_code is None else f"exit code {run.exit_code}"
    reason = explain_run(backend, run) or (run.reason if run.exit_code is None else None)
    return f"{state.name}: {code} (run {run.id[:12]})" + (f": {reason}" if reason else "")


def _describes_task(cause: str) -> bool:
    """Return True if the cause is ECS's description of the task, which the line of the state replaces."""
    with suppress(ValueError, RecursionError):
        task = json.loads(cause)
        return isinstance(task, dict) and "Containers" in task
    return False
