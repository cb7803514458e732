"""Roles: the trust policy that all tasks share, and a role for each workflow. The task module creates task roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.references import Reference, find_references
from nightferry.contract import TASK_PRINCIPAL
from nightferry.states import parse
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

TASKS_TRUST = "tasks_trust"


def build(names: Names) -> Document:
    """Build ``iam.tf.json``."""
    document = Document(
        "Roles. Each task has a task role with its grants, and an execution role for its secrets, image and log group. "
        "The task's module in tasks.tf.json creates both. Each schedule, trigger and workflow may only start the "
        "families of its tasks and pass their roles."
    )
    trusted = policies.trust(TASK_PRINCIPAL, policies.build_source_conditions(names, [names.arn("ecs", "*")]))
    document.add_data("aws_iam_policy_document", TASKS_TRUST, {"statement": [trusted]})
    for name in names.catalog.workflows:
        _add_workflow_role(document, names, name)
    return document


def build_start_statements(names: Names, tasks: Iterable[str]) -> list[Block]:
    """Return the statements for starting ``tasks``: run their families in the cluster and pass their roles."""
    started = sorted(set(tasks))
    return [
        policies.allow(
            "RunTasks",
            ["ecs:RunTask"],
            [f"{names.definition_arn(task)}:*" for task in started],
            [("ArnEquals", "ecs:cluster", [expression("data.aws_ecs_cluster.this.arn")])],
        ),
        policies.allow(
            "TagStartedTasks",
            ["ecs:TagResource"],
            [names.arn("ecs", f"task/{names.aws.cluster}/*")],
            [("StringEquals", "ecs:CreateAction", ["RunTask"])],
        ),
        policies.allow(
            "PassTaskRoles",
            ["iam:PassRole"],
            [arn for task in started for arn in names.role_arns(task)],
            [("StringEquals", "iam:PassedToService", [TASK_PRINCIPAL])],
        ),
    ]


def _add_workflow_role(document: Document, names: Names, name: str) -> None:
    workflow = names.catalog.workflows[name]
    referenced = find_references(dict(workflow.definition))
    topics = sorted(topic for topic in names.catalog.topics if f"${{topic:{topic}}}" in str(workflow.definition))
    statements = [
        *(_build_task_statements(names, workflow) if workflow.tasks else ()),
        policies.allow(
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
        ),
    ]
    if topics:
        arns = [expression(f"aws_sns_topic.{slug(topic)}.arn") for topic in topics]
        statements.append(policies.allow("PublishNotifications", ["sns:Publish"], arns))
        statements.append(
            policies.allow(
                "EncryptNotifications", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
            )
        )
    statements += _build_call_statements(names, workflow, referenced)
    policies.add_role(
        document,
        names,
        f"workflow_{slug(name)}",
        role_name=f"{name}-workflow",
        description=f"Permissions of workflow {name}: run its tasks and publish failures.",
        trusted=policies.trust(
            "states.amazonaws.com",
            policies.build_source_conditions(names, [names.arn("states", f"stateMachine:{names.prefix}-{name}")]),
        ),
        statements=statements,
    )


def _build_task_statements(names: Names, workflow: Workflow) -> list[Block]:
    """Return a workflow's permissions to run its tasks, follow them to their end and stop them."""
    return [
        *build_start_statements(names, workflow.tasks),
        policies.allow(
            "DescribeAndStopTasks",
            ["ecs:DescribeTasks", "ecs:StopTask"],
            [names.arn("ecs", f"task/{names.aws.cluster}/*")],
            [("ArnEquals", "ecs:cluster", [expression("data.aws_ecs_cluster.this.arn")])],
        ),
        # Step Functions receives the end of a task through this rule, which it manages itself.
        policies.allow(
            "ManageTaskEventRule",
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [names.arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")],
        ),
    ]


def _build_call_statements(names: Names, workflow: Workflow, referenced: set[Reference]) -> Iterator[Block]:
    """Yield a workflow's permissions to start workflows, invoke functions and use declared resources."""
    workflows = sorted(reference.name for reference in referenced if reference.kind == "workflow")
    if workflows:
        # Terraform does not evaluate a policy document that refers to a resource with changes until the apply.
        machines = [names.arn("states", f"stateMachine:{names.naming.state_machine(other)}") for other in workflows]
        executions = [names.arn("states", f"execution:{names.naming.state_machine(other)}:*") for other in workflows]
        yield policies.allow("StartWorkflows", ["states:StartExecution"], machines)
        yield policies.allow(
            "DescribeAndStopExecutions", ["states:DescribeExecution", "states:StopExecution"], executions
        )
        yield policies.allow(
            "ManageExecutionEventRule",
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [names.arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")],
        )
    functions = sorted({str(names.resolve(str(ref))) for ref in referenced if ref.kind == "function"})
    if functions:
        arns = [arn for function in functions for arn in (function, f"{function}:*")]
        yield policies.allow("InvokeFunctions", ["lambda:InvokeFunction"], arns)
    named = parse(dict(workflow.definition)).resources()
    for integration in names.catalog.resources.values():
        if integration.resource in named and integration.actions:
            resources = names.resolve(list(integration.resources)) or ["*"]
            label = policies.make_label(integration.resource.rpartition(":::")[2])
            yield policies.allow(f"Use{label}", integration.actions, resources)
