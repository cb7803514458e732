"""The role of a workflow. Its permissions follow from the definition, including states in Parallel and Map states."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.references import find_references
from nightferry.catalog.workflow_access import (
    find_map_access,
    find_object_reads,
    has_distributed_map,
    marks_tasks,
    tags_tasks,
)
from nightferry.contract import TASK_PRINCIPAL
from nightferry.states import parse
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

_EVENT_RULE_ACTIONS = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]


def add_role(document: Document, names: Names, workflow: Workflow) -> None:
    """Add the role of a workflow."""
    policies.add_role(
        document,
        names,
        f"workflow_{slug(workflow.name)}",
        role_name=f"{workflow.name}-workflow",
        description=f"Permissions of workflow {workflow.name}, as its definition requires.",
        trusted=policies.trust(
            "states.amazonaws.com",
            policies.build_source_conditions(names, [_format_machine(names, workflow.name)]),
        ),
        statements=[
            *_build_task_statements(names, workflow),
            _LOGS_AND_TRACES,
            *_build_topic_statements(workflow),
            *_build_execution_statements(names, workflow),
            *_build_map_statements(names, workflow),
            *_build_read_statements(names, workflow),
            *_build_overlap_statements(names, workflow),
            *_build_function_statements(names, workflow),
            *_build_integration_statements(names, workflow),
        ],
    )


_LOGS_AND_TRACES = policies.allow(
    "LogDeliveryAndTracing",  # these actions support no resource but "*"
    [
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
    ],
    ["*"],
)


def _build_task_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions to run tasks, pass their roles, follow them to their end and stop them."""
    tasks = sorted(set(workflow.tasks))
    if not tasks:
        return
    running = names.arn("ecs", f"task/{names.aws.cluster}/*")
    cluster = ("ArnEquals", "ecs:cluster", [expression("data.aws_ecs_cluster.this.arn")])
    definitions = [f"{names.definition_arn(task)}:*" for task in tasks]
    yield policies.allow("RunTasks", ["ecs:RunTask"], definitions, [cluster])
    if tags_tasks(workflow.definition):
        created = ("StringEquals", "ecs:CreateAction", ["RunTask"])
        yield policies.allow("TagStartedTasks", ["ecs:TagResource"], [running], [created])
    yield policies.allow(
        "PassTaskRoles",
        ["iam:PassRole"],
        [arn for task in tasks for arn in names.role_arns(task)],
        [("StringEquals", "iam:PassedToService", [TASK_PRINCIPAL])],
    )
    yield policies.allow("DescribeTasks", ["ecs:DescribeTasks"], [running], [cluster])
    yield policies.allow("StopTasks", ["ecs:StopTask"], [running], [cluster, *_identify_tasks(names, workflow, tasks)])
    # Step Functions receives the end of a task through this rule, which it manages itself.
    rule = names.arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")
    yield policies.allow("ManageTaskEventRule", _EVENT_RULE_ACTIONS, [rule])


def _identify_tasks(names: Names, workflow: Workflow, tasks: list[str]) -> list[tuple[str, str, list[str]]]:
    """Return the conditions of the tags that only the workflow's running tasks have, if all of them have tags.

    The cluster may also run tasks of other applications. AWS has no condition on the definition of a running task.
    """
    if not marks_tasks(workflow.definition):
        return []
    tags = {name: [value] for name, value in names.own_tags.items()} | {"task": tasks}
    return [("StringEquals", f"aws:ResourceTag/{name}", values) for name, values in tags.items()]


def _build_topic_statements(workflow: Workflow) -> Iterator[Block]:
    if topics := _find_names(workflow, "topic"):
        arns = [expression(f"aws_sns_topic.{slug(topic)}.arn") for topic in topics]
        yield policies.allow("PublishNotifications", ["sns:Publish"], arns)
        yield policies.allow(
            "EncryptNotifications", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
        )


