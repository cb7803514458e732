"""The calls that EventBridge Scheduler, Lambda and ECS make with the roles of a deployment.

Each reads its resource as Terraform applied it, makes its calls with the resource's role, and lets the agent run the
tasks that were started.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from nightferry.contract import format_scheduled_time, parse_arn_id
from nightferry.testing import forked
from nightferry.testing.iam.account import EnforcedAccount, Failed
from nightferry.testing.iam.agent import Agent, TaskRun
from nightferry.testing.iam.step_functions import StepFunctions, lower_names

_HANDLER = """
import importlib, json, os, sys, types
sys.path.insert(0, os.environ["_FOLDER"])
module, function = os.environ["_HANDLER"].rsplit(".", 1)
context = types.SimpleNamespace(
    function_name=os.environ["_FUNCTION_ARN"].rpartition(":")[2],
    get_remaining_time_in_millis=lambda: 30_000,
    invoked_function_arn=os.environ["_FUNCTION_ARN"],
)
getattr(importlib.import_module(module), function)(json.load(sys.stdin), context)
"""


class Services:
    """The services of an account, with the agent that runs its tasks.

    ``packages`` is the folder in which Terraform created the packages of functions.
    """

    def __init__(self, account: EnforcedAccount, agent: Agent, cluster: str, packages: Path) -> None:
        self._account = account
        self._agent = agent
        self._packages = packages
        self._seen: set[str] = set()
        self.states = StepFunctions(account, self._run_task, cluster)

    # ── ECS ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_task(self, family: str, args: list[str] | None = None, **variables: str) -> TaskRun:
        """Start a task by hand and run it. Raises Failed."""
        overrides = {"command": args} if args else {}
        environment = [{"name": name, "value": value} for name, value in variables.items()]
        return _check(self._agent.run(family, {"containerOverrides": [{**overrides, "environment": environment}]}))

    def _run_started_tasks(self) -> None:
        """Run the tasks that were started since the last call. Raises Failed if one does not end with exit code 0."""
        for task in self._account.started_tasks():
            if task["taskArn"] not in self._seen:
                _check(self._run_task(task))

    def _run_task(self, task: Mapping[str, Any]) -> TaskRun:
        self._seen.add(task["taskArn"])
        return self._agent.run(task["taskDefinitionArn"], task["overrides"], parse_arn_id(task["taskArn"]))

    # ── EventBridge Scheduler ─────────────────────────────────────────────────────────────────────────────────────

    def fire(self, group: str, name: str) -> None:
        """Let a schedule start its target, with its role, and run it to its end. Raises Failed."""
        target: Any = self._account.administer("scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        time = format_scheduled_time(datetime.now(UTC))
        target["Input"] = target.get("Input", "{}").replace("<aws.scheduler.scheduled-time>", time)
        if ":stateMachine:" in target["Arn"]:
            input = target["Input"]
            states = self._account.client(target["RoleArn"], "stepfunctions")
            self._account.call(states.start_execution, stateMachineArn=target["Arn"], input=input)
            self.run_workflow(target["Arn"], json.loads(input))
            return
        if ":function:" in target["Arn"]:
            functions = self._account.client(target["RoleArn"], "lambda")
            self._account.call(functions.invoke, FunctionName=target["Arn"])
            self.invoke(target["Arn"].rpartition(":")[2], json.loads(target["Input"]))
            return
        parameters = target["EcsParameters"]
        network = parameters["NetworkConfiguration"]["awsvpcConfiguration"]
        self._account.call(
            self._account.client(target["RoleArn"], "ecs").run_task,
            cluster=target["Arn"],
            taskDefinition=parameters["TaskDefinitionArn"],
            launchType=parameters["LaunchType"],
            propagateTags=parameters["PropagateTags"],
            networkConfiguration={"awsvpcConfiguration": lower_names(network)},
            overrides=json.loads(target["Input"]),
        )
        self._run_started_tasks()

    def give_up(self, group: str, name: str) -> None:
        """Let a schedule send its start to the dead-letter queue, as after its last attempt. Raises Failed."""
        target = self._account.administer("scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        self._send(target["RoleArn"], target["DeadLetterConfig"]["Arn"])

    # ── Lambda ────────────────────────────────────────────────────────────────────────────────────────────────────

    def invoke(self, function: str, event: Mapping[str, Any], **variables: str) -> str:
        """Invoke a function with its package, role and variables, run what it starts, and return its output.

        Raises Failed.
        """
        found = self._account.administer("lambda").get_function_configuration(FunctionName=function)
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(self._find_package(function)) as package:
            package.extractall(folder)  # of our own
            process = forked.run(
                [sys.executable, "-c", _HANDLER],
                env={
                    "PATH": os.environ["PATH"],
                    **self._account.variables(found["Role"]),
                    **found.get("Environment", {}).get("Variables", {}),
                    **variables,
                    "_FOLDER": folder,
                    "_FUNCTION_ARN": found["FunctionArn"],
                    "_HANDLER": found["Handler"],
                },
                input=json.dumps(event),
                capture_output=True,
                text=True,
            )
        logs = self._account.client(found["Role"], "logs")
        stream = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": uuid.uuid4().hex}
        self._account.call(logs.create_log_stream, **stream)
        lines = [{"timestamp": int(datetime.now().timestamp() * 1000), "message": process.stdout or "-"}]
        self._account.call(logs.put_log_events, **stream, logEvents=lines)
        if process.returncode:
            raise Failed(f"{function}: {process.stdout}{process.stderr}")
        self._run_started_tasks()
        output: str = process.stdout
        return output

    def _find_package(self, function: str) -> Path:
        names = (f"{function}.zip", f"{function.removesuffix('-trigger')}.zip")
        return next(file for name in names if (file := self._packages / name).exists())

    def discard_event(self, function: str) -> None:
        """Let a function send an event to its destination for failures, as after its last attempt. Raises Failed."""
        client = self._account.administer("lambda")
        config = client.get_function_event_invoke_config(FunctionName=function)["DestinationConfig"]
        role = client.get_function_configuration(FunctionName=function)["Role"]
        self._send(role, config["OnFailure"]["Destination"])

    # ── SNS ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def notify(self, topic: str, message: str, subject: str = "Notice") -> list[str]:
        """Let a topic invoke each function that subscribes to it and permits it, and return their outputs.

        Raises Failed.
        """
        sns = {"TopicArn": topic, "Subject": subject, "Message": message, "MessageId": str(uuid.uuid4())}
        subscriptions = self._account.administer("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        outputs = []
        for function in (one["Endpoint"] for one in subscriptions if one["Protocol"] == "lambda"):
            policy = json.loads(self._account.administer("lambda").get_policy(FunctionName=function)["Policy"])
            permitted = {
                (one["Principal"]["Service"], one["Condition"]["ArnLike"]["AWS:SourceArn"])
                for one in policy["Statement"]
            }
            if ("sns.amazonaws.com", topic) not in permitted:
                raise Failed(f"{function} does not permit {topic}: {policy}")
            event = {"Records": [{"EventSource": "aws:sns", "Sns": sns}]}
            outputs.append(self.invoke(function.rpartition(":")[2], event))
        return outputs

    # ── Step Functions ────────────────────────────────────────────────────────────────────────────────────────────

    def run_workflow(self, machine: str, input: Any = None) -> None:
        """Run an execution to its end. Raises Failed."""
        result = self.states.interpret(machine, input)
        if result.status != "SUCCEEDED":
            raise Failed(f"{machine.rpartition(':')[2]}: {result.status}: {result.error}: {result.cause}")

    def _send(self, role: str, queue: str) -> None:
        url = self._account.administer("sqs").get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
        self._account.call(self._account.client(role, "sqs").send_message, QueueUrl=url, MessageBody="{}")


def make_object_event(bucket: str, key: str, age: timedelta = timedelta()) -> dict[str, Any]:
    """Return S3's notification of a new object."""
    time = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    stored = {"key": quote_plus(key), "eTag": "0" * 32, "sequencer": f"{datetime.now().timestamp():.6f}"}
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": time}
    return {"Records": [record | {"s3": {"bucket": {"name": bucket}, "object": stored}}]}


