"""What the code of a task may do: its grants, its lease, its login to the database, parameters that it reads."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.catalog.declarations import Access, Grant, Task
from nightferry.contract import LEASE_IN_DATABASE, PARAMETER_PATH
from nightferry.terraform import policies
from nightferry.terraform.document import Block, expression, slug
from nightferry.terraform.names import Names

# What nightferry.storage calls, and no more; tests/terraform/test_permissions.py holds the two against each other.
_OBJECT_ACTIONS: dict[Access, tuple[str, ...]] = {
    "read": ("s3:GetObject",),
    "write": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}


def statements_of(names: Names, task: Task) -> list[Block]:
    """Return the statements of a task's role."""
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
    read_by_the_job = [value for variable, value in task.env.items() if variable.endswith(PARAMETER_PATH)]
    if read_by_the_job:
        parameters = [names.arn("ssm", f"parameter{names.in_terraform(path)}") for path in read_by_the_job]
        statements.append(policies.statement("ReadParametersItself", ["ssm:GetParameter"], parameters))
    return statements


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
