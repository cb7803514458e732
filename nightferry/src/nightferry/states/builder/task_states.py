"""The states that run a task, read its result, and publish a message.

A task stores its result as an object whose name is the ID of its run (:mod:`nightferry.job.result`), which is different
for each attempt, iteration and execution. The state that ran it keeps the ID of the attempt that succeeded in a
variable, and the next state reads the object into a variable of its own.
"""

from __future__ import annotations

from typing import Any

from nightferry.contract import EXECUTION_VARIABLE, RESULTS_VARIABLE, SCHEDULED_AT_VARIABLE, format_value
from nightferry.states.builder.expressions import (
    FindPath,
    quote,
    render_text,
    render_words,
)
from nightferry.states.builder.steps import Notify, Retry, RunTask
from nightferry.states.builder.values import Value
from nightferry.states.language.resources import GET_OBJECT, PUBLISH, RUN_TASK

JsonObject = dict[str, Any]

SCHEDULED_TIME = "scheduled_at"
"""The variable with the time for which the execution was scheduled, which the first state of a workflow sets."""

# A start that failed before its task existed is repeated for about two minutes, whatever the retry of the job's
# failures is: no capacity (AmazonECS.Unknown: RunTask returned failures; ECS.AmazonECSException), throttling of ECS
# (ECS.AmazonECSException) or of a service behind it (ECS.InvalidParameterException, in AllenInstitute/neuron_morphology
# pull request 155), and a role that IAM has not yet distributed (ECS.ClientException). A permanent error fails after
# the same retries. ECS.ServerException is not in the list, because its task may have started.
_START_RETRIER: JsonObject = {
    "ErrorEquals": [
        "AmazonECS.Unknown",
        "ECS.AmazonECSException",
        "ECS.InvalidParameterException",
        "ECS.ClientException",
    ],
    "IntervalSeconds": 4,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}
# Reading a result has no side effect, so that it is repeated after any failure of S3. A missing result stays missing:
# S3 reports it as S3.S3Exception with the status 403, because the workflow's role may not list the bucket. Throttling
# has the same name, so that two retries remain.
_READ_RETRIERS: list[JsonObject] = [
    {"ErrorEquals": ["S3.NoSuchKeyException", "S3.NoSuchBucketException"], "MaxAttempts": 0},
    {"ErrorEquals": ["S3.S3Exception"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2.0},
    {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 5, "BackoffRate": 2.0},
]


def render_run_task(step: RunTask, find_path: FindPath, retry: Retry | None) -> JsonObject:
    """Return the state that runs a task; ``retry`` applies if the step has none."""
    override: JsonObject = {"Name": step.task.name}
    if isinstance(step.args, Value) or step.args:
        words = find_path(step.args) if isinstance(step.args, Value) else render_words(step.args, find_path)
        override["Command.$" if isinstance(words, str) else "Command"] = words
    override["Environment"] = [
        {"Name": EXECUTION_VARIABLE, "Value.$": "$$.Execution.Id"},
        *(_render_variable(name, value, find_path) for name, value in (step.env or {}).items()),
    ]
    if SCHEDULED_AT_VARIABLE not in (step.env or {}):
        text = f"States.Format('{{}}', ${SCHEDULED_TIME})"
        override["Environment"].insert(1, {"Name": SCHEDULED_AT_VARIABLE, "Value.$": text})
    state: JsonObject = {
        "Type": "Task",
        "Resource": RUN_TASK,
        "Parameters": {
            "Cluster": "${cluster}",
            "TaskDefinition": f"${{task:{step.task.name}}}",
            "LaunchType": "FARGATE",
            "PropagateTags": "TASK_DEFINITION",
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": "${subnets}",
                    "SecurityGroups": "${security_groups}",
                    "AssignPublicIp": "DISABLED",
                }
            },
            "Overrides": {"ContainerOverrides": [override]},
        },
        "ResultPath": None,
    }
    if step.timeout is not None:
        state["TimeoutSeconds"] = int(step.timeout.total_seconds())
    retry = step.retry or retry
    state["Retry"] = [dict(_START_RETRIER)] + ([] if retry is None else [_render_retrier(retry)])
    return state


def store_result(state: JsonObject, folder: str, variable: str) -> None:
    """Make the state of a task store the result below ``folder``, and keep the ID of its run in ``variable``."""
    (override,) = state["Parameters"]["Overrides"]["ContainerOverrides"]
    override["Environment"].append({"Name": RESULTS_VARIABLE, "Value": folder})
    # arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID
    state["Assign"] = {f"{variable}.$": "States.ArrayGetItem(States.StringSplit($.TaskArn, '/'), 2)"}


def render_read_result(bucket: str, folder: str, run: str, variable: str) -> JsonObject:
    """Return the state that reads the result of the run whose ID is in the variable ``run`` into ``variable``."""
    template = quote(f"{folder}/{{}}.json", braces=False)
    return {
        "Type": "Task",
        "Resource": GET_OBJECT,
        "Parameters": {"Bucket": bucket, "Key.$": f"States.Format({template}, ${run})"},
        "Assign": {f"{variable}.$": "States.StringToJson($.Body)"},
        "ResultPath": None,
        "Retry": [dict(retrier) for retrier in _READ_RETRIERS],
    }


def render_publish(step: Notify, find_path: FindPath) -> JsonObject:
    """Return the state that publishes a message; without one, its input."""
    parameters: JsonObject = {"TopicArn": f"${{topic:{step.topic.name}}}"}
    match step.message:
        case None:
            parameters["Message.$"] = "$"
        case Value() as message:
            parameters["Message.$"] = render_text(message, find_path)
        case text:
            parameters["Message"] = text
    if step.subject is not None:
        parameters["Subject"] = step.subject
    return {"Type": "Task", "Resource": PUBLISH, "Parameters": parameters, "ResultPath": None}


def _render_variable(name: str, value: object, find_path: FindPath) -> JsonObject:
    if isinstance(value, Value):
        return {"Name": name, "Value.$": render_text(value, find_path)}
    return {"Name": name, "Value": format_value(value, f"Variable {name}")}


def _render_retrier(retry: Retry) -> JsonObject:
    return {
        "ErrorEquals": list(retry.errors),
        "IntervalSeconds": retry.interval,
        "MaxAttempts": retry.attempts,
        "BackoffRate": retry.backoff,
    }