def make_failure_event(machine: str) -> dict[str, Any]:
    """Return Step Functions' event of an execution that failed."""
    execution = machine.replace(":stateMachine:", ":execution:") + ":failed"
    return {"detail": {"stateMachineArn": machine, "executionArn": execution, "status": "FAILED"}}


def make_notice_event(topic: str) -> dict[str, Any]:
    """Return SNS's event of a message of a topic (ARN)."""
    sns = {"MessageId": uuid.uuid4().hex, "TopicArn": topic, "Subject": "It failed", "Message": "Check it"}
    return {"Records": [{"EventSource": "aws:sns", "Sns": sns}]}


def make_stopped_event(prefix: str, task: str, id: str, age: timedelta = timedelta()) -> dict[str, Any]:
    """Return ECS's event of a task that has failed ``age`` ago."""
    place = "arn:aws:ecs:us-east-1:123456789012"
    detail = {
        "clusterArn": f"{place}:cluster/{prefix}",
        "taskArn": f"{place}:task/{prefix}/{id}",
        "taskDefinitionArn": f"{place}:task-definition/{prefix}-{task}:1",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedAt": (datetime.now(UTC) - age).isoformat(),
        "containers": [{"name": task, "exitCode": 1}],
        "overrides": {"containerOverrides": [{"name": task}]},
    }
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}


def _check(run: TaskRun) -> TaskRun:
    if run.exit_code != 0:
        raise Failed(f"{run.family}: exit code {run.exit_code}: {run.output[-2000:]}")
    return run