def _build_execution_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions to start other workflows, and to follow and stop their executions."""
    if workflows := _find_names(workflow, "workflow"):
        # Terraform does not evaluate a policy document that refers to a resource with changes until the apply.
        machines = [_format_machine(names, other) for other in workflows]
        executions = [f"{_format_execution(names, other)}:*" for other in workflows]
        yield policies.allow("StartWorkflows", ["states:StartExecution"], machines)
        yield policies.allow(
            "DescribeAndStopExecutions", ["states:DescribeExecution", "states:StopExecution"], executions
        )
        rule = names.arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")
        yield policies.allow("ManageExecutionEventRule", _EVENT_RULE_ACTIONS, [rule])


def _build_map_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions of distributed Maps: their child executions, their items and their results.

    The ARN of a child execution has the Map's label after the machine's name. The guide uses both forms.
    """
    if not has_distributed_map(workflow.definition):
        return
    execution = _format_execution(names, workflow.name)
    yield policies.allow("StartIterations", ["states:StartExecution"], [_format_machine(names, workflow.name)])
    yield policies.allow(
        "DescribeAndStopIterations",
        ["states:DescribeExecution", "states:StopExecution"],
        [f"{execution}:*", f"{execution}/*:*"],
    )
    yield policies.allow("RedriveIterations", ["states:RedriveExecution"], [f"{execution}/*:*"])
    found = find_map_access(workflow.definition)
    keys: dict[str, set[str]] = {"read": set(), "write": set()}
    for bucket in sorted({access.bucket for access in found}):
        existing = names.bucket(bucket)
        arn, label = names.global_arn("s3", existing.name, account=False), policies.make_label(bucket)
        patterns = {
            action: sorted({one.pattern for one in found if (one.bucket, one.action) == (bucket, action)})
            for action in ("read", "list", "write")
        }
        if listed := patterns["list"]:
            conditions = [] if "*" in listed else [("StringEquals", "s3:prefix", listed)]
            yield policies.allow(f"ListItems{label}", ["s3:ListBucket"], [arn], conditions)
        if read := patterns["read"]:
            yield policies.allow(f"ReadItems{label}", ["s3:GetObject"], [f"{arn}/{pattern}" for pattern in read])
        if written := patterns["write"]:
            yield policies.allow(
                f"WriteResults{label}",
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
                [f"{arn}/{pattern}" for pattern in written],
            )
        for action in ("read", "write"):
            if existing.key and patterns[action]:
                keys[action].add(existing.key)
    if only_read := keys["read"] - keys["write"]:
        yield policies.allow("DecryptItems", ["kms:Decrypt"], sorted(only_read))
    if keys["write"]:
        # Results are written as multipart uploads, whose parts S3 decrypts.
        actions = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
        yield policies.allow("EncryptResults", actions, sorted(keys["write"]))


def _build_read_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions of the Task states that read an object, such as the result of a task."""
    found = find_object_reads(workflow.definition)
    for bucket in sorted({access.bucket for access in found}):
        arn = names.global_arn("s3", names.bucket(bucket).name, account=False)
        patterns = sorted({access.pattern for access in found if access.bucket == bucket})
        label = policies.make_label(bucket)
        yield policies.allow(f"ReadObjects{label}", ["s3:GetObject"], [f"{arn}/{pattern}" for pattern in patterns])
    if keys := sorted({key for access in found if (key := names.bucket(access.bucket).key)}):
        yield policies.allow("DecryptObjects", ["kms:Decrypt"], keys)


def _build_overlap_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions of the check that precedes the workflow's first state (:mod:`.overlap`)."""
    if workflow.overlap == "allow":
        return
    machine = _format_machine(names, workflow.name)
    yield policies.allow("ListEarlierExecutions", ["states:ListExecutions"], [machine])
    if workflow.overlap == "replace" and not has_distributed_map(workflow.definition):  # it may stop them anyway
        yield policies.allow(
            "StopEarlierExecutions", ["states:StopExecution"], [f"{_format_execution(names, workflow.name)}:*"]
        )


def _build_function_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    if functions := sorted({str(names.resolve(f"${{function:{name}}}")) for name in _find_names(workflow, "function")}):
        arns = [arn for function in functions for arn in (function, f"{function}:*")]
        yield policies.allow("InvokeFunctions", ["lambda:InvokeFunction"], arns)


def _build_integration_statements(names: Names, workflow: Workflow) -> Iterator[Block]:
    """Yield the permissions of integrations that the catalog declares itself."""
    named = parse(dict(workflow.definition)).resources()
    for integration in names.catalog.resources.values():
        if integration.resource in named and integration.actions:
            resources = names.resolve(list(integration.resources)) or ["*"]
            label = policies.make_label(integration.resource.rpartition(":::")[2])
            yield policies.allow(f"Use{label}", integration.actions, resources)


def _find_names(workflow: Workflow, kind: str) -> list[str]:
    """Return the names of the references of a kind in the workflow's definition."""
    return sorted({one.name for one in find_references(dict(workflow.definition)) if one.kind == kind})


def _format_machine(names: Names, workflow: str) -> str:
    return names.arn("states", f"stateMachine:{names.naming.state_machine(workflow)}")


def _format_execution(names: Names, workflow: str) -> str:
    """Return the ARN of a workflow's executions, without the name of one."""
    return names.arn("states", f"execution:{names.naming.state_machine(workflow)}")
