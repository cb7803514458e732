"""The local implementation of the backend interface, with the store and an engine."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from nightferry.audit.journal import ActionJournal
from nightferry.audit.people import get_user
from nightferry.backend import request_checks
from nightferry.backend.actions import ALL_ACTIONS, Action, ActionFilter, ActionResult, format_stop_reason
from nightferry.backend.engine_status import EngineStatus
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.log_lines import LAST_LINES, find_last_error
from nightferry.backend.log_windows import ALL_LINES, Level, LineFilter, LogLine, LogWindow, Place
from nightferry.backend.queries import ALL_EXECUTIONS, ALL_RUNS, Count, Cursor, ExecutionFilter, Page, RunFilter
from nightferry.backend.reports import ALL_REPORTS, RejectedRecord, Report, ReportFilter, require_records
from nightferry.backend.runs import RunRequest, RunSummary, TaskRun
from nightferry.backend.starts import ALL_STARTS, NotKnown, ScheduleProgress, SeenObject, Start, StartFilter
from nightferry.backend.states.cache import StateCache
from nightferry.backend.states.queries import StateQueries
from nightferry.backend.states.reader import StateReader
from nightferry.backend.usage import RunUsage
from nightferry.catalog.declarations import Schedule, Secret
from nightferry.catalog.secret_users import format_set_command
from nightferry.contract import LogEvent, StopCode, was_replaced
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.job.redaction import Redactor
from nightferry.local.engine import engine, engine_lock
from nightferry.local.engine.background import ensure_engine
from nightferry.local.engine.executor import abort_execution
from nightferry.local.engine.redrive import redrive
from nightferry.local.engine_status import read_engine_status
from nightferry.local.processes.processes import kill_orphans
from nightferry.local.runs import repeats, starts
from nightferry.local.services import secrets
from nightferry.local.services.rejected_records import read_records
from nightferry.local.services.services import Services
from nightferry.local.store import HistoryDamaged, Store
from nightferry.local.store_reader import StoreReader
from nightferry.local.triggers.object_triggers import watch_objects
from nightferry.states.machine.history import HistoryEvent

_LOCK_RETRY_SECONDS = 0.3  # between two attempts to become the engine
_LONGEST_REASON = 1000  # characters of the reason of a stop
_KEPT_ERRORS = 20_000  # of stopped runs; the pages of problems read them again and again
_POLL_SECONDS = 0.15  # between two calls of the poll function

# A server has a backend, and a connection to the store, for each of its threads. They share the states by store and ID.
_STATES = StateCache()

_Execution = TypeVar("_Execution", bound=ExecutionSummary)


class LocalBackend(StateQueries):
    """Runs and executions of a project on this machine."""

    def __init__(
        self,
        project: Project,
        environment: Environment,
        services: Services | None = None,
        *,
        objects: bool = False,
        read_only: bool = False,
    ) -> None:
        """Open the store. If the caller passes ``services``, it starts and stops them itself.

        With ``objects``, the engine also runs object triggers, as ``nightferry up`` does. With ``read_only``, only
        queries work: the first one opens the store, which is empty as long as the file does not exist.
        """
        self._objects = objects
        self._last_errors: dict[str, str | None] = {}
        self._project = project
        self._environment = environment
        self._services = services
        self.redact = Redactor(project.catalog.privacy).redact_value
        self._journal = ActionJournal(project.state, environment.name)
        file = project.state / "engine.sqlite"
        self._store = StoreReader(file) if read_only else Store(file)

    @property
    def store(self) -> Store:
        """Return the store."""
        return self._store.open() if isinstance(self._store, StoreReader) else self._store

    @property
    def outlives_client(self) -> bool:
        """See :class:`nightferry.backend.interface.Backend`. The watching process may be the engine itself."""
        return False

    @property
    def interval(self) -> tuple[float, float]:
        """See :class:`nightferry.backend.interface.Backend`. Polling the local store is cheap."""
        return 0, 0

    @property
    def knows_all_actions(self) -> bool:
        """See :class:`nightferry.backend.interface.Backend`."""
        return True

    def author(self) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        return get_user()

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────

    def run_task(self, request: RunRequest) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        self._check(request)
        id = uuid.uuid4().hex
        self.store.add_run(
            id,
            request.task,
            request.args,
            dict(request.env),
            cpu=request.cpu,
            memory=request.memory,
            started_by=request.started_by,
        )
        return id

    def request(self, request: RunRequest) -> dict[str, Any]:
        """See :class:`nightferry.backend.interface.Backend`."""
        self._check(request)
        return {name: value for name, value in vars(request).items() if value}

    def _check(self, request: RunRequest) -> None:
        request_checks.check(self._project.catalog, request, self._make_secret_hint)
        self._check_secrets(request.task)

    def _check_secrets(self, *tasks: str) -> None:
        """Check, before a start is recorded, that this machine has the secrets of its tasks. Raises MissingSecret."""
        secrets.check_available(self._project.state, self._project.catalog, tasks)

    def _make_secret_hint(self, secret: Secret) -> str:
        command = format_set_command(secret.name)
        return f"Its value would be stored with the run and in the shell's history. Store it: {command}"

    def start_workflow(self, workflow: str, input: Any, author: str = "") -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        declared = request_checks.get_workflow(self._project.catalog, workflow)
        if declared.overlap != "skip" or not self.store.open_execution_ids(workflow):
            request_checks.check_input(declared, input)  # an open execution keeps its own input
            self._check_secrets(*declared.tasks)
        with self._open_services() as services:  # The definition may refer to a service's address.
            definition = services.resolve(dict(declared.definition))
        return starts.begin_execution(self.store, declared, definition, input, started_by=author).id

    def find_scheduled(self, schedule: Schedule, times: Sequence[datetime]) -> dict[datetime, str]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return starts.find_scheduled(self.store, schedule, times)

    def start_scheduled(self, schedule: Schedule, time: datetime) -> str | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        workflows = self._project.catalog.workflows
        self._check_secrets(*(workflows[schedule.target].tasks if schedule.kind == "workflow" else (schedule.target,)))
        with self._open_services() as services:
            return starts.start_scheduled(self.store, self._project.catalog, services.resolve, schedule, time)

    def redrive(self, id: str, *, dry_run: bool = False) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        execution = self.execution(id)
        redrive(self.store, self._project.catalog, execution.id, dry_run=dry_run)
        return execution.id

    def redrive_run(self, id: str, *, dry_run: bool = False) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        self._check_secrets(self.run(id).task)
        return repeats.redrive_run(self.store, self._project.catalog, self._resolve_id(id), dry_run=dry_run)

    def find_repeat(self, id: str) -> str | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        return repeats.find_repeat(self.store, self._resolve_id(id))

    def find_planned_retry(self, id: str) -> datetime | None:
        """See :class:`nightferry.backend.interface.Backend`."""
        repeat = self.find_repeat(id)
        found = None if repeat is None else self.run(repeat)
        return found.not_before if found is not None and found.status == "QUEUED" else None

    def stop(self, id: str, reason: str, author: str = "") -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        self.store.request_stop(
            self._resolve_id(id), format_stop_reason(self.redact(reason, ""), author, _LONGEST_REASON)
        )
        self.apply_stop_requests()

    def add_action(self, action: Action) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        self.store.add_action(action)
        self._journal.add_action(action)

    def add_action_result(self, result: ActionResult) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        self.store.add_action_result(result)
        self._journal.add_action_result(result)

    def actions(
        self, wanted: ActionFilter = ALL_ACTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Action]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.actions(wanted, before=before, limit=limit)

    def _open_services(self) -> AbstractContextManager[Services]:
        if self._services is not None:
            return nullcontext(self._services)
        return Services(self._project.catalog, self._environment, self._project.state)

    def apply_stop_requests(self) -> None:
        """If no engine is running, record runs and executions with a stop request as stopped."""
        with engine_lock.lock(self._project.state) as ours:
            if not ours:
                return
            stops, privacy = self.store.stop_requests(), self._project.catalog.privacy
            for execution in self.store.open_executions():
                if execution.id in stops:
                    stops = abort_execution(self.store, execution, stops[execution.id], privacy) | stops
            for record in self.store.open_runs():
                reason = stops.get(record.run.id) or stops.get(record.run.execution or "")
                if reason is not None:
                    if record.pid is not None and record.pid_created is not None:
                        kill_orphans(record.pid, record.pid_created)
                    self.store.mark_run_stopped(record.run.id, None, StopCode.BY_USER, reason)

    # ── running ───────────────────────────────────────────────────────────────────────────────────────────────

    async def work(self, until: Callable[[], bool]) -> None:
        """Continue open runs and executions, in this process or in a running engine, until ``until`` returns True."""
        ours = False
        # Requests that were made while this engine stopped its services found the lock taken and rely on this process.
        while not until() or (ours and self.store.has_open_work()):
            with engine_lock.lock(self._project.state) as ours:
                if ours:
                    catalog, state = self._project.catalog, self._project.state
                    with self._open_services() as services:
                        working = engine.Engine(catalog, self._environment, state, services)
                        if self._objects:
                            watch_objects(working, services, catalog, self._environment)
                        await working.work(until)
                    continue
            await asyncio.sleep(_LOCK_RETRY_SECONDS)

    def drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        asyncio.run(self._drive(poll, report))

    async def _drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:
        watching, reported = True, False
        working = asyncio.create_task(self.work(lambda: not watching))
        try:
            while not working.done():
                watching = poll()
                if not watching and not reported and (others := self._describe_open_work()):
                    reported = True
                    report(f"Waiting for {others} to end. Press Ctrl-C to exit; the next command continues the work.")
                await asyncio.wait({working}, timeout=_POLL_SECONDS)
            await working
            poll()
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def _describe_open_work(self) -> str:
        """Return a list of the open executions and of the tasks running outside executions, as text."""
        executions = [execution.id for execution in self.store.open_executions()]
        alone = [
            f"attempt {run.attempt} of {run.task} at {run.not_before.astimezone():%Y-%m-%d %H:%M:%S}"
            if run.not_before is not None and run.status == "QUEUED"
            else run.task
            for run in (record.run for record in self.store.open_runs())
            if run.execution is None
        ]
        return ", ".join([*executions, *alone])

    def detach(self) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        ensure_engine(self._project, self._environment.name)

    # ── queries ───────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, id: str) -> TaskRun:
        """See :class:`nightferry.backend.interface.Backend`."""
        record = self.store.run(self._resolve_id(id))
        if record is None:
            raise UnknownName("run", id, [run.id for run in self.runs(limit=5)])
        return record.run

    def execution(self, id: str) -> WorkflowExecution:
        """See :class:`nightferry.backend.interface.Backend`."""
        found = self.store.execution(self._resolve_id(id))
        if found is None:
            raise UnknownName("execution", id, [execution.id for execution in self.executions(limit=5)])
        return self._mark_interruption(found)

    def runs(self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 20) -> Page[TaskRun]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.runs(wanted, before=before, limit=limit)

    def run_summaries(
        self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 500
    ) -> Page[RunSummary]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.run_summaries(wanted, before=before, limit=limit)

    def count_runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 10_000) -> Count:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.count_runs(wanted, limit=limit)

    def usage(self, since: datetime, *, task: str | None = None, limit: int = 1000) -> list[RunUsage]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.usage(since, task=task, limit=limit)

    def log_volume(self, since: datetime) -> int | None:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`."""
        return None

    def executions(
        self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[ExecutionSummary]:
        """See :class:`nightferry.backend.interface.Backend`."""
        page = self.store.executions(wanted, before=before, limit=limit)
        if not any(one.status == "RUNNING" for one in page) or engine_lock.is_running(self._project.state):
            return page
        return Page(tuple(map(self._mark_interruption, page)), page.next)

    def count_executions(self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, limit: int = 10_000) -> Count:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.count_executions(wanted, limit=limit)

    def report(self, id: str) -> Report:
        """See :class:`nightferry.backend.interface.Backend`."""
        found = self.store.report(id)
        if found is None:
            raise UnknownName("report", id, [one.id for one in self.reports(limit=5)])
        return found

    def reports(
        self, wanted: ReportFilter = ALL_REPORTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Report]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.reports(wanted, before=before, limit=limit)

    def rejected_records(self, report: Report, *, after: int = 0, limit: int = 1000) -> list[RejectedRecord]:
        """See :class:`nightferry.backend.interface.Backend`. The service is not started."""
        found = require_records(self._project.catalog, self._environment.name, report)
        services = self._services or Services(self._project.catalog, self._environment, self._project.state)
        addresses = {
            name: services.peek_address(found.declared.service, name) for name in ("host", "port", "user", "database")
        }
        return read_records(found, addresses, after, limit)

    def starts(self, wanted: StartFilter = ALL_STARTS, *, before: Cursor | None = None, limit: int = 20) -> Page[Start]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.starts(wanted, before=before, limit=limit)

    def count_starts(self, wanted: StartFilter = ALL_STARTS, *, limit: int = 10_000) -> Count:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.count_starts(wanted, limit=limit)

    def schedule_progress(self) -> Mapping[str, ScheduleProgress]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.schedule_progress()

    def seen_objects(self, trigger: str, *, before: Cursor | None = None, limit: int = 20) -> Page[SeenObject]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.seen_objects(trigger, before=before, limit=limit)

    def engine_status(self) -> EngineStatus:
        """See :class:`nightferry.backend.interface.Backend`."""
        return read_engine_status(self._project, self._environment, self.store)

    def dead_letters(self) -> NotKnown:
        """See :class:`nightferry.backend.interface.Backend`."""
        return NotKnown(
            "The engine on this machine has no dead-letter queues: it repeats a failed start until it works."
        )

    def definition(self, execution: str) -> Mapping[str, Any]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.definition(self.execution(execution).id)

    def history(self, execution: str, *, after: int = 0) -> list[HistoryEvent]:
        """See :class:`nightferry.backend.interface.Backend`."""
        try:
            return self.store.events(self._resolve_id(execution), after)
        except HistoryDamaged as damage:
            return damage.readable

    def _read_states(self, execution: str) -> AbstractContextManager[StateReader]:
        id = self._resolve_id(execution)
        return _STATES.read((self.store.file, id), lambda known: self._iterate_readable(id, known), self.redact)

    def _iterate_readable(self, id: str, after: int) -> Iterator[HistoryEvent]:
        with contextlib.suppress(HistoryDamaged):
            yield from self.store.iterate_events(id, after)

    def _read_events(self, execution: str, positions: Sequence[int]) -> Sequence[HistoryEvent]:
        return self.store.events_at(self._resolve_id(execution), positions)

    def stored_notices(self, execution: str) -> list[str]:
        """See :class:`nightferry.backend.interface.Backend`. A running engine may be about to store the last one."""
        with self.store.transaction():
            due = [one for one in self.store.executions_with_notice_due() if one.id == execution]
            stored = self.store.execution_topics(execution)
        workflows = [
            self._project.catalog.workflows.get(one.workflow) for one in due if not was_replaced(one.status, one.cause)
        ]
        return stored + [one.on_failure.topic.name for one in workflows if one is not None and one.on_failure]

    def lines(
        self,
        run: TaskRun,
        wanted: LineFilter = ALL_LINES,
        *,
        before: int | None = None,
        after: int | None = None,
        around: Place | None = None,
        limit: int = 1000,
        resume: str | None = None,  # noqa: ARG002  # a local search ends within a second
    ) -> LogWindow:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.store.find_lines(run.id, wanted, before=before, after=after, around=around, limit=limit)

    def count_lines(self, run: TaskRun, wanted: LineFilter = ALL_LINES) -> Mapping[Level, int]:
        """See :class:`nightferry.backend.interface.Backend`. The counts are exact."""
        return self.store.count_lines(run.id, wanted)

    def log(self, runs: Sequence[str], after: int = 0) -> Iterator[LogLine]:
        """See :class:`nightferry.backend.interface.Backend`."""
        while lines := self.store.lines(runs, after):
            yield from lines
            after = lines[-1].position

    def last_errors(self, runs: Sequence[TaskRun]) -> dict[str, str]:
        """See :class:`nightferry.backend.interface.Backend`."""
        if len(self._last_errors) > _KEPT_ERRORS:
            self._last_errors.clear()
        for run in runs:
            if run.status == "STOPPED" and run.id not in self._last_errors:  # it has written its last line
                lines = self.store.last_errors(run.id, LAST_LINES)
                self._last_errors[run.id] = find_last_error(lines, run.stopped_at)
        found = {run.id: self._last_errors.get(run.id) for run in runs}
        return {id: message for id, message in found.items() if message is not None}

    def result(self, run: TaskRun) -> dict[str, Any] | None:
        """See :class:`nightferry.backend.interface.Backend`. It is the event of the run's runtime, and not a line."""
        event = self.store.run_event(run.id, LogEvent.RESULT) if run.succeeded else None
        result = event.get("result") if event is not None else None
        return result if isinstance(result, dict) else None

    def log_reader(self, since: datetime | None = None) -> _LocalLogReader:
        """See :class:`nightferry.backend.interface.Backend`."""
        return _LocalLogReader(self.store, since)

    def troubleshooting(self, run: TaskRun) -> list[str]:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`. The recorded reason is sufficient for local runs."""
        return []

    def _mark_interruption(self, execution: _Execution) -> _Execution:
        interrupted = execution.status == "RUNNING" and not engine_lock.is_running(self._project.state)
        return replace(execution, interrupted=interrupted)

    def _resolve_id(self, id: str) -> str:
        """Return the full ID that begins with ``id``, or ``id`` itself if no ID does."""
        matching = self.store.find_ids(id) if id else []
        if len(matching) > 1 and id not in matching:
            raise NightferryError(
                f"'{id}' matches several runs or executions: {', '.join(matching)}. Use a longer prefix."
            )
        return id if id in matching or not matching else matching[0]


class _LocalLogReader:
    """See :class:`nightferry.backend.interface.LogReader`. The reader remembers the position of its last line."""

    def __init__(self, store: Store, since: datetime | None) -> None:
        self._store = store
        self._since = since
        self._after = 0

    def new(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """See :class:`nightferry.backend.interface.LogReader`."""
        while lines := self._store.lines(runs, self._after):
            for line in lines:
                self._after = line.position
                if self._since is None or line.time >= self._since:
                    yield line

    def is_drained(self, run: str) -> bool:  # noqa: ARG002  # a run is recorded as stopped after its last line
        """See :class:`nightferry.backend.interface.LogReader`."""
        return True
