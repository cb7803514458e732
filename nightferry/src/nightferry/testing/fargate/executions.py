"""Executions of a project's workflows on the fake: the definitions that are deployed, run by the interpreter.

moto stores state machines and executions, and this module runs them: their tasks are those of the fake Fargate, their
objects those of moto's S3, and their functions the callables that the catalog declares. An execution advances with each
request, like the tasks.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.references import Reference, substitute
from nightferry.catalog.workflow_access import name_buckets
from nightferry.clock import Clock
from nightferry.environments.aws_resources import AwsResources
from nightferry.states.language.resources import (
    GET_OBJECT,
    PUBLISH,
    RUN_TASK,
    RUN_TASK_ONLY,
    START_EXECUTION,
)
from nightferry.states.machine.commands import (
    CancelTask,
    Command,
    Outcome,
    ReadItems,
    StartTask,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    WriteResults,
)
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.history import get_details_key
from nightferry.states.machine.interpreter import Execution
from nightferry.states.machine.items import ObjectStore, execute_command
from nightferry.terraform.overlap import LIST, STOP, apply_policy
from nightferry.testing.fargate.functions import call_function

SECURITY_GROUP = "sg-0a1b2c3d4e5f60002"
"""The security group of the tasks, which Terraform would create."""


class StartRefused(Exception):
    """RunTask returned an error, with a code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Tasks:
    """The tasks of the fake Fargate, with the members of Step Functions' parameters and outputs (PascalCase).

    ``start`` returns the response of RunTask, or raises StartRefused. ``find_end`` returns the description of a task
    that has stopped, else None. ``stop`` stops a task for a reason.
    """

    start: Callable[[dict[str, Any]], dict[str, Any]]
    find_end: Callable[[str], dict[str, Any] | None]
    stop: Callable[[str, str], None]


@dataclass
class _Running:
    """An execution: moto's object, its machine, and the tasks and executions that it waits for, by token."""

    model: Any
    machine: Execution
    tasks: dict[str, str] = field(default_factory=dict)
    children: dict[str, _Running] = field(default_factory=dict)


