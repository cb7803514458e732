"""The policies of the people who start tasks and workflows: one for each group of ``[aws.operators]``.

A policy allows to start the listed families only, to pass only the roles of these families, and to follow and stop what
was started. It is a document for ``aws iam create-policy``, and not part of the Terraform: the role that deploys must
not be able to give rights to people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nightferry.contract import TASK_PRINCIPAL
from nightferry.environments.aws_settings import Operators
from nightferry.terraform.deployers.policies import render_documents
from nightferry.terraform.files import Files
from nightferry.terraform.names import Names

Json = Any


def build(names: Names) -> Files:
    """Return the policy of each group of operators."""
    folder = f"ecs-tasks/{names.environment.name}"
    result: Files = {}
    for group, operators in names.aws.operators.items():
        path = f"{folder}/operators-{group}-role-policy"
        result |= render_documents(names, path, _build_statements(names, operators))
    return result


def _build_statements(names: Names, operators: Operators) -> list[Json]:
    return [
        _allow("ReadPlacement", ["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.naming.network_parameter}")]),
        *_iterate_following(names),
        *(_iterate_tasks(names, operators.tasks) if operators.tasks else ()),
        *(_iterate_workflows(names, operators.workflows) if operators.workflows else ()),
    ]


def _iterate_following(names: Names) -> Iterator[Json]:
    """Yield the permissions to follow any task and workflow: states, histories and logs.

    A list of executions contains those of all workflows, and an ID is searched among them before the tasks.
    """
    cluster = {"ArnEquals": {"ecs:cluster": [names.arn("ecs", f"cluster/{names.aws.cluster}")]}}
    groups = [names.arn("logs", f"log-group:{group}:*") for group in (names.naming.log_group, names.naming.event_group)]
    yield _allow("DescribeTasks", ["ecs:DescribeTasks"], [names.arn("ecs", f"task/{names.aws.cluster}/*")], cluster)
    # The only resource of this action is a container instance, of which Fargate has none.
    yield _allow("ListTasks", ["ecs:ListTasks"], ["*"], cluster)
    yield _allow("ReadLogs", ["logs:FilterLogEvents"], groups)
    if machines := [names.naming.state_machine(workflow) for workflow in names.catalog.workflows]:
        yield _allow(
            "ReadExecutions",
            [
                "states:DescribeExecution",
                "states:DescribeStateMachineForExecution",
                "states:GetExecutionHistory",
                "states:ListExecutions",
            ],
            [
                names.arn("states", f"{kind}:{machine}{rest}")
                for machine in machines
                for kind, rest in (("stateMachine", ""), ("execution", ":*"))
            ],
        )


def _iterate_tasks(names: Names, tasks: Sequence[str]) -> Iterator[Json]:
    """Yield the permissions to start the tasks with their own roles, and to stop them."""
    cluster = {"ecs:cluster": [names.arn("ecs", f"cluster/{names.aws.cluster}")]}
    running = [names.arn("ecs", f"task/{names.aws.cluster}/*")]
    yield _allow(
        "StartTasks",
        ["ecs:RunTask"],
        [names.arn("ecs", f"task-definition/{names.family(task)}:*") for task in tasks],
        {
            "ArnEquals": cluster,
            "StringEqualsIfExists": {"ecs:enable-execute-command": ["false"], "ecs:enable-ebs-volumes": ["false"]},
        },
    )
    yield _allow(
        "PassTaskRoles",
        ["iam:PassRole"],
        [
            names.global_arn("iam", f"role/{names.role_name(role)}")
            for task in tasks
            for role in (task, f"{task}-execution")
        ],
        {"StringEquals": {"iam:PassedToService": [TASK_PRINCIPAL]}},
    )
    yield _allow("TagStartedTasks", ["ecs:TagResource"], running, {"StringEquals": {"ecs:CreateAction": ["RunTask"]}})
    tags = {key: [value] for key, value in names.own_tags.items()} | {"task": list(tasks)}
    own = {f"aws:ResourceTag/{key}": values for key, values in tags.items()}
    yield _allow("StopTasks", ["ecs:StopTask"], running, {"ArnEquals": cluster, "StringEquals": own})


def _iterate_workflows(names: Names, workflows: Sequence[str]) -> Iterator[Json]:
    """Yield the permissions to start, redrive and stop the workflows."""
    machines = [names.naming.state_machine(workflow) for workflow in workflows]
    arns = [names.arn("states", f"stateMachine:{machine}") for machine in machines]
    yield _allow("StartWorkflows", ["states:StartExecution"], arns)
    yield _allow(
        "RedriveAndStopWorkflows",
        ["states:RedriveExecution", "states:StopExecution"],
        [names.arn("states", f"execution:{machine}:*") for machine in machines],
    )


def _allow(sid: str, actions: list[str], resources: list[str], conditions: Json = None) -> Json:
    statement: Json = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": conditions} if conditions else {})
