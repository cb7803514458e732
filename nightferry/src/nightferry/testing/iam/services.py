"""The calls that AWS's services make with the roles of a deployment: Scheduler, Lambda and Step Functions.

Each reads its resource as Terraform applied it, makes its calls with the resource's role, and lets the agent run the
tasks that were started.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from nightferry.contract import EXITED_REASON, StopCode
from nightferry.states import ContextInfo, Result, StatesError, run
from nightferry.testing import forked
from nightferry.testing.iam.account import EnforcedAccount
from nightferry.testing.iam.agent import Agent, TaskRun

_HANDLER = (
    "import importlib, json, os, sys; m, f = os.environ['_HANDLER'].rsplit('.', 1);"
    "handler = getattr(importlib.import_module('nightferry.lambdas.' + m), f); handler(json.load(sys.stdin), None)"
)

# What Step Functions requires to create a state machine with a log and with tracing (Step Functions Developer Guide,
# "Using CloudWatch Logs to log execution history", "IAM policies for X-Ray").
_CREATION_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
_TASK_RULE = "StepFunctionsGetEventsForECSTaskRule"
_EXECUTION_RULE = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
_SYNC_TASK = "arn:aws:states:::ecs:runTask.sync"


class Failed(Exception):
    """A service could not make its calls, or the target ended with a failure."""


class Services:
    """The services of an account, with the agent that runs its tasks."""

    def __init__(self, account: EnforcedAccount, agent: Agent, cluster: str) -> None:
        self._account = account
        self._agent = agent
        self._cluster = cluster
        self._seen: set[str] = set()

    # ── ECS ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_started_tasks(self) -> list[TaskRun]:
        """Run the tasks that were started since the last call. Raises Failed if one does not end with exit code 0."""
        started = [task for task in self._account.started_tasks() if task["taskArn"] not in self._seen]
        self._seen.update(task["taskArn"] for task in started)
        runs = [self._agent.run(task["taskDefinitionArn"], task["overrides"]) for task in started]
        for ended in runs:
            if ended.exit_code != 0:
                raise Failed(f"{ended.family}: exit code {ended.exit_code}: {ended.output[-2000:]}")
        return runs

    def run_task(self, family: str, command: list[str] | None = None, **variables: str) -> TaskRun:
        """Start a task by hand and run it. Raises Failed."""
        overrides = {"command": command} if command else {}
        environment = [{"name": name, "value": value} for name, value in variables.items()]
        ended = self._agent.run(family, {"containerOverrides": [{**overrides, "environment": environment}]})
        if ended.exit_code != 0:
            raise Failed(f"{family}: exit code {ended.exit_code}: {ended.output[-2000:]}")
        return ended

    # ── EventBridge Scheduler ─────────────────────────────────────────────────────────────────────────────────────

    def fire(self, group: str, name: str) -> None:
        """Let a schedule start its target, with its role, and run it to its end. Raises Failed."""
        target = self._account.administer("scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        client = self._get_client(target["RoleArn"])
        if ":stateMachine:" in target["Arn"]:
            input = target.get("Input", "{}")
            self._call(client("stepfunctions").start_execution, stateMachineArn=target["Arn"], input=input)
            self.run_workflow(target["Arn"], json.loads(input))
            return
        parameters = target["EcsParameters"]
        network = parameters["NetworkConfiguration"]["awsvpcConfiguration"]
        self._call(
            client("ecs").run_task,
            cluster=target["Arn"],
            taskDefinition=parameters["TaskDefinitionArn"],
            launchType=parameters["LaunchType"],
            propagateTags=parameters["PropagateTags"],
            networkConfiguration={"awsvpcConfiguration": _lower_names(network)},
            overrides=json.loads(target.get("Input") or "{}"),
        )
        self.run_started_tasks()

    def give_up(self, group: str, name: str) -> None:
        """Let a schedule send its start to the dead-letter queue, as after its last attempt. Raises Failed."""
        target = self._account.administer("scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        self._send(self._get_client(target["RoleArn"]), target["DeadLetterConfig"]["Arn"])

    # ── Lambda ────────────────────────────────────────────────────────────────────────────────────────────────────

    def invoke(self, function: str, event: Mapping[str, Any]) -> None:
        """Invoke a function of Nightferry with its role and variables, and run the tasks it starts. Raises Failed."""
        found = self._account.administer("lambda").get_function_configuration(FunctionName=function)
        process = forked.run(
            [sys.executable, "-c", _HANDLER],
            env={
                "PATH": os.environ["PATH"],
                **self._account.variables(found["Role"]),
                **found["Environment"]["Variables"],
                "_HANDLER": found["Handler"],
            },
            input=json.dumps(event),
            capture_output=True,
            text=True,
        )
        client = self._get_client(found["Role"])
        stream = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": uuid.uuid4().hex}
        self._call(client("logs").create_log_stream, **stream)
        lines = [{"timestamp": int(datetime.now().timestamp() * 1000), "message": process.stdout or "-"}]
        self._call(client("logs").put_log_events, **stream, logEvents=lines)
        if process.returncode:
            raise Failed(f"{function}: {process.stdout}{process.stderr}")
        self.run_started_tasks()

    def discard_event(self, function: str) -> None:
        """Let a function send an event to its destination for failures, as after its last attempt. Raises Failed."""
        client = self._account.administer("lambda")
        role = client.get_function_configuration(FunctionName=function)["Role"]
        config = client.get_function_event_invoke_config(FunctionName=function)["DestinationConfig"]
        self._send(self._get_client(role), config["OnFailure"]["Destination"])

    # ── Step Functions ────────────────────────────────────────────────────────────────────────────────────────────

    def run_workflow(self, machine: str, input: Any = None) -> None:
        """Run an execution with the calls that Step Functions makes with the machine's role. Raises Failed."""
        result = self.interpret(machine, input)
        if result.status != "SUCCEEDED":
            raise Failed(f"{machine.rpartition(':')[2]}: {result.status}: {result.error}: {result.cause}")

    def interpret(self, machine: str, input: Any = None) -> Result:
        """Run an execution and return its result."""
        found = self._account.administer("stepfunctions").describe_state_machine(stateMachineArn=machine)
        client = self._get_client(found["roleArn"])
        name = f"{machine.replace(':stateMachine:', ':execution:')}:run"
        context = ContextInfo(
            execution_id=name,
            execution_name="run",
            role_arn=found["roleArn"],
            state_machine_id=machine,
            state_machine_name=found["name"],
        )
        return run(json.loads(found["definition"]), input or {}, self._make_integrations(client), context=context)

    def create_workflow(self, machine: str) -> None:
        """Make the calls of Step Functions that precede CreateStateMachine. Raises Failed."""
        found = self._account.administer("stepfunctions").describe_state_machine(stateMachineArn=machine)
        key = self._account.variables(found["roleArn"])["AWS_ACCESS_KEY_ID"]
        for action in _CREATION_ACTIONS:
            if not self._account.check(key, action, "*"):
                raise Failed(f"{machine}: may not {action}")
        events = self._get_client(found["roleArn"])("events")
        for resource, rule in ((_SYNC_TASK, _TASK_RULE), ("startExecution.sync", _EXECUTION_RULE)):
            if resource in found["definition"]:
                pattern = json.dumps({"source": ["aws.ecs" if rule == _TASK_RULE else "aws.states"]})
                self._call(events.put_rule, Name=rule, EventPattern=pattern)
                self._call(events.put_targets, Rule=rule, Targets=[{"Id": "states", "Arn": machine}])
                self._call(events.describe_rule, Name=rule)

    def _make_integrations(self, client: Callable[[str], Any]) -> dict[str, Callable[[Any], Any]]:
        def run_task(parameters: Any) -> Any:
            (task,) = self._call(client("ecs").run_task, **_lower_names(parameters))["tasks"]
            self._seen.add(task["taskArn"])
            ended = self._agent.run(task["taskDefinitionArn"], task["overrides"])
            self._call(client("ecs").describe_tasks, cluster=self._cluster, tasks=[task["taskArn"]])
            code = StopCode.NOT_STARTED if ended.exit_code is None else StopCode.EXITED
            output: Any = {"TaskArn": task["taskArn"], "StopCode": code, "StoppedReason": EXITED_REASON}
            output["Containers"] = [{"ExitCode": ended.exit_code}]
            if ended.exit_code != 0:
                raise StatesError("States.TaskFailed", json.dumps(output | {"Output": ended.output[-2000:]}))
            return output

        def publish(parameters: Any) -> Any:
            message = parameters["Message"]
            text = message if isinstance(message, str) else json.dumps(message)
            return self._call(client("sns").publish, **parameters | {"Message": text})

        def list_executions(parameters: Any) -> Any:
            self._call(client("stepfunctions").list_executions, **_lower_names(parameters))
            return {"Executions": []}  # this class runs one execution at a time, and those of moto never end

        return {
            _SYNC_TASK: run_task,
            "arn:aws:states:::sns:publish": publish,
            "arn:aws:states:::aws-sdk:sfn:listExecutions": list_executions,
        }

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _get_client(self, role: str) -> Callable[[str], Any]:
        return lambda service: self._account.client(role, service)

    def _send(self, client: Callable[[str], Any], queue: str) -> None:
        url = self._account.administer("sqs").get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
        self._call(client("sqs").send_message, QueueUrl=url, MessageBody="{}")

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Make a call and return its response. Raises Failed if it is denied."""
        try:
            return method(**arguments)
        except self._account.administer("ecs").exceptions.ClientError as error:
            raise Failed(str(error)) from None


def make_object_event(bucket: str, key: str, age: timedelta = timedelta()) -> dict[str, Any]:
    """Return S3's notification of a new object."""
    time = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    stored = {"key": quote_plus(key), "eTag": "0" * 32, "sequencer": f"{datetime.now().timestamp():.6f}"}
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": time}
    return {"Records": [record | {"s3": {"bucket": {"name": bucket}, "object": stored}}]}


def _lower_names(value: Any) -> Any:
    """Return parameters in the spelling of ECS's API, from that of other APIs."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: _lower_names(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_lower_names(item) for item in value]
    return value