class WorkflowExecutions:
    """The executions of a project's workflows. ``state_machines`` is moto's backend of Step Functions."""

    def __init__(
        self, resources: AwsResources, clock: Clock, tasks: Tasks, objects: ObjectStore, state_machines: Any
    ) -> None:
        self._resources = resources
        self._clock = clock
        self._tasks = tasks
        self._objects = objects
        self._machines = state_machines
        self._known: dict[str, _Running] = {}
        self._workflows = {self._make_arn(workflow.name): workflow for workflow in resources.catalog.workflows.values()}
        self.published: list[dict[str, Any]] = []
        """The messages that workflows have published: ``TopicArn``, ``Message`` and ``Subject``."""

    def render(self, workflow: Workflow) -> dict[str, Any]:
        """Return the definition of a workflow as it is deployed."""
        buckets = name_buckets(apply_policy(workflow), lambda bucket: self._resources.bucket(bucket).name)
        definition: dict[str, Any] = substitute(buckets, self._resolve)
        return definition

    def resolve(self, value: Any) -> Any:
        """Return a value with the references of the catalog substituted, as they are deployed."""
        return substitute(value, self._resolve)

    def begin(self, model: Any) -> None:
        """Run an execution that moto has created."""
        if model.execution_arn in self._known:
            return
        workflow, now = self._workflows[model.state_machine_arn], self._clock.now()
        model.start_date = now
        info = ContextInfo(
            execution_id=model.execution_arn,
            execution_name=model.name,
            role_arn=self._resources.global_arn("iam", f"role/{self._resources.naming.prefix}-{workflow.name}"),
            state_machine_id=model.state_machine_arn,
            state_machine_name=self._resources.naming.state_machine(workflow.name),
            start_time=now,
        )
        input = json.loads(model.execution_input)
        machine = Execution.start(self.render(workflow), input, context=info, now=now)
        self._known[model.execution_arn] = _Running(model, machine)

    def forget(self, name: str) -> None:
        """Do not run an execution, whose state and history a test has set."""
        self._known = {arn: one for arn, one in self._known.items() if one.model.name != name}

    def knows(self, arn: str) -> bool:
        """Return True if the execution is run by its definition."""
        return arn in self._known

    def advance(self) -> None:
        """Advance all executions to the current time."""
        while any(self._advance(one) for one in list(self._known.values()) if not one.machine.ended):
            continue

    def stop(self, arn: str, error: str | None, cause: str | None) -> None:
        """Abort an execution with its tasks and the executions that it waits for."""
        if (one := self._known.get(arn)) is not None:
            one.machine.abort(error, cause, self._clock.now())
            self._advance(one)

    def redrive(self, arn: str) -> datetime:
        """Continue a failed execution at the states that failed. Raises LookupError, NotRedrivable."""
        one = self._known[arn]
        one.machine.redrive(self._clock.now())
        one.model.status, one.model.stop_date = "RUNNING", None
        one.model.error = one.model.cause = None
        return self._clock.now()

    def history(self, arn: str) -> list[dict[str, Any]] | None:
        """Return the events of an execution in the form of GetExecutionHistory; None if it is not run here."""
        one = self._known.get(arn)
        if one is None:
            return None
        return [
            {
                "timestamp": event.timestamp.timestamp(),
                "type": event.type,
                "id": event.id,
                "previousEventId": event.previous_event_id,
                **({} if event.details is None else {get_details_key(event.type): event.details}),
            }
            for event in one.machine.history
            if not event.child
        ]

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self, one: _Running) -> bool:
        """Deliver what has ended, advance the machine, and execute its commands. Return True if anything happened."""
        now, changed = self._clock.now(), False
        for token, arn in list(one.tasks.items()):
            if (task := self._tasks.find_end(arn)) is not None:
                del one.tasks[token]
                changed |= one.machine.deliver(token, _build_task_outcome(task), now)
        for token, child in list(one.children.items()):
            if child.machine.ended:
                del one.children[token]
                changed |= one.machine.deliver(token, _build_execution_outcome(child.model), now)
        while True:
            step = one.machine.advance(now)
            changed |= bool(step.events)
            for command in step.commands:
                self._execute(one, command)
            if not step.commands:
                break
        if one.machine.ended and one.model.status != one.machine.status:
            model, machine = one.model, one.machine
            model.status, model.stop_date, model.error, model.cause = machine.status, now, machine.error, machine.cause
            model.output = json.dumps(machine.output) if machine.status == "SUCCEEDED" else None
        return changed

    def _execute(self, one: _Running, command: Command) -> None:
        match command:
            case StartTask():
                if one.machine.deliver(command.token, TaskStarted(), self._clock.now()):
                    for outcome in self._start(one, command):
                        one.machine.deliver(command.token, outcome, self._clock.now())
            case CancelTask():
                if (arn := one.tasks.pop(command.token, None)) is not None:
                    self._tasks.stop(arn, command.reason)
                if (child := one.children.pop(command.token, None)) is not None:
                    self.stop(child.model.execution_arn, None, command.reason)
            case ReadItems() | WriteResults():
                one.machine.deliver(command.token, execute_command(command, self._objects), self._clock.now())

    def _start(self, one: _Running, command: StartTask) -> list[Outcome]:
        """Start a call, and return its outcomes so far."""
        resource, parameters = command.resource, command.parameters
        match resource:
            case _ if resource in (RUN_TASK, RUN_TASK_ONLY):
                return self._run_task(one, command)
            case _ if resource in START_EXECUTION:
                return self._start_execution(one, command)
            case _ if resource == PUBLISH:
                self.published.append(parameters)
                return [TaskSucceeded({"MessageId": str(uuid.uuid4())})]
            case _ if resource == GET_OBJECT:
                return [self._get_object(parameters["Bucket"], parameters["Key"])]
            case _ if resource == LIST:
                return [TaskSucceeded({"Executions": self._list(parameters)})]
            case _ if resource == STOP:
                arn = parameters["ExecutionArn"]
                self.stop(arn, parameters.get("Error"), parameters.get("Cause"))
                return [TaskSucceeded({"StopDate": self._clock.now().isoformat()})]
        return [call_function(self._resources, resource, parameters)]

    def _run_task(self, one: _Running, command: StartTask) -> list[Outcome]:
        waits = command.resource == RUN_TASK
        try:
            response = self._tasks.start(command.parameters)
        except StartRefused as refused:
            return [TaskFailed(f"ECS.{refused.code}", str(refused), "Submit" if waits else "")]
        if not waits:
            return [TaskSucceeded(response)]
        if response["Failures"]:
            return [TaskFailed("AmazonECS.Unknown", json.dumps(response), "Submit")]
        one.tasks[command.token] = response["Tasks"][0]["TaskArn"]
        return [TaskSubmitted(response)]

    def _start_execution(self, one: _Running, command: StartTask) -> list[Outcome]:
        parameters = command.parameters
        arn, input = parameters["StateMachineArn"], parameters.get("Input", {})
        text = input if isinstance(input, str) else json.dumps(input)
        if arn not in self._workflows:
            return [TaskFailed("StepFunctions.StateMachineDoesNotExistException", f"{arn} does not exist.")]
        model = self._machines.start_execution(arn, parameters.get("Name", ""), text)
        self.begin(model)
        response = {"ExecutionArn": model.execution_arn, "StartDate": int(model.start_date.timestamp() * 1000)}
        if ".sync" not in command.resource:
            return [TaskSucceeded(response)]
        one.children[command.token] = self._known[model.execution_arn]
        return [TaskSubmitted(response)]

    def _get_object(self, bucket: str, key: str) -> Outcome:
        try:
            content = self._objects.read(bucket, key)
        except LookupError:
            # S3 returns 403 instead of 404 to a role that may not list the bucket.
            return TaskFailed("S3.S3Exception", "Access Denied (Service: S3, Status Code: 403, Request ID: 1)")
        return TaskSucceeded({"Body": content.decode(), "ContentLength": len(content)})

    def _list(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        models = [one.model for one in self._known.values()]
        return [
            {
                "ExecutionArn": model.execution_arn,
                "Name": model.name,
                "StartDate": model.start_date.isoformat(),
                "StateMachineArn": model.state_machine_arn,
                "Status": model.status,
            }
            for model in models
            if model.state_machine_arn == parameters["StateMachineArn"]
            and model.status == parameters.get("StatusFilter", model.status)
        ]

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_arn(self, workflow: str) -> str:
        return self._resources.arn("states", f"stateMachine:{self._resources.naming.state_machine(workflow)}")

    def _resolve(self, reference: Reference) -> Any:
        resources = self._resources
        match reference.kind:
            case "setting":
                return resources.environment.settings[reference.name]
            case "function":
                return resources.environment.settings[resources.catalog.functions[reference.name].arn.name]
            case "bucket":
                return f"s3://{resources.bucket(reference.name).name}"
            case "task":
                return resources.arn("ecs", f"task-definition/{resources.naming.family(reference.name)}")
            case "topic":
                return resources.arn("sns", f"{resources.naming.prefix}-{reference.name}")
            case "workflow":
                return self._make_arn(reference.name)
            case "cluster":
                return resources.arn("ecs", f"cluster/{resources.aws.cluster}")
            case "subnets":
                return list(resources.aws.subnets)
            case "security_groups":
                return [SECURITY_GROUP]
            case "environment":
                return resources.environment.name
        raise AssertionError(f"{reference} has no value on AWS")


def _build_task_outcome(task: dict[str, Any]) -> Outcome:
    if task["Containers"][0].get("ExitCode") == 0:
        return TaskSucceeded(task)
    return TaskFailed("States.TaskFailed", json.dumps(task))


def _build_execution_outcome(model: Any) -> Outcome:
    """Return the outcome of an execution for the one that waits for it (``.sync:2``)."""
    description = {"ExecutionArn": model.execution_arn, "Name": model.name, "Status": model.status}
    description |= {"StateMachineArn": model.state_machine_arn, "Input": json.loads(model.execution_input)}
    if model.status == "SUCCEEDED":
        return TaskSucceeded(description | {"Output": json.loads(model.output)})
    ended = description | {"Error": model.error, "Cause": model.cause}
    return TaskFailed("States.TaskFailed", json.dumps({k: v for k, v in ended.items() if v is not None}))
