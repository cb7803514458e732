"""The states of runs and executions, from the statements of the engine's store and the types of the backends."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from nightferry.backend.executions import ExecutionStatus
from nightferry.backend.queries import OUTCOMES, Outcome, judge_execution, judge_run
from nightferry.backend.runs import RunStatus
from nightferry.contract import StopCode
from nightferry.local.store.executions import Executions
from nightferry.local.store.runs import Runs
from nightferry.states.machine.memory.memory import REDRIVABLE, Status
from tools.diagrams.figure import Box, Edge, Figure, Kind, Panel

_KINDS: dict[Outcome, Kind] = {"open": "plain", "succeeded": "good", "failed": "bad", "stopped": "idle"}
_CAUSES: dict[tuple[Callable[..., object], str], str] = {
    (Runs.mark_run_pending, "QUEUED"): "the limits allow it",
    (Runs.mark_run_started, "PENDING"): "its process runs",
    (Runs.mark_run_stopped, "QUEUED"): "stopped before its start",
    (Runs.mark_run_stopped, "PENDING"): "cannot start",
    (Runs.mark_run_stopped, "RUNNING"): "its process ended",
}
"""The cause of each change that a method of the store records, by the status before."""


@dataclass(frozen=True)
class Change:
    """A change of a status by a method. ``before`` is None for a new row."""

    method: Callable[..., object]
    before: str | None
    after: str


def find_changes(table: type, name: str, statuses: tuple[str, ...]) -> Iterator[Change]:
    """Yield the changes of the column ``status`` that the statements in the class of a table make."""
    for method_name, method in vars(table).items():
        if not inspect.isfunction(method):
            continue
        for statement in _find_texts(method):
            if re.match(f"INSERT INTO {name} ", statement) and (found := re.search("'([A-Z_]+)'", statement)):
                yield Change(method, None, found[1])
            if found := re.match(f"UPDATE {name} SET status = (.*?)( WHERE .*)", statement):
                after = re.match("'([A-Z_]+)'", found[1])
                condition = re.search("status (=|<>) '([A-Z_]+)'", found[2])
                if condition is None:
                    raise ValueError(f"{table.__name__}.{method_name} changes a status without the one before it")
                is_before = {status for status in statuses if (status == condition[2]) == (condition[1] == "=")}
                targets = [after[1]] if after else [status for status in statuses if status not in is_before]
                for before, target in itertools.product(sorted(is_before, key=statuses.index), targets):
                    yield Change(method, before, target)


def _find_texts(method: Callable[..., object]) -> Iterator[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def build() -> Figure:
    """Return the figure."""
    return Figure(
        "run-states",
        "The states of a run and of an execution",
        "A run is queued, its process starts and ends, and its outcome follows from its exit code and stop code. An "
        "execution is running until it has succeeded, failed, timed out or was aborted; a redrive continues it.",
        [[_build_run()], [_build_execution(), _build_task()]],
        gap_x=16,
        gap_y=22,
    )


def _build_run() -> Panel:
    statuses = get_args(RunStatus)
    changes = list(find_changes(Runs, "run", statuses))
    used = [status for status in statuses if any(status == one.after for one in changes)]
    changes = [one for one in changes if one.before is None or one.before in used]
    boxes = [Box("start", "a start", ("by hand, schedule,", "trigger or workflow"), "start")]
    boxes += [Box(status, status, kind="strong" if status == "RUNNING" else "plain") for status in used]
    edges = []
    for one in changes:
        if one.before is None:
            edges.append(Edge("start", one.after))
        else:
            edges.append(Edge(one.before, one.after, _CAUSES[one.method, one.before]))
    ends = {status for status in used if status not in {one.before for one in changes}}
    (end,) = ends
    for outcome, condition in _find_outcomes().items():
        boxes.append(Box(outcome, outcome, kind=_KINDS[outcome]))
        edges.append(Edge(end, outcome, condition))
    boxes.append(Box("repeat", "another run", ("with the same inputs",), "start"))
    edges.append(Edge("failed", "repeat", "retry of the task,\nor nightferry redrive"))
    return Panel(boxes, edges, "A run on this machine")


def _find_outcomes() -> dict[Outcome, str]:
    """Return the condition of each outcome of a stopped run."""
    ends: dict[Outcome, list[tuple[int | None, str | None]]] = {}
    for exit_code, stop_code in itertools.product((0, 1, 143, None), (None, *StopCode)):
        ends.setdefault(judge_run("STOPPED", exit_code, stop_code), []).append((exit_code, stop_code))
    conditions = {}
    for outcome in OUTCOMES:
        if outcome in ends:
            codes, stops = ({end[at] for end in ends[outcome]} for at in (0, 1))
            conditions[outcome] = (
                f"exit code {codes.pop()}" if len(codes) == 1 else str(stops.pop()) if len(stops) == 1 else "otherwise"
            )
    return conditions


def _build_task() -> Panel:
    """Return the states of ECS. The type lists them in their order after QUEUED, a state of the engine only."""
    statuses = get_args(RunStatus)[1:]
    at = statuses.index("RUNNING")
    boxes = [
        Box("starts", "starts", statuses[:at]),
        Box("RUNNING", "RUNNING", kind="strong"),
        Box("ends", "ends", statuses[at + 1 : -1]),
        Box(statuses[-1], statuses[-1], ("outcomes as on", "this machine")),
    ]
    edges = [Edge(start.key, end.key) for start, end in itertools.pairwise(boxes)]
    return Panel(boxes, edges, "A run on AWS, by the states of ECS")


def _build_execution() -> Panel:
    statuses = get_args(Status)
    boxes = [Box("start", "a start", ("by hand, schedule,", "trigger or workflow"), "start")]
    boxes += [
        Box(status, status, kind="strong" if status == "RUNNING" else _KINDS[judge_execution(status)])
        for status in statuses
    ]
    edges = []
    for one in find_changes(Executions, "execution", statuses):
        if one.before is None:
            edges.append(Edge("start", one.after))
        elif one.before == "RUNNING":
            edges.append(Edge(one.before, one.after))
    boxes.append(Box("redrive", "nightferry redrive", ("continues the states", "that failed"), "start"))
    edges += [Edge(status, "redrive") for status in REDRIVABLE]
    edges.append(Edge("redrive", "RUNNING"))
    for status in get_args(ExecutionStatus):
        if status not in statuses:
            boxes.append(Box(status, status, ("on AWS, until it runs",), "existing"))
            edges += [Edge("redrive", status), Edge(status, "RUNNING")]
    return Panel(boxes, edges, "An execution of a workflow")
