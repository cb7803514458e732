"""Executions on Step Functions: start them idempotently, describe, list and stop them, and read their histories."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import dropwhile, groupby, islice
from typing import Any

from nightferry.aws.executions.histories import Histories
from nightferry.aws.lru_cache import LruCache
from nightferry.aws.runs.journal import TOKEN_LENGTH, Journal
from nightferry.aws.runs.runs import parse_time
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.queries import Count, Cursor, ExecutionFilter, Outcome, Page, judge_execution
from nightferry.catalog.catalog import Catalog
from nightferry.contract import Naming
from nightferry.states.machine.history import HistoryEvent

_SEARCH_LIMIT = 500  # executions of each workflow that are searched for the prefix of an ID
_KEPT_DEFINITIONS = 50
_KEPT_ERRORS = 10_000
_LARGEST_PAGE = 1000  # of ListExecutions
_LONGEST_NAME = 80  # of an execution
_AUTHOR = re.compile(rf"-[0-9a-f]{{{TOKEN_LENGTH}}}-(.+)$")
_MISSING = ("ExecutionDoesNotExist", "StateMachineDoesNotExist", "InvalidArn")

_STATUSES: Mapping[Outcome, tuple[str, ...]] = {
    "open": ("RUNNING", "PENDING_REDRIVE"),
    "succeeded": ("SUCCEEDED",),
    "failed": ("FAILED", "TIMED_OUT"),
    "stopped": ("ABORTED",),
}

EXAMINED = 10_000
"""The number of executions that a query reads before it returns the part that it has."""


class Executions:
    """The executions of an environment's workflows."""

    def __init__(self, aws: Aws, catalog: Catalog, naming: Naming, partition: str, journal: Journal) -> None:
        self._aws = aws
        self._catalog = catalog
        self._naming = naming
        self._arn_prefix = f"arn:{partition}:states:{aws.region}:{aws.account}"
        self._journal = journal
        self._workflow_of: dict[str, str] = {}
        self._histories = Histories(aws)
        self._definitions: LruCache[Mapping[str, Any]] = LruCache(_KEPT_DEFINITIONS)
        self._errors: LruCache[tuple[str | None, str | None]] = LruCache(_KEPT_ERRORS)

    def make_state_machine_arn(self, workflow: str) -> str:
        """Return the ARN of a workflow's state machine."""
        return f"{self._arn_prefix}:stateMachine:{self._naming.state_machine(workflow)}"

    def make_execution_arn(self, workflow: str, execution: str) -> str:
        """Return the ARN of an execution."""
        return f"{self._arn_prefix}:execution:{self._naming.state_machine(workflow)}:{execution}"

    def start(self, workflow: str, input: Any, author: str) -> str:
        """Start an execution idempotently, and return its name.

        The name contains the token of the journal and ends with the author, because StartExecution has no other place
        for it.
        """
        request = {"stateMachineArn": self.make_state_machine_arn(workflow), "input": json.dumps(input)}
        by = re.sub(r"[^A-Za-z0-9_]+", "-", author).strip("-")
        with self._journal.record({**request, "author": by}) as call:
            name = f"{workflow}-{call.token}{f'-{by}' if by else ''}"[:_LONGEST_NAME]
            with self._aws.translate_errors(f"start workflow {workflow}"):
                self._aws.stepfunctions.start_execution(**request, name=name)
        return name

    def stop(self, execution: WorkflowExecution, reason: str) -> None:
        """Stop an execution. Step Functions then stops its task."""
        with self._aws.translate_errors(f"stop execution {execution.id}"):
            self._aws.stepfunctions.stop_execution(
                executionArn=self.make_execution_arn(execution.workflow, execution.id),
                error="ExecutionAborted",
                cause=reason,
            )

    def find(self, id: str) -> list[WorkflowExecution]:
        """Return the execution with this name, or else all whose names start with it."""
        name = id.rpartition(":")[2]
        # A watcher calls this for each poll, so the likely workflow comes first: it was found before, or named so.
        known = self._workflow_of.get(name)
        for workflow in sorted(self._catalog.workflows, key=lambda one: (one != known, not name.startswith(f"{one}-"))):
            try:
                return [self._describe(workflow, name)]
            except ResourceNotFound:
                continue
        found = []
        for workflow in self._catalog.workflows:
            for _, item in islice(self._list(workflow, None, _SEARCH_LIMIT), _SEARCH_LIMIT):
                if item["name"].startswith(name):
                    found.append(self._describe(workflow, item["name"]))
        return found

    def find_page(self, wanted: ExecutionFilter, before: Cursor | None, limit: int) -> Page[ExecutionSummary]:
        """Return the next ``limit`` executions after the cursor ``before``, newest first.

        The API's list has no errors, so those of failed executions of the page are read one by one, and kept.
        """
        found: list[ExecutionSummary] = []
        place: Cursor | None = None
        is_first = before is None and wanted == ExecutionFilter(wanted.workflow, wanted.outcome)
        listed = self._iterate(wanted, limit if is_first else _LARGEST_PAGE)
        if before is not None:
            listed = dropwhile(lambda one: _get_place(one[1]) >= before, listed)
        for examined, (workflow, item) in enumerate(listed):
            if len(found) == limit or examined == EXAMINED:
                return Page(tuple(found), place)
            place = _get_place(item)
            if _matches(wanted, item):
                found.append(self._summarize(workflow, item))
        return Page(tuple(found), None)

    def iterate(self, wanted: ExecutionFilter, before: Cursor | None) -> Iterator[Any]:
        """Yield the API's descriptions of the executions after the cursor ``before``, newest first."""
        listed = (item for _, item in self._iterate(wanted, _LARGEST_PAGE) if _matches(wanted, item))
        return listed if before is None else dropwhile(lambda item: _get_place(item) >= before, listed)

    def count(self, wanted: ExecutionFilter, limit: int) -> Count:
        """Return the number of executions, counted up to ``limit``."""
        number = 0
        for examined, (_, item) in enumerate(self._iterate(wanted, _LARGEST_PAGE)):
            number += _matches(wanted, item)
            if number > limit or examined == EXAMINED:
                return Count(min(number, limit), complete=False)
        return Count(number, complete=True)

    def _iterate(self, wanted: ExecutionFilter, limit: int) -> Iterator[tuple[str, Any]]:
        """Yield the workflow and the API's description of executions, newest first, as long as they can match."""
        workflows = [*self._catalog.workflows] if wanted.workflow is None else [wanted.workflow]
        statuses: tuple[str | None, ...] = (None,) if wanted.outcome is None else _STATUSES[wanted.outcome]
        lists = [_sort_ties(self._list(workflow, status, limit)) for workflow in workflows for status in statuses]
        for workflow, item in heapq.merge(*lists, key=lambda found: _get_place(found[1]), reverse=True):
            if wanted.since is not None and item["startDate"] < wanted.since:
                return
            yield workflow, item

    def _list(self, workflow: str, status: str | None, limit: int) -> Iterator[tuple[str, Any]]:
        filters: Any = {} if status is None else {"statusFilter": status}
        try:
            with self._aws.translate_errors(f"list the executions of workflow {workflow}", missing=_MISSING):
                for page in self._aws.stepfunctions.get_paginator("list_executions").paginate(
                    stateMachineArn=self.make_state_machine_arn(workflow),
                    PaginationConfig={"PageSize": min(limit + 1, _LARGEST_PAGE)},
                    **filters,
                ):
                    for item in page["executions"]:
                        yield workflow, item
        except ResourceNotFound:
            return  # the workflow is declared but not deployed yet

    def _summarize(self, workflow: str, item: Any) -> ExecutionSummary:
        name, status, stopped = item["name"], item["status"], parse_time(item.get("stopDate"))
        error: tuple[str | None, str | None] = (None, None)
        if status in ("FAILED", "TIMED_OUT", "ABORTED"):
            key = (workflow, name, stopped)  # a redrive leads to another end
            known = self._errors.get(key)
            if known is None:
                described = self._describe(workflow, name)
                known = (described.error, described.cause)
                self._errors.put(key, known)
            error = known
        started = parse_time(item["startDate"])
        assert started is not None
        return ExecutionSummary(name, workflow, status, started, stopped, *error, started_by=_find_starter(name))

    def list_running(self, workflow: str) -> list[str]:
        """Return the names of a workflow's running executions."""
        return [item["name"] for _, item in self._list(workflow, "RUNNING", _SEARCH_LIMIT)]

    def start_named(self, state_machine: str, name: str, input: str) -> None:
        """Start an execution with a name, once: Step Functions accepts each name once in 90 days."""
        request = {"stateMachineArn": state_machine, "name": name, "input": input}
        with (
            suppress(ResourceNotFound),
            self._aws.translate_errors(f"start {name}", missing=("ExecutionAlreadyExists",)),
        ):
            self._aws.stepfunctions.start_execution(**request)

    def get(self, workflow: str, name: str) -> WorkflowExecution | None:
        """Return the execution with this name, or None."""
        try:
            return self._describe(workflow, name)
        except ResourceNotFound:
            return None

    def list_started(self, workflow: str, periods: Sequence[tuple[datetime, datetime]]) -> Iterator[WorkflowExecution]:
        """Yield the executions that started in one of the periods, newest first."""
        first = min((begin for begin, _ in periods), default=None)
        with self._aws.translate_errors(f"list the executions of workflow {workflow}"):
            pages = self._aws.stepfunctions.get_paginator("list_executions").paginate(
                stateMachineArn=self.make_state_machine_arn(workflow)
            )
            for item in (item for page in pages for item in page["executions"]):
                started = item["startDate"]
                if first is None or started < first:
                    return
                if any(begin <= started <= end for begin, end in periods):
                    yield self._describe(workflow, item["name"])

    def history(self, execution: WorkflowExecution, after: int = 0) -> list[HistoryEvent]:
        """Return the events so far, after the first ``after`` ones."""
        return self._histories.read(self.make_execution_arn(execution.workflow, execution.id), execution, after)

    def definition(self, execution: WorkflowExecution) -> Mapping[str, Any]:
        """Return the definition with which an execution started; a later deployment does not change it."""
        arn = self.make_execution_arn(execution.workflow, execution.id)
        definition = self._definitions.get(arn)
        if definition is None:
            with self._aws.translate_errors(f"describe the state machine of execution {execution.id}"):
                machine = self._aws.stepfunctions.describe_state_machine_for_execution(executionArn=arn)
            definition = json.loads(machine["definition"])
            self._definitions.put(arn, definition)
        return definition

    def _describe(self, workflow: str, name: str) -> WorkflowExecution:
        with self._aws.translate_errors(f"describe execution {name}", missing=_MISSING):
            description: Mapping[str, Any] = self._aws.stepfunctions.describe_execution(
                executionArn=self.make_execution_arn(workflow, name)
            )
        self._workflow_of[name] = workflow
        started = parse_time(description["startDate"])
        assert started is not None
        return WorkflowExecution(
            id=description.get("name", name),
            workflow=workflow,
            status=description["status"],
            started_at=started,
            stopped_at=parse_time(description.get("stopDate")),
            input=_parse_json(description.get("input")),
            output=_parse_json(description.get("output")),
            error=description.get("error"),
            cause=description.get("cause"),
            started_by=_find_starter(description.get("name", name), _parse_json(description.get("input"))),
        )


def _sort_ties(listed: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the executions in the order of their places. The API orders by start time only."""
    for _, group in groupby(listed, key=lambda found: found[1]["startDate"]):
        yield from sorted(group, key=lambda found: _get_place(found[1]), reverse=True)


def _find_starter(name: str, input: Any = None) -> str | None:
    """Return the author in the name of an execution that Nightferry started, or the schedule in its input."""
    found = _AUTHOR.search(name)
    if found is None and isinstance(input, dict) and isinstance(input.get("schedule"), str):
        return f"schedule:{input['schedule']}"
    return found[1] if found else None


def _get_place(item: Any) -> Cursor:
    return Cursor(item["startDate"], item["name"])


def _matches(wanted: ExecutionFilter, item: Any) -> bool:
    return (
        wanted.outcome in (None, judge_execution(item["status"]))
        and (wanted.until is None or item["startDate"] < wanted.until)
        and wanted.text.lower() in item["name"].lower()
    )


def _parse_json(text: str | None) -> Any:
    """Return the value of JSON; other text, which only a damaged response has, as it is."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text
