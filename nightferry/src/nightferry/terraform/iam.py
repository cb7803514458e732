"""Roles: for each task one that its code acts as and one that its start needs; one for each kind of starter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightferry.catalog.declarations import Access, Grant, Task, Workflow
from nightferry.catalog.references import Reference, references
from nightferry.contract import LEASE_IN_DATABASE, TASK_PRINCIPAL
from nightferry.states import parse
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

# What nightferry.storage calls, and no more; tests/terraform/test_permissions.py holds the two against each other.
_OBJECT_ACTIONS: dict[Access, tuple[str, ...]] = {
    "read": ("s3:GetObject",),
    "write": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}


def build(names: Names) -> Document:
    """``iam.tf.json``."""
    document = Document(
        "Roles. Every task has a task role from its grants and an execution role for its own secrets, its image and "
        "its log group. What starts tasks may start those families, pass those roles, and nothing else."
    )
    for task in names.catalog.tasks.values():
        _task_role(document, names, task)
        _execution_role(document, names, task)
    for name in names.catalog.workflows:
        _workflow_role(document, names, name)
    return document


def _tasks_trust(names: Names) -> Block:
    return policies.trust(TASK_PRINCIPAL, policies.ours(names, [names.arn("ecs", "*")]))


def _task_role(document: Document, names: Names, task: Task) -> None:
    statements = [block for grant in task.grants for block in _grant(names, grant)]
    if task.lease and task.lease != LEASE_IN_DATABASE:
        folder = str(names.in_terraform(task.lease)).removeprefix("s3://")
        bucket, _, path = folder.partition("/")
        key = f"{path}/{task.name}"
        resources = [names.global_arn("s3", f"{bucket}/{key}", account=False)]
        arn = names.global_arn("s3", bucket, account=False)
        statements.append(_list_statement("SeeWhetherItsLeaseIsThere", arn, key))
        statements.append(
            policies.statement("KeepItsLease", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resources)
        )
    if names.aws.database_resource_id and task.lease == LEASE_IN_DATABASE:
        users = {task.env.get("DB_USERNAME") or _default_user(task)}
        users |= {value for name, value in task.env.items() if name.startswith("DB_") and name.endswith("_USERNAME")}
        resources = [
            names.arn("rds-db", f"dbuser:{names.aws.database_resource_id}/{names.in_terraform(user)}")
            for user in sorted(users)
        ]
        statements.append(policies.statement("LogInToTheDatabase", ["rds-db:connect"], resources))
    read_by_the_job = [value for variable, value in task.env.items() if variable.endswith("_SSM_PATH")]
    if read_by_the_job:
        parameters = [names.arn("ssm", f"parameter{names.in_terraform(path)}") for path in read_by_the_job]
        statements.append(policies.statement("ReadParametersItself", ["ssm:GetParameter"], parameters))
    policies.role(
        document,
        names,
        slug(task.name),
        called=task.name,
        description=f"What the code of task {task.name} may do.",
        trusted=_tasks_trust(names),
        statements=statements,
        tags={"task": task.name},
    )


def _default_user(task: Task) -> str:
    field = task.config.model_fields.get("db_username")
    return field.default if field is not None and isinstance(field.default, str) else "*"


def _grant(names: Names, grant: Grant) -> Iterator[Block]:
    match grant.kind:
        case "bucket":
            arn = names.global_arn("s3", names.bucket(grant.name).name, account=False)
            label = "".join(part.capitalize() for part in grant.name.split("-"))
            if "list" in grant.access:
                yield _list_statement(f"List{label}", arn, grant.pattern)
            actions = [
                action for access in _OBJECT_ACTIONS if access in grant.access for action in _OBJECT_ACTIONS[access]
            ]
            yield policies.statement(f"Use{label}", actions, [f"{arn}/{grant.pattern}"])
            if key := names.bucket(grant.name).key:
                # A multipart upload reads back what it wrote, so that writing needs Decrypt too.
                yield policies.statement(f"UseTheKeyOf{label}", ["kms:Decrypt", "kms:GenerateDataKey"], [key])
        case "topic":
            label = "".join(part.capitalize() for part in grant.name.split("-"))
            topic = expression(f"aws_sns_topic.{slug(grant.name)}.arn")
            yield policies.statement(f"PublishTo{label}", ["sns:Publish"], [topic])
            # The topic is encrypted with a key of ours: whoever publishes needs it.
            yield policies.statement(
                f"EncryptFor{label}", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
            )
        case "role":
            role = names.catalog.roles[grant.name]
            arn = names.environment.settings[role.arn.name]
            external_id = names.environment.settings[role.external_id.name]
            if arn:
                conditions = [("StringEquals", "sts:ExternalId", [external_id])] if external_id else []
                yield policies.statement("AssumeTheVendorsRole", ["sts:AssumeRole"], [arn], conditions)


def _list_statement(sid: str, bucket: str, pattern: str) -> Block:
    """Listing below a prefix, and being told that an object does not exist.

    S3 answers 403 instead of 404 for a missing object unless the caller may list the bucket, and asks that without a
    prefix: hence IfExists. Moving a file again after a crash relies on the 404.
    """
    return policies.statement(sid, ["s3:ListBucket"], [bucket], [("StringLikeIfExists", "s3:prefix", [pattern])])


def _execution_role(document: Document, names: Names, task: Task) -> None:
    group = expression("aws_cloudwatch_log_group.tasks.arn")
    secrets = names.secrets(task)
    statements = [
        policies.statement("AnyResourceBecauseTheTokenIsTheRegistrys", ["ecr:GetAuthorizationToken"], ["*"]),
        policies.statement(
            "PullTheImage",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [expression("data.aws_ecr_repository.image.arn")],
        ),
        policies.statement("WriteTheLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]),
    ]
    if secrets:
        parameters = sorted({names.arn("ssm", f"parameter{names.parameter(secret)}") for secret in secrets.values()})
        statements.append(policies.statement("ReadItsOwnSecrets", ["ssm:GetParameters"], parameters))
        if names.aws.parameters_key:
            context = [("StringEquals", "kms:EncryptionContext:PARAMETER_ARN", parameters)]
            statements.append(
                policies.statement("DecryptItsOwnSecrets", ["kms:Decrypt"], [names.aws.parameters_key], context)
            )
    policies.role(
        document,
        names,
        f"{slug(task.name)}_execution",
        called=f"{task.name}-execution",
        description=f"What starting task {task.name} needs: its image, its log group, its own secrets.",
        trusted=_tasks_trust(names),
        statements=statements,
        tags={"task": task.name},
    )


def start_statements(names: Names, started: Iterable[str]) -> list[Block]:
    """What whoever starts these tasks needs: RunTask on the families in our cluster, and passing their roles."""
    some = list(started)
    return [
        policies.statement(
            "StartTheTasks",
            ["ecs:RunTask"],
            [expression(f"aws_ecs_task_definition.{slug(task)}.arn_without_revision") + ":*" for task in some],
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
            [expression(f"aws_iam_role.{slug(task)}{kind}.arn") for task in some for kind in ("", "_execution")],
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
