"""Executions on Step Functions: start one, once; describe, list and stop them; their histories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nightferry.aws.executions.history import events
from nightferry.aws.runs.journal import Journal
from nightferry.aws.runs.runs import time_of
from nightferry.aws.session import Aws, NotThere
from nightferry.backend.interface import WorkflowExecution
from nightferry.catalog.catalog import Catalog
from nightferry.contract import Naming
from nightferry.states.machine.history import HistoryEvent

_LOOKED_THROUGH = 500  # executions of each workflow, for the beginning of an id
_MISSING = ("ExecutionDoesNotExist", "StateMachineDoesNotExist", "InvalidArn")


class Executions:
    """The executions of an environment's workflows. ``arn`` makes an ARN of a service and a resource."""

    def __init__(self, aws: Aws, catalog: Catalog, naming: Naming, partition: str, journal: Journal) -> None:
        self._aws = aws
        self._catalog = catalog
        self._naming = naming
        self._begin = f"arn:{partition}:states:{aws.region}:{aws.account}"
        self._journal = journal
        self._ended: dict[str, list[HistoryEvent]] = {}

    def machine(self, workflow: str) -> str:
        """The ARN of a workflow's state machine."""
        return f"{self._begin}:stateMachine:{self._naming.state_machine(workflow)}"

    def arn(self, workflow: str, execution: str) -> str:
        """The ARN of an execution."""
        return f"{self._begin}:execution:{self._naming.state_machine(workflow)}:{execution}"

    def start(self, workflow: str, input: Any) -> str:
        """Start an execution, once; answers its name. The name is its token: it is written down before the call."""
        asked = {"stateMachineArn": self.machine(workflow), "input": json.dumps(input)}
        with self._journal.call(asked) as call:
            name = f"{workflow}-{call.token}"[:80]
            with self._aws.asking(f"to start workflow {workflow}"):
                self._aws.stepfunctions.start_execution(**asked, name=name)
        return name

    def stop(self, execution: WorkflowExecution, reason: str) -> None:
        """Stop an execution; Step Functions then stops its task."""
        with self._aws.asking(f"to stop execution {execution.id}"):
            self._aws.stepfunctions.stop_execution(
                executionArn=self.arn(execution.workflow, execution.id), error="ExecutionAborted", cause=reason
            )

    def find(self, id: str) -> list[WorkflowExecution]:
        """The executions of this name, or all whose names begin so."""
        name = id.rpartition(":")[2]
        for workflow in self._catalog.workflows:
            try:
                return [self._described(workflow, name)]
            except NotThere:
                continue
        found = []
        for workflow in self._catalog.workflows:
            for item in self._listed(workflow, _LOOKED_THROUGH):
                if item["name"].startswith(name):
                    found.append(self._described(workflow, item["name"]))
        return found

    def newest(self, workflow: str, limit: int) -> list[WorkflowExecution]:
        """The last executions of a workflow."""
        return [self._described(workflow, item["name"]) for item in self._listed(workflow, limit)]

    def open(self, workflow: str) -> list[str]:
        """The names of the executions of a workflow that go on."""
        return [item["name"] for item in self._listed(workflow, _LOOKED_THROUGH, open_only=True)]

    def history(self, execution: WorkflowExecution) -> list[HistoryEvent]:
        """All events so far."""
        if execution.id in self._ended:
            return self._ended[execution.id]
        answered: list[Any] = []
        with self._aws.asking(f"the history of execution {execution.id}"):
            for page in self._aws.stepfunctions.get_paginator("get_execution_history").paginate(
                executionArn=self.arn(execution.workflow, execution.id), includeExecutionData=True
            ):
                answered += page["events"]
        history = events(answered)
        if execution.status not in ("RUNNING", "PENDING_REDRIVE"):
            self._ended[execution.id] = history
        return history

    def _listed(self, workflow: str, limit: int, *, open_only: bool = False) -> list[Any]:
        only: Any = {"statusFilter": "RUNNING"} if open_only else {}
        try:
            with self._aws.asking(f"the executions of workflow {workflow}", missing=_MISSING):
                pages = self._aws.stepfunctions.get_paginator("list_executions").paginate(
                    stateMachineArn=self.machine(workflow), PaginationConfig={"MaxItems": limit}, **only
                )
                return [item for page in pages for item in page["executions"]]
        except NotThere:
            return []  # declared, and not deployed yet

    def _described(self, workflow: str, name: str) -> WorkflowExecution:
        with self._aws.asking(f"execution {name}", missing=_MISSING):
            told: Mapping[str, Any] = self._aws.stepfunctions.describe_execution(executionArn=self.arn(workflow, name))
        started = time_of(told["startDate"])
        assert started is not None
        return WorkflowExecution(
            id=told["name"],
            workflow=workflow,
            status=told["status"],
            started_at=started,
            stopped_at=time_of(told.get("stopDate")),
            input=_json(told.get("input")),
            output=_json(told.get("output")),
            error=told.get("error"),
            cause=told.get("cause"),
        )


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
