"""The policy of a task role: the task's grants, lease, database login, and the parameters that its code reads."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.catalog.declarations import Access, Grant, Task
from nightferry.contract import LEASE_IN_DATABASE, PARAMETER_PATH
from nightferry.terraform import policies
from nightferry.terraform.document import Block, expression, slug
from nightferry.terraform.names import Names

# The actions of the calls in nightferry.storage, and no others. tests/terraform/test_permissions.py compares them.
_OBJECT_ACTIONS: dict[Access, tuple[str, ...]] = {
    "read": ("s3:GetObject",),
    "write": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}


def build_statements(names: Names, task: Task) -> list[Block]:
    """Return the statements of a task role."""
    statements = [block for grant in task.grants for block in _build_grant_statements(names, grant)]
    if task.lease and task.lease != LEASE_IN_DATABASE:
        folder = str(names.resolve(task.lease)).removeprefix("s3://")
        bucket, _, path = folder.partition("/")
        key = f"{path}/{task.name}"
        resources = [names.global_arn("s3", f"{bucket}/{key}", account=False)]
        arn = names.global_arn("s3", bucket, account=False)
        statements.append(_build_list_statement("ListLease", arn, key))
        statements.append(policies.allow("WriteLease", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resources))
    if names.aws.database_resource_id and task.lease == LEASE_IN_DATABASE:
        users = {task.env.get("DB_USERNAME") or _find_default_user(task)}
        users |= {value for name, value in task.env.items() if name.startswith("DB_") and name.endswith("_USERNAME")}
        resources = [
            names.arn("rds-db", f"dbuser:{names.aws.database_resource_id}/{names.resolve(user)}")
            for user in sorted(users)
        ]
        statements.append(policies.allow("ConnectToDatabase", ["rds-db:connect"], resources))
    paths = [value for variable, value in task.env.items() if variable.endswith(PARAMETER_PATH)]
    if paths:
        parameters = [names.arn("ssm", f"parameter{names.resolve(path)}") for path in paths]
        statements.append(policies.allow("ReadParameters", ["ssm:GetParameter"], parameters))
    return statements


def _find_default_user(task: Task) -> str:
    field = task.config.model_fields.get("db_username")
    return field.default if field is not None and isinstance(field.default, str) else "*"


def _build_grant_statements(names: Names, grant: Grant) -> Iterator[Block]:
    match grant.kind:
        case "bucket":
            arn = names.global_arn("s3", names.bucket(grant.name).name, account=False)
            label = "".join(part.capitalize() for part in grant.name.split("-"))
            if "list" in grant.access:
                yield _build_list_statement(f"List{label}", arn, grant.pattern)
            actions = [
                action for access in _OBJECT_ACTIONS if access in grant.access for action in _OBJECT_ACTIONS[access]
            ]
            yield policies.allow(f"Use{label}", actions, [f"{arn}/{grant.pattern}"])
            if key := names.bucket(grant.name).key:
                # A multipart upload reads the parts that it has written, so writing also requires Decrypt.
                yield policies.allow(f"UseKmsKeyOf{label}", ["kms:Decrypt", "kms:GenerateDataKey"], [key])
        case "topic":
            label = "".join(part.capitalize() for part in grant.name.split("-"))
            topic = expression(f"aws_sns_topic.{slug(grant.name)}.arn")
            yield policies.allow(f"PublishTo{label}", ["sns:Publish"], [topic])
            # The topic is encrypted with a customer-managed key, which the publisher must be able to use.
            yield policies.allow(
                f"EncryptFor{label}", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
            )
        case "role":
            role = names.catalog.roles[grant.name]
            arn = names.environment.settings[role.arn.name]
            external_id = names.environment.settings[role.external_id.name]
            if arn:
                conditions = [("StringEquals", "sts:ExternalId", [external_id])] if external_id else []
                yield policies.allow("AssumeVendorRole", ["sts:AssumeRole"], [arn], conditions)


def _build_list_statement(sid: str, bucket: str, pattern: str) -> Block:
    """Allow listing a prefix, which also lets S3 report that an object does not exist.

    S3 returns 403 instead of 404 for a missing object unless the caller may list the bucket. S3 checks that permission
    without a prefix, so the condition uses IfExists. A file move that is repeated after a crash relies on the 404.
    """
    return policies.allow(sid, ["s3:ListBucket"], [bucket], [("StringLikeIfExists", "s3:prefix", [pattern])])
