"""The backend on AWS: tasks on ECS, workflows on Step Functions, lines in CloudWatch Logs.

It does not need Terraform or its state. The names of resources follow the rules of :mod:`nightferry.contract`, as in
synthesis. The deployment publishes the placement of tasks in a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from nightferry.audit.journal import ActionJournal
from nightferry.aws.actions import find_actions, read_author
from nightferry.aws.executions import dead_letters, history
from nightferry.aws.executions.executions import Executions
from nightferry.aws.executions.map_runs import MapRuns
from nightferry.aws.executions.redrive import redrive
from nightferry.aws.executions.scheduled import ScheduledStarts
from nightferry.aws.executions.starts import Starts
from nightferry.aws.last_errors import LastErrors
from nightferry.aws.log_windows import LogWindows
from nightferry.aws.logs import MAX_CLOCK_SKEW, CloudWatchReader
from nightferry.aws.lru_cache import LruCache
from nightferry.aws.reports import ReportQueries
from nightferry.aws.runs import reasons, repeats
from nightferry.aws.runs import request as run_requests
from nightferry.aws.runs.journal import Journal
from nightferry.aws.runs.log_volume import read_log_volume
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.runs.peaks import PeakQueries
from nightferry.aws.runs.placement import Placement, read_placement
from nightferry.aws.runs.queries import RunQueries
from nightferry.aws.runs.runs import measure_run, parse_run
from nightferry.aws.runs.tasks import LONGEST_REASON, Tasks
from nightferry.aws.session import Aws
from nightferry.backend import request_checks
from nightferry.backend.actions import ALL_ACTIONS, Action, ActionFilter, ActionResult, format_stop_reason
from nightferry.backend.errors import Refused
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.log_lines import LAST_PERIOD, find_result
from nightferry.backend.log_windows import ALL_LINES, LineFilter, LogLine, LogWindow, Place
from nightferry.backend.queries import ALL_EXECUTIONS, ALL_RUNS, Count, Cursor, ExecutionFilter, Page, RunFilter
from nightferry.backend.reports import (
    ALL_REPORTS,
    RecordsUnreachable,
    RejectedRecord,
    Report,
    ReportFilter,
    require_records,
)
from nightferry.backend.request_checks import check_input, get_workflow
from nightferry.backend.runs import RunRequest, RunSummary, TaskRun
from nightferry.backend.starts import ALL_STARTS, NotKnown, Start, StartFilter
from nightferry.backend.states.cache import StateCache
from nightferry.backend.states.queries import StateQueries
from nightferry.backend.states.reader import StateReader
from nightferry.backend.states.values import MapItems, MapSummary
from nightferry.backend.usage import RunUsage
from nightferry.catalog.declarations import Schedule
from nightferry.clock import Clock, get_clock
from nightferry.contract import ATTEMPT_VARIABLE, Naming, format_repeat, format_replacement, parse_arn_id
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import EnvironmentFileError, NightferryError, UnknownName
from nightferry.job.redaction import Redactor
from nightferry.states.machine.history import HistoryEvent

_DRIVE_SECONDS = 0.15  # between two polls of ``drive``
_VISIBLE_AFTER = timedelta(minutes=5)
_KNOWN_RUNS = 10_000  # the last states of runs that are kept
_SUGGESTIONS = 5  # IDs that the message about an unknown ID suggests
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_PREFIX = re.compile(r"[0-9a-f-]{4,36}")


class AwsBackend(StateQueries):
    """The runs and executions of a project in an environment on AWS.

    ``report`` is called with a message when a call is delayed or repeated. Without ``aws``, the backend creates its own
    session.
    """

    def __init__(
        self,
        project: Project,
        environment: Environment,
        *,
        clock: Clock | None = None,
        aws: Aws | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        if environment.aws is None:
            raise EnvironmentFileError(f"{environment.file}: table [aws] is missing. Use an environment on AWS.")
        self._catalog = project.catalog
        self._resources = AwsResources(project.catalog, environment)
        self._clock = clock or get_clock()
        self.naming = Naming(project.catalog.name, environment.name)
        self._log_quiet = timedelta(seconds=environment.aws.log_quiet_seconds)
        self.aws = aws or Aws(environment.aws.region, environment.aws.account)
        journal = Journal(project.state, environment.name, self._clock)
        self.journal_folder = journal.folder
        self._action_journal = ActionJournal(project.state, environment.name)
        self._peaks = PeakQueries(self.aws, self.naming, self._clock)
        self._outcomes = Outcomes(self.aws, self.naming, self._clock)
        self._tasks = Tasks(self.aws, journal, self._clock, report, self._outcomes)
        self._executions = Executions(self.aws, project.catalog, self.naming, environment.aws.partition, journal)
        self._map_runs = MapRuns(self.aws)
        self._states = StateCache()
        self.redact = Redactor(project.catalog.privacy).redact_value
        self._scheduled = ScheduledStarts(self._resources, self.aws, self._executions, self._clock)
        self._reports = ReportQueries(self.aws, self.naming.log_group, self._clock)
        self._last_errors = LastErrors(
            self.aws, self.naming.log_group, lambda run: self.naming.stream(run.task, run.id), self._clock
        )
        self._known: LruCache[TaskRun] = LruCache(_KNOWN_RUNS)
        self._queries = RunQueries(
            self._outcomes,
            self._list_current,
            self._list_runs_of,
            self._parse_runs,
            max((task.time_limit for task in project.catalog.tasks.values()), default=timedelta()),
            self._clock,
        )
        self._starts = Starts(self._resources, self._executions, self._queries.find)

    @property
    def outlives_client(self) -> bool:
        """See :class:`nightferry.backend.interface.Backend`."""
        return True

    @property
    def interval(self) -> tuple[float, float]:
        """See :class:`~nightferry.backend.interface.Backend`.

        Several clients at once stay within the rate limits of FilterLogEvents and DescribeTasks.
        """
        return 1, 10

    @cached_property
    def placement(self) -> Placement:
        """The placement of tasks, read once. Raises NotDeployed."""
        return read_placement(self.aws, self.naming)

    @property
    def knows_all_actions(self) -> bool:
        """See :class:`nightferry.backend.interface.Backend`."""
        return False

    def author(self) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        return read_author(self.aws)

    # ── starts and stops ───────────────────────────────────────────────────────────────────────────────────────

    def run_task(self, request: RunRequest) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        task = self._tasks.start(self.request(request), request.task)
        with self.aws.translate_errors(f"read the ID of the run of {request.task} that was started"):
            id = parse_arn_id(task["taskArn"])
        self._parse_run(task)
        return id

    def request(self, request: RunRequest) -> dict[str, Any]:
        """Return the parameters of RunTask, except the client token."""
        task = run_requests.check(self._catalog, request)
        return run_requests.build_parameters(self.naming, task, request, self.placement)

    def start_workflow(self, workflow: str, input: Any, author: str = "") -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        declared = get_workflow(self._catalog, workflow)
        overlap = declared.overlap
        running = self._executions.list_running(workflow) if overlap in ("skip", "replace") else []
        if running and overlap == "skip":
            return running[0]
        check_input(declared, input)
        id = self._executions.start(workflow, input, author)
        for earlier in running:
            if earlier != id:
                self.stop(earlier, format_replacement(id))
        return id

    def find_scheduled(self, schedule: Schedule, times: Sequence[datetime]) -> dict[datetime, str]:
        """See :class:`nightferry.backend.interface.Backend`. Runs are found as long as the event log keeps them."""
        if not times:
            return {}
        if schedule.kind == "workflow":
            return self._scheduled.find_executions(schedule, times)
        return self._scheduled.find_runs(schedule, times, self._list_runs_since(schedule.target, min(times)))

    def start_scheduled(self, schedule: Schedule, time: datetime) -> str | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        if schedule.kind == "workflow":
            alone = get_workflow(self._catalog, schedule.target).overlap != "allow"
            if alone and self._executions.list_running(schedule.target):
                return None
            return self._scheduled.start_workflow(schedule, time)
        alone = request_checks.get_task(self._catalog, schedule.target).overlap != "allow"
        if alone and any(run.status != "STOPPED" for run in self._list_current(schedule.target)):
            return None
        return self._scheduled.start_task(schedule, time)

    def _list_runs_since(self, task: str, since: datetime) -> list[TaskRun]:
        stopped = self._parse_runs(self._outcomes.find_since(task, since))
        return list({run.id: run for run in (*stopped, *self._list_current(task))}.values())

    def redrive(self, id: str, *, dry_run: bool = False) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        execution = self.execution(id)
        request_checks.check_alone(self._catalog, execution, self._executions.list_running(execution.workflow))
        redrive(
            self._resources,
            self.aws,
            self._executions.make_execution_arn(execution.workflow, execution.id),
            dry_run=dry_run,
        )
        return execution.id

    def redrive_run(self, id: str, *, dry_run: bool = False) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        run = self.run(id)
        request_checks.check_redrivable(self._catalog, run, self._find_repeat(run))
        if dry_run:
            return run.id
        env = dict(run.env)
        if self.find_planned_retry(run.id) is not None:  # The redrive starts the planned attempt now.
            env[ATTEMPT_VARIABLE] = str(run.attempt + 1)
        again = RunRequest(run.task, run.args, env, run.cpu, run.memory, format_repeat("rerun", run.id))
        task = request_checks.get_task(self._catalog, run.task)
        parameters = run_requests.build_parameters(self.naming, task, again, self.placement)
        return repeats.start_repeat(self.aws, parameters, run.id, self._clock)

    def find_repeat(self, id: str) -> str | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._find_repeat(self.run(id))

    def find_planned_retry(self, id: str) -> datetime | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        run = self.run(id)
        task = self._catalog.tasks.get(run.task)
        return None if task is None or task.retry is None else repeats.find_planned(self.aws, self.naming, run.id)

    def _find_repeat(self, run: TaskRun) -> str | None:
        return repeats.find_repeat(self.aws, self._outcomes, self.placement.cluster, run)

    def stop(self, id: str, reason: str, author: str = "") -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        reason = format_stop_reason(self.redact(reason, ""), author, LONGEST_REASON)
        try:
            run = self.run(id)
        except UnknownName:
            self._executions.stop(self.execution(id), reason)
        else:
            self._tasks.stop(self.placement.cluster, run.id, reason)

    def add_action(self, action: Action) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        self._action_journal.add_action(action)

    def add_action_result(self, result: ActionResult) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        self._action_journal.add_action_result(result)

    def actions(
        self, wanted: ActionFilter = ALL_ACTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Action]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return find_actions(self, self._action_journal, wanted, before, limit)

    def drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`. AWS runs the tasks, so this only polls."""
        while poll():
            self._clock.sleep(_DRIVE_SECONDS)

    def detach(self) -> None:
        """See :class:`nightferry.backend.interface.Backend`. AWS runs the tasks, so this does nothing."""

    # ── queries ───────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, id: str) -> TaskRun:
        """See :class:`nightferry.backend.interface.Backend`; ``id`` may be a task's ARN."""
        name = parse_arn_id(id)
        if _ID.fullmatch(name):
            found = self._describe([name])
            if name in found:
                return found[name]
            # DescribeTasks may not return a task right after its start (ECS API), and forgets it after its end.
            known = self._known.get(name)
            if known is not None and self._clock.now() - known.created_at < _VISIBLE_AFTER:
                return known
        matching = self._find_by_prefix(name)
        if len(matching) > 1:
            raise NightferryError(
                f"'{id}' matches several runs: {', '.join(sorted(matching)[:10])}. Use a longer prefix."
            )
        if not matching:
            raise UnknownName("run", id, [run.id for run in self.runs(limit=_SUGGESTIONS)])
        return next(iter(matching.values()))

    def _find_by_prefix(self, name: str) -> dict[str, TaskRun]:
        if not _ID_PREFIX.fullmatch(name):
            return {}
        ids = [id for id in self._tasks.list_ids(self.placement.cluster) if id.startswith(name)]
        found = self._describe(ids)
        stopped = self._parse_runs(self._outcomes.find_by_id_prefix(name)) if not found else []
        return found or {run.id: run for run in stopped}

    def execution(self, id: str) -> WorkflowExecution:
        """See :class:`nightferry.backend.interface.Backend`; ``id`` may be an execution's ARN."""
        found = self._executions.find(id) if id else []
        if len(found) > 1:
            raise NightferryError(
                f"'{id}' matches several executions: {', '.join(e.id for e in found[:10])}. Use a longer prefix."
            )
        if not found:
            raise UnknownName("execution", id, [execution.id for execution in self.executions(limit=_SUGGESTIONS)])
        return found[0]

    def runs(self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 20) -> Page[TaskRun]:
        """See :class:`nightferry.backend.interface.Backend`. Includes stopped runs from the log of state changes."""
        return self._queries.find(wanted, before, limit)

    def run_summaries(
        self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 500
    ) -> Page[RunSummary]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.runs(wanted, before=before, limit=limit)

    def count_runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 10_000) -> Count:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._queries.count(wanted, limit)

    def _list_current(self, task: str | None) -> list[TaskRun]:
        family = None if task is None else self.naming.family(task)
        return list(self._describe(self._tasks.list_ids(self.placement.cluster, family)).values())

    def _list_runs_of(self, execution: str) -> list[TaskRun]:
        runs = self._parse_runs(list(history.find_tasks(self._executions.history(self.execution(execution)))))
        found = {run.id: run for run in runs}
        not_stopped = [id for id, run in found.items() if run.status != "STOPPED"]
        return list({**found, **(self._describe(not_stopped) if not_stopped else {})}.values())

    def usage(self, since: datetime, *, task: str | None = None, limit: int = 1000) -> list[RunUsage]:
        """See :class:`nightferry.backend.interface.Backend`. The peaks of memory of one task are read from its log."""
        runs = self._queries.find(RunFilter(task=task, since=since), None, limit)
        peaks: dict[str, int] = {}
        if task is not None:
            with suppress(Refused):  # a caller may have the permission to list runs, but not to read their log
                peaks = self._peaks.find(task)
        found = (measure_run(run, peaks.get(run.id)) for run in runs)
        return [usage for usage in found if usage is not None]

    def log_volume(self, since: datetime) -> int | None:
        """See :class:`nightferry.backend.interface.Backend`. None without the permission to read metrics."""
        return read_log_volume(self.aws, self.naming.log_group, since, self._clock.now())

    def executions(
        self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[ExecutionSummary]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._executions.find_page(wanted, before, limit)

    def count_executions(self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, limit: int = 10_000) -> Count:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._executions.count(wanted, limit)

    def report(self, id: str) -> Report:
        """See :class:`nightferry.backend.interface.Backend`. The time in the ID limits what is read."""
        return self._reports.get(id)

    def reports(
        self, wanted: ReportFilter = ALL_REPORTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Report]:
        """See :class:`nightferry.backend.interface.Backend`. They are lines of the log of the tasks."""
        return self._reports.find(wanted, before, limit)

    def rejected_records(self, report: Report, *, after: int = 0, limit: int = 1000) -> list[RejectedRecord]:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`. Only tasks reach the environment's database."""
        found = require_records(self._catalog, self.naming.environment, report)
        raise RecordsUnreachable(
            f"The rejected records are in the database of {self.naming.environment}, which only its tasks reach.",
            found.command,
        )

    def starts(
        self, wanted: StartFilter = ALL_STARTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Start] | NotKnown:
        """See :class:`nightferry.backend.interface.Backend`. The starts are found by what they started."""
        return self._starts.find(wanted, before, limit)

    def count_starts(self, wanted: StartFilter = ALL_STARTS, *, limit: int = 10_000) -> Count | NotKnown:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._starts.count(wanted, limit)

    def schedule_progress(self) -> NotKnown:
        """See :class:`nightferry.backend.interface.Backend`."""
        return NotKnown("Amazon EventBridge does not report how far it has processed a schedule.")

    def seen_objects(self, trigger: str, *, before: Cursor | None = None, limit: int = 20) -> NotKnown:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`."""
        return NotKnown(
            "Amazon S3 keeps no list of the objects that it has reported. The starts show those that started."
        )

    def engine_status(self) -> NotKnown:
        """See :class:`nightferry.backend.interface.Backend`."""
        return NotKnown(
            "EventBridge and Step Functions replace the engine here: AWS starts the tasks and keeps their state. "
            "Alarms and dead letters report failed starts."
        )

    def dead_letters(self) -> dict[str, int]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return dead_letters.count_messages(self._resources, self.aws)

    def definition(self, execution: str) -> Mapping[str, Any]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._executions.definition(self.execution(execution))

    def history(self, execution: str, *, after: int = 0) -> list[HistoryEvent]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._executions.history(self.execution(execution), after)

    def _read_states(self, execution: str) -> AbstractContextManager[StateReader]:
        found = self.execution(execution)
        read_after = partial(self._executions.history, found)
        return self._states.read((found.workflow, found.id), read_after, self.redact)

    def _read_events(self, execution: str, positions: Sequence[int]) -> Sequence[HistoryEvent]:
        events = self.history(execution)
        return [events[position] for position in positions]

    def _summarize_run(self, run: str, path: str, visit: int) -> MapSummary:
        return self._map_runs.summarize(run, path, visit)

    def _list_run(self, run: str, path: str, visit: int) -> MapItems:
        return self._map_runs.list_items(run, path, visit, self.redact)

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
        """See :class:`nightferry.backend.interface.Backend`. CloudWatch searches with regard to case."""
        return LogWindows(self.aws, self.naming.log_group, self._clock).find_lines(
            run,
            self.naming.stream(run.task, run.id),
            run.created_at - MAX_CLOCK_SKEW,
            wanted,
            before=before,
            after=after,
            around=around,
            limit=limit,
            resume=resume,
        )

    def count_lines(self, run: TaskRun, wanted: LineFilter = ALL_LINES) -> None:
        """See :class:`nightferry.backend.interface.Backend`. A count would read the whole log."""

    def log(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.log_reader().new(runs)

    def last_errors(self, runs: Sequence[TaskRun]) -> dict[str, str]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self._last_errors.find(runs)

    def result(self, run: TaskRun) -> dict[str, Any] | None:
        """See :class:`nightferry.backend.interface.Backend`. The log stream is the only channel of a container."""
        if not run.succeeded:
            return None
        since = run.stopped_at and run.stopped_at - LAST_PERIOD
        try:
            return find_result(self.log_reader(since).new([run.id]), run.stopped_at)
        except Refused:
            return None

    def log_reader(self, since: datetime | None = None) -> CloudWatchReader:
        """See :class:`nightferry.backend.interface.Backend`."""
        return CloudWatchReader(
            self.aws,
            self.naming.log_group,
            lambda run: self.naming.stream(run.task, run.id),
            lambda id: self._known.get(id) or self.run(id),
            since,
            self._clock,
            self._log_quiet,
        )

    def stored_notices(self, execution: str) -> list[str]:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`. Amazon SNS sends all notices."""
        return []

    def troubleshooting(self, run: TaskRun) -> list[str]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return reasons.troubleshooting(run)

    def _describe(self, ids: Sequence[str]) -> dict[str, TaskRun]:
        tasks = self._tasks.describe(self.placement.cluster, ids)
        return {run.id: run for run in self._parse_runs(list(tasks.values()))}

    def _parse_runs(self, tasks: Sequence[Mapping[str, Any]]) -> list[TaskRun]:
        return [run for run in map(self._parse_run, tasks) if run is not None]

    def _parse_run(self, task: Mapping[str, Any]) -> TaskRun | None:
        run = parse_run(task, self.naming, self.naming.log_group)
        if run is not None:
            self._known.put(run.id, run)
        return run
