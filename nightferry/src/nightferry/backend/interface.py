"""The interface of the backends: the engine on this machine, or an environment on AWS.

The command line and the dashboard use only this interface. Its values are in the modules beside it: ``runs``,
``executions``, ``states``, ``log_windows``, ``reports``, ``starts``, ``actions``, ``usage`` and ``engine_status``, with
the filters and pages of lists in ``queries`` and the errors in ``errors``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from nightferry.backend.actions import ALL_ACTIONS, Action, ActionFilter, ActionResult
from nightferry.backend.engine_status import EngineStatus
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.log_windows import ALL_LINES, Level, LineFilter, LogLine, LogWindow, Place
from nightferry.backend.queries import (
    ALL_EXECUTIONS,
    ALL_RUNS,
    Count,
    Cursor,
    ExecutionFilter,
    Page,
    RunFilter,
)
from nightferry.backend.reports import ALL_REPORTS, RejectedRecord, Report, ReportFilter
from nightferry.backend.runs import RunRequest, RunSummary, TaskRun
from nightferry.backend.starts import (
    ALL_STARTS,
    NotKnown,
    ScheduleProgress,
    SeenObject,
    Start,
    StartFilter,
)
from nightferry.backend.states.values import MapItems, MapSummary, StateData, StateExecution
from nightferry.backend.usage import RunUsage
from nightferry.catalog.declarations import Schedule
from nightferry.states.machine.history import HistoryEvent


class LogReader(Protocol):
    """A reader that returns every line once."""

    def new(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """Yield the lines of these runs that were not yielded before, in order."""
        ...

    def is_drained(self, run: str) -> bool:
        """Return True if no further lines of a stopped run are expected."""
        ...


class Backend(Protocol):
    """The operations on tasks and workflows in one environment.

    Every method raises Unreachable if the backend is unreachable, CredentialsExpired if the credentials have expired,
    and Refused if it refuses the call (:mod:`nightferry.backend.errors`). A list is a page, newest first, that
    continues with its cursor. What an environment cannot have is :class:`~nightferry.backend.starts.NotKnown`.
    """

    # ── the environment ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outlives_client(self) -> bool:
        """Return True if runs continue after the command that started them has ended."""
        ...

    @property
    def interval(self) -> tuple[float, float]:
        """The polling interval in seconds: while there are changes, and at most, after a long time without any."""
        ...

    def author(self) -> str:
        """Return the person who acts: the user of the operating system, or on AWS the caller's name there."""
        ...

    def engine_status(self) -> EngineStatus | NotKnown:
        """Return the state of the engine that runs the tasks, its queue and its store."""
        ...

    # ── starts by a person ────────────────────────────────────────────────────────────────────────────────────────

    def run_task(self, request: RunRequest) -> str:
        """Request a run and return its ID."""
        ...

    def request(self, request: RunRequest) -> Any:
        """Return, as JSON, the request that :meth:`run_task` would make, after the same checks. Start nothing."""
        ...

    def start_workflow(self, workflow: str, input: Any, author: str = "") -> str:
        """Request an execution and return its ID; with overlap ``skip``, return the ID of the open one, if any."""
        ...

    # ── starts by a schedule, and what it or a trigger has started ────────────────────────────────────────────────

    def find_scheduled(self, schedule: Schedule, times: Sequence[datetime]) -> dict[datetime, str]:
        """Return the run or execution that a schedule or a backfill has started for each of its times that has one.

        If a run was repeated, this is the last repeat.
        """
        ...

    def start_scheduled(self, schedule: Schedule, time: datetime) -> str | None:
        """Start a schedule's target for one of its times, and return the ID of the run or execution.

        A time is started once: a further call returns the same ID. Return None, and start nothing, while an earlier
        start of the target is running, unless its overlap policy is ``allow``.
        """
        ...

    def starts(
        self, wanted: StartFilter = ALL_STARTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Start] | NotKnown:
        """Return the first ``limit`` starts by schedules and triggers, the last decision first, like :meth:`runs`."""
        ...

    def count_starts(self, wanted: StartFilter = ALL_STARTS, *, limit: int = 10_000) -> Count | NotKnown:
        """Return the number of starts of the filter, counted up to ``limit``."""
        ...

    def schedule_progress(self) -> Mapping[str, ScheduleProgress] | NotKnown:
        """Return how far the environment has processed each schedule that it has loaded, by name."""
        ...

    def seen_objects(
        self, trigger: str, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[SeenObject] | NotKnown:
        """Return the first ``limit`` objects that an object trigger has seen, the last modified first."""
        ...

    def dead_letters(self) -> Mapping[str, int] | NotKnown:
        """Return the number of messages about failed starts in each dead-letter queue, by its short name.

        The messages are counted without receiving them, because a received one is hidden from others.
        """
        ...

    # ── repeats and stops ─────────────────────────────────────────────────────────────────────────────────────────

    def redrive(self, id: str, *, dry_run: bool = False) -> str:
        """Continue a failed execution at the state that failed, and return its ID. With ``dry_run``, only check it.

        A repeated call has no further effect. Raises UnknownName, and CannotRedrive or another NightferryError with the
        reason.
        """
        ...

    def redrive_run(self, id: str, *, dry_run: bool = False) -> str:
        """Start the task of a failed run again with the same inputs. Return the new run's ID.

        With ``dry_run``, only check it, and return the ID of the failed run. A run is repeated only once. Raises
        UnknownName, CannotRedrive, and the errors of :meth:`run_task`.
        """
        ...

    def find_repeat(self, id: str) -> str | None:
        """Return the ID of the run that repeats a run, or None."""
        ...

    def find_planned_retry(self, id: str) -> datetime | None:
        """Return the time at which the retry of a failed run is planned, or None."""
        ...

    def stop(self, id: str, reason: str, author: str = "") -> None:
        """Request that a run or execution stop. Its reason then contains the author."""
        ...

    # ── work that continues ───────────────────────────────────────────────────────────────────────────────────────

    def drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:
        """Continue open runs and executions, and call ``poll`` several times a second until it returns False.

        If other work continues after that, call ``report`` with a message. An exception from ``poll`` ends it at once.
        """
        ...

    def detach(self) -> None:
        """Ensure that requested runs and executions continue without this process."""
        ...

    # ── the record of actions ─────────────────────────────────────────────────────────────────────────────────────

    def add_action(self, action: Action) -> None:
        """Record what a person requests, before it is done."""
        ...

    def add_action_result(self, result: ActionResult) -> None:
        """Record the result of a recorded action."""
        ...

    @property
    def knows_all_actions(self) -> bool:
        """Return True if :meth:`actions` has the actions of everyone, from all machines."""
        ...

    def actions(
        self, wanted: ActionFilter = ALL_ACTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Action]:
        """Return the first ``limit`` actions of the filter, like :meth:`runs`.

        On AWS, these are the actions that were requested on this machine, and those that AWS keeps: it has no author
        of a redrive, and of an execution only if Nightferry started it.
        """
        ...

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, id: str) -> TaskRun:
        """Return a run by its ID or an unambiguous prefix of it; raises UnknownName."""
        ...

    def runs(self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 20) -> Page[TaskRun]:
        """Return the first ``limit`` runs of the filter, newest first; with ``before``, those after this place."""
        ...

    def run_summaries(
        self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 500
    ) -> Page[RunSummary]:
        """Return the same runs as :meth:`runs`, at less cost: for a picture or a statistic of many."""
        ...

    def count_runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 10_000) -> Count:
        """Return the number of runs of the filter, counted up to ``limit``."""
        ...

    def usage(self, since: datetime, *, task: str | None = None, limit: int = 1000) -> list[RunUsage]:
        """Return what the last ``limit`` ended runs used that were requested from ``since`` on, newest first."""
        ...

    def log_volume(self, since: datetime) -> int | None:
        """Return the bytes that all runs wrote to their logs from ``since`` on; None if only each run has its bytes."""
        ...

    def result(self, run: TaskRun) -> dict[str, Any] | None:
        """Return the object that a run's main returned; None without one, or if the caller may not read the log."""
        ...

    def troubleshooting(self, run: TaskRun) -> list[str]:
        """Return the checks to make if a run did not start or AWS ended it, one sentence each. Empty otherwise."""
        ...

    # ── executions ────────────────────────────────────────────────────────────────────────────────────────────────

    def execution(self, id: str) -> WorkflowExecution:
        """Return an execution by its ID or an unambiguous prefix of it; raises UnknownName."""
        ...

    def executions(
        self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[ExecutionSummary]:
        """Return the first ``limit`` executions of the filter, like :meth:`runs`."""
        ...

    def count_executions(self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, limit: int = 10_000) -> Count:
        """Return the number of executions of the filter, counted up to ``limit``."""
        ...

    def stored_notices(self, execution: str) -> list[str]:
        """Return the topic of each notice of an execution that was stored instead of sent. Empty on AWS."""
        ...

    def definition(self, execution: str) -> Mapping[str, Any]:
        """Return the definition in Amazon States Language with which an execution started."""
        ...

    def history(self, execution: str, *, after: int = 0) -> list[HistoryEvent]:
        """Return the events of an execution after its first ``after`` events, in order."""
        ...

    # ── the states of an execution ────────────────────────────────────────────────────────────────────────────────

    def state_history(self, execution: str, *, largest_map: int | None = None) -> list[StateExecution]:
        """Return the states that an execution entered, in order, without their data.

        With ``largest_map``, leave out the states within a Map that has more items.
        """
        ...

    def state_data(self, execution: str, path: str, visit: int = 1) -> StateData:
        """Return one of these states with its input, output, cause, attempts and events; raises UnknownName."""
        ...

    def map_summaries(self, execution: str, *, largest_map: int | None = None) -> list[MapSummary]:
        """Return the counts of the items of each Map that an execution entered; ``largest_map`` is as above."""
        ...

    def map_items(self, execution: str, path: str, visit: int = 1) -> MapItems:
        """Return all items of one of these Maps; raises UnknownName."""
        ...

    # ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def lines(
        self,
        run: TaskRun,
        wanted: LineFilter = ALL_LINES,
        *,
        before: int | None = None,
        after: int | None = None,
        around: Place | None = None,
        limit: int = 1000,
        resume: str | None = None,
    ) -> LogWindow:
        """Return at most ``limit`` lines of a run: the last ones, or those before, after or around a place.

        ``before`` and ``after`` are positions of lines. ``around`` returns half of the lines before the place, and the
        others from it on. ``resume`` continues a search that ended at its limits.
        """
        ...

    def count_lines(self, run: TaskRun, wanted: LineFilter = ALL_LINES) -> Mapping[Level, int] | None:
        """Return the number of lines of each level with the filter's text; None if it would read the whole log."""
        ...

    def log(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """Yield all lines that these runs have written so far, in order."""
        ...

    def log_reader(self, since: datetime | None = None) -> LogReader:
        """Return a reader of past and future lines of runs, from ``since`` on."""
        ...

    def last_errors(self, runs: Sequence[TaskRun]) -> dict[str, str]:
        """Return the message of the last error in the log of each of these stopped runs that has one, by its ID.

        The number of calls does not depend on the number of runs, except that a call on AWS is for up to 100 runs.
        """
        ...

    # ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────

    def report(self, id: str) -> Report:
        """Return a report by its ID; raises UnknownName."""
        ...

    def reports(
        self, wanted: ReportFilter = ALL_REPORTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Report]:
        """Return the first ``limit`` reports of the filter, like :meth:`runs`. On AWS, a page may be short."""
        ...

    def rejected_records(self, report: Report, *, after: int = 0, limit: int = 1000) -> list[RejectedRecord]:
        """Return the rejected records behind a report with line numbers above ``after``, in order.

        Raises:
            RecordsUnreachable: They cannot be read from here, or their kind of report does not declare a query.
        """
        ...
