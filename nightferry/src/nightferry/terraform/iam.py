"""Roles: the trust that all tasks share, and a role for each workflow. The module of a task makes its two roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.references import Reference, references
from nightferry.contract import TASK_PRINCIPAL
from nightferry.states import parse
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

TASKS_TRUST = "tasks_trust"


def build(names: Names) -> Document:
    """``iam.tf.json``."""
    document = Document(
        "Roles. Every task has a task role from its grants and an execution role for its own secrets, its image and "
        "its log group: its module in tasks.tf.json makes both. What starts tasks may start those families, pass those "
        "roles, and nothing else."
    )
    trusted = policies.trust(TASK_PRINCIPAL, policies.ours(names, [names.arn("ecs", "*")]))
    document.data("aws_iam_policy_document", TASKS_TRUST, {"statement": [trusted]})
    for name in names.catalog.workflows:
        _workflow_role(document, names, name)
    return document


def start_statements(names: Names, started: Iterable[str]) -> list[Block]:
    """What whoever starts these tasks needs: RunTask on the families in our cluster, and passing their roles."""
    some = list(started)
    return [
        policies.statement(
            "StartTheTasks",
            ["ecs:RunTask"],
            [f"{names.definition_arn(task)}:*" for task in some],
            [("ArnEquals", "ecs:cluster", [expression("data.aws_ecs_cluster.this.arn")])],
        ),
        policies.statement(
            "TagWhatItStarts",
            ["ecs:TagResource"],
            [names.arn("ecs", f"task/{names.aws.cluster}/*")],
            [("StringEquals", "ecs:CreateAction", ["RunTask"])],
        ),
        policies.statement(
            "PassTheTasksRoles",
            ["iam:PassRole"],
            [arn for task in some for arn in names.role_arns(task)],
            [("StringEquals", "iam:PassedToService", [TASK_PRINCIPAL])],
        ),
    ]


def _workflow_role(document: Document, names: Names, name: str) -> None:
    workflow = names.catalog.workflows[name]
    called = references(dict(workflow.definition))
    topics = sorted(topic for topic in names.catalog.topics if f"${{topic:{topic}}}" in str(workflow.definition))
    statements = [
        *start_statements(names, workflow.tasks),
        policies.statement(
            "WatchAndStopItsTasks",
            ["ecs:DescribeTasks", "ecs:StopTask"],
            [names.arn("ecs", f"task/{names.aws.cluster}/*")],
            [("ArnEquals", "ecs:cluster", [expression("data.aws_ecs_cluster.this.arn")])],
        ),
        # Step Functions learns of a task's end through this rule, which it manages itself.
        policies.statement(
            "LearnOfTheEndOfATask",
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [names.arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")],
        ),
        policies.statement(
            "AnyResourceBecauseLogDeliveryAndTracesHaveNone",
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
        ),
    ]
    if topics:
        arns = [expression(f"aws_sns_topic.{slug(topic)}.arn") for topic in topics]
        statements.append(policies.statement("TellOfFailures", ["sns:Publish"], arns))
        statements.append(
            policies.statement(
                "EncryptWhatItTells", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
            )
        )
    statements += _calls(names, workflow, called)
    policies.role(
        document,
        names,
        f"workflow_{slug(name)}",
        called=f"{name}-workflow",
        description=f"What workflow {name} may do: run its tasks and tell of failures.",
        trusted=policies.trust(
            "states.amazonaws.com", policies.ours(names, [names.arn("states", f"stateMachine:{names.prefix}-{name}")])
        ),
        statements=statements,
    )


def _calls(names: Names, workflow: Workflow, called: set[Reference]) -> Iterator[Block]:
    """What a workflow may do besides running tasks: start workflows, invoke functions, use declared resources."""
    workflows = sorted(reference.name for reference in called if reference.kind == "workflow")
    if workflows:
        machines = [expression(f"aws_sfn_state_machine.{slug(other)}.arn") for other in workflows]
        executions = [names.arn("states", f"execution:{names.naming.state_machine(other)}:*") for other in workflows]
        yield policies.statement("StartWorkflows", ["states:StartExecution"], machines)
        yield policies.statement(
            "WatchAndStopWhatItStarted", ["states:DescribeExecution", "states:StopExecution"], executions
        )
        yield policies.statement(
            "LearnOfTheEndOfAnExecution",
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [names.arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")],
        )
    functions = sorted(str(names.in_terraform(str(ref))) for ref in called if ref.kind == "function")
    if functions:
        arns = [arn for function in functions for arn in (function, f"{function}:*")]
        yield policies.statement("InvokeFunctions", ["lambda:InvokeFunction"], arns)
    named = parse(dict(workflow.definition)).resources()
    for number, integration in enumerate(names.catalog.resources.values(), 1):
        if integration.resource in named and integration.actions:
            resources = names.in_terraform(list(integration.resources)) or ["*"]
            yield policies.statement(f"UseResource{number}", integration.actions, resources)
