"""The failures of a period, grouped by their cause: the task or workflow, the error, and the normalized message.

Each failed run and execution of the period is in exactly one group, so that the groups add up to the counts of the
lists of failed runs and executions. If the period has more than a limit, the report is marked as incomplete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nightferry.backend.errors import Refused
from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.backend.states.causes import explain_cause
from nightferry.presentation.letter_ids import digest_to_letters
from nightferry.presentation.problems.normalized_messages import normalize_message
from nightferry.presentation.run_ends import get_own_reason, name_failure

MOST_RUNS = 2_000
"""The number of failed runs that are examined, newest first."""

MOST_EXECUTIONS = 1_000
"""The number of failed executions that are examined, newest first. On AWS, each new one is a call."""

Kind = Literal["task", "workflow"]


@dataclass(frozen=True)
class Failure:
    """A failed run or execution. ``execution`` is the one of whose steps a run is. ``message`` is not redacted."""

    kind: Kind
    name: str
    id: str
    started_at: datetime
    error: str
    message: str = ""
    execution: str | None = None


@dataclass(frozen=True)
class Problem:
    """The failures of one cause, newest first. ``message`` is the normalized one; ``of_steps`` of runs in executions.

    ``key`` identifies the cause also in other periods.
    """

    kind: Kind
    name: str
    error: str
    message: str
    of_steps: bool
    failures: tuple[Failure, ...]

    @property
    def key(self) -> str:
        """Return the identity of the cause for a URL."""
        parts = (self.kind, self.name, self.error, self.message, str(self.of_steps))
        return digest_to_letters("\n".join(parts), 16)

    @property
    def newest(self) -> Failure:
        """Return the last failure."""
        return self.failures[0]

    @property
    def oldest(self) -> Failure:
        """Return the first failure of the period."""
        return self.failures[-1]


@dataclass(frozen=True)
class ProblemReport:
    """The problems of a period, the most frequent first, and the numbers of failed runs and executions in them.

    ``runs_complete`` and ``executions_complete`` are False if the period has more than were examined.
    ``unread_log`` is why the errors in the log of runs are not known, if they are not.
    """

    since: datetime
    until: datetime
    problems: tuple[Problem, ...]
    runs: int
    executions: int
    runs_complete: bool
    executions_complete: bool
    unread_log: str = ""

    def find(self, key: str) -> Problem | None:
        """Return the problem with this key, or None."""
        return next((problem for problem in self.problems if problem.key == key), None)


def find_problems(backend: Backend, since: datetime, until: datetime) -> ProblemReport:
    """Return the problems of the runs and executions that were requested in a period."""
    runs = backend.runs(RunFilter(outcome="failed", since=since, until=until), limit=MOST_RUNS)
    executions = backend.executions(ExecutionFilter(outcome="failed", since=since, until=until), limit=MOST_EXECUTIONS)
    unread, errors = "", {}
    try:
        errors = backend.last_errors(runs.entries)
    except Refused as problem:  # the caller may have the permission to read runs but not their log
        unread = str(problem)
    failures = [_describe_run(run, errors.get(run.id)) for run in runs]
    failures += [_describe_execution(execution) for execution in executions]
    return ProblemReport(
        since,
        until,
        tuple(_group(failures)),
        len(runs),
        len(executions),
        runs.next is None,
        executions.next is None,
        unread,
    )


def _describe_run(run: TaskRun, last_error: str | None) -> Failure:
    message = last_error or get_own_reason(run)
    return Failure("task", run.task, run.id, run.created_at, name_failure(run), message, run.execution)


def _describe_execution(execution: ExecutionSummary) -> Failure:
    error = execution.error or execution.status.lower().replace("_", " ")
    message = explain_cause(execution.cause) if execution.cause else ""
    return Failure("workflow", execution.workflow, execution.id, execution.started_at, error, message)


def _group(failures: Iterable[Failure]) -> list[Problem]:
    groups: defaultdict[tuple[Kind, str, str, str, bool], list[Failure]] = defaultdict(list)
    for failure in failures:
        of_steps = failure.execution is not None
        message = normalize_message(failure.message)
        groups[(failure.kind, failure.name, failure.error, message, of_steps)].append(failure)
    found = [Problem(*cause, tuple(sorted(group, key=_get_place, reverse=True))) for cause, group in groups.items()]
    return sorted(found, key=lambda problem: (len(problem.failures), _get_place(problem.newest)), reverse=True)


def _get_place(failure: Failure) -> tuple[datetime, str]:
    return failure.started_at, failure.id


@dataclass(frozen=True)
class Retry:
    """A start that repeats one or more failures: a run again, or an execution from the state that failed."""

    kind: Kind
    id: str

    def perform(self, backend: Backend, *, dry_run: bool = False) -> str:
        """Perform the retry, and return the ID of the run or execution. With ``dry_run``, only check it.

        Raises CannotRedrive, or another NightferryError with the reason.
        """
        if self.kind == "task":
            return backend.redrive_run(self.id, dry_run=dry_run)
        return backend.redrive(self.id, dry_run=dry_run)


def list_retries(failures: Sequence[Failure]) -> list[Retry]:
    """Return the retries of failures, oldest first. A step of a workflow is retried with its execution."""
    found = (
        Retry(one.kind, one.id) if one.execution is None else Retry("workflow", one.execution)
        for one in sorted(failures, key=_get_place)
    )
    return list(dict.fromkeys(found))
