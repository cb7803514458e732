"""The policy of a task role: the task's grants, lease, database login, and the parameters that its code reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from nightferry.catalog.declarations import Access, Grant, Task
from nightferry.catalog.references import find_references
from nightferry.contract import LEASE_IN_DATABASE, PARAMETER_PATH, format_lease_location
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import policies
from nightferry.terraform.document import Block, expression, literal, slug
from nightferry.terraform.names import Names

# The actions of the calls in nightferry.storage, and no others. tests/terraform/test_permissions.py compares them.
# CopyObject of an object with tags also reads and writes the tags (Amazon S3 API Reference, "CopyObject"). Others can
# add tags, such as GuardDuty Malware Protection to each object that it has scanned.
_OBJECT_ACTIONS: dict[Access, tuple[str, ...]] = {
    "read": ("s3:GetObject", "s3:GetObjectTagging"),
    "write": ("s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}


def check_logins(names: Names) -> None:
    """Check that each task can log in to the database. Raises EnvironmentFileError with all tasks that cannot."""
    users = {name: names.token_users(task) for name, task in names.catalog.tasks.items()}
    if names.aws.database_resource_id or not any(users.values()):
        return
    tasks = ", ".join(f"{task} as {' and '.join(found)}" for task, found in users.items() if found)
    raise EnvironmentFileError(
        f"{names.environment.locate('aws')}: tasks cannot log in to the database: {tasks}. The environment has neither "
        "their passwords nor a database for IAM tokens. Set aws.database_resource_id, or create the secrets of the "
        "passwords and list them in aws.secrets."
    )


def build_statements(names: Names, task: Task) -> list[Block]:
    """Return the statements of a task role."""
    return policies.make_sids_unique(
        [
            *_build_bucket_statements(names, task.grants),
            *_build_key_statements(names, task),
            *_build_topic_statements(task.grants),
            *_build_role_statements(names, task.grants),
            *_build_lease_statements(names, task),
            *_build_result_statements(names, task),
            *_build_login_statements(names, task),
            *_build_parameter_statements(names, task),
        ]
    )


def _build_bucket_statements(names: Names, grants: Iterable[Grant]) -> Iterator[Block]:
    """Yield one statement per bucket for listing, and one per bucket and set of actions."""
    for bucket, patterns in sorted(_group_by_bucket(grants).items()):
        arn = names.global_arn("s3", names.bucket(bucket).name, account=False)
        label = policies.make_label(bucket)
        if listed := sorted(pattern for pattern, access in patterns.items() if "list" in access):
            yield _build_list_statement(f"List{label}", arn, listed)
        for access, used in _group_by_access(patterns).items():
            actions = [action for one in access for action in _OBJECT_ACTIONS[one]]
            verbs = "".join(one.capitalize() for one in access)
            yield policies.allow(f"{verbs}{label}", actions, [f"{arn}/{pattern}" for pattern in used])


def _group_by_bucket(grants: Iterable[Grant]) -> dict[str, dict[str, frozenset[Access]]]:
    """Return what is granted on each pattern of each bucket."""
    buckets: dict[str, dict[str, frozenset[Access]]] = {}
    for grant in grants:
        if grant.kind == "bucket":
            patterns = buckets.setdefault(grant.name, {})
            patterns[grant.pattern] = patterns.get(grant.pattern, frozenset()) | grant.access
    return buckets


def _group_by_access(patterns: Mapping[str, frozenset[Access]]) -> dict[tuple[Access, ...], list[str]]:
    """Return the patterns that share a set of accesses to objects, so that no pattern receives another one's access."""
    groups: dict[tuple[Access, ...], list[str]] = {}
    for pattern, access in sorted(patterns.items()):
        if used := tuple(one for one in _OBJECT_ACTIONS if one in access):
            groups.setdefault(used, []).append(pattern)
    return groups


def _build_list_statement(sid: str, bucket: str, patterns: Iterable[str]) -> Block:
    """Allow listing prefixes.

    S3 reports that an object does not exist only to a role that may list the whole bucket; to others it returns 403.
    ``nightferry.storage`` therefore lists the object's key, which the condition allows.
    """
    return policies.allow(sid, ["s3:ListBucket"], [bucket], [("StringLike", "s3:prefix", list(patterns))])


def _build_key_statements(names: Names, task: Task) -> Iterator[Block]:
    """Yield one statement per use of the keys with which the task's buckets are encrypted."""
    buckets = [grant for grant in task.grants if grant.kind == "bucket"]
    read = {grant.name for grant in buckets if "read" in grant.access}
    written = {grant.name for grant in buckets if "write" in grant.access} | _find_lease_bucket(task)
    results = (
        {names.catalog.results.bucket} if names.catalog.results and names.catalog.stores_result(task.name) else set()
    )
    multipart = {key for bucket in written if (key := names.bucket(bucket).key)}
    # A multipart upload reads the parts that it has written, so writing also requires Decrypt. A result has one part.
    decrypting = {key for bucket in read if (key := names.bucket(bucket).key)} | multipart
    encrypting = multipart | {key for bucket in results if (key := names.bucket(bucket).key)}
    if decrypting:
        yield policies.allow("DecryptObjects", ["kms:Decrypt"], sorted(decrypting))
    if encrypting:
        yield policies.allow("EncryptObjects", ["kms:GenerateDataKey"], sorted(encrypting))


def _build_topic_statements(grants: Iterable[Grant]) -> Iterator[Block]:
    if topics := sorted({grant.name for grant in grants if grant.kind == "topic"}):
        arns = [expression(f"aws_sns_topic.{slug(topic)}.arn") for topic in topics]
        yield policies.allow("PublishToTopics", ["sns:Publish"], arns)
        # The topics are encrypted with a customer-managed key, which the publisher must be able to use.
        yield policies.allow(
            "EncryptForTopics", ["kms:Decrypt", "kms:GenerateDataKey"], [expression("aws_kms_key.topics.arn")]
        )


def _build_role_statements(names: Names, grants: Iterable[Grant]) -> Iterator[Block]:
    for name in sorted({grant.name for grant in grants if grant.kind == "role"}):
        role = names.catalog.roles[name]
        external_id = names.environment.settings[role.external_id.name]
        if arn := names.environment.settings[role.arn.name]:
            conditions = [("StringEquals", "sts:ExternalId", [external_id])] if external_id else []
            yield policies.allow(f"Assume{policies.make_label(name)}Role", ["sts:AssumeRole"], [arn], conditions)


def _find_lease_bucket(task: Task) -> set[str]:
    return {reference.name for reference in find_references(task.lease or "") if reference.kind == "bucket"}


def _build_lease_statements(names: Names, task: Task) -> Iterator[Block]:
    if task.lease and task.lease != LEASE_IN_DATABASE:
        location = format_lease_location(str(names.resolve(task.lease)), task.name)
        bucket, _, key = location.removeprefix("s3://").partition("/")
        arn = names.global_arn("s3", bucket, account=False)
        listed = [
            grant.pattern
            for grant in task.grants
            if grant.kind == "bucket" and "list" in grant.access and names.bucket(grant.name).name == bucket
        ]
        if not any(_matches(pattern, key) for pattern in listed):
            yield _build_list_statement("ListLease", arn, [key])
        yield policies.allow("WriteLease", ["s3:GetObject", "s3:PutObject"], [f"{arn}/{key}"])


def _matches(pattern: str, key: str) -> bool:
    """Return True if IAM's StringLike matches the key with the pattern."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, key, re.DOTALL) is not None


def _build_result_statements(names: Names, task: Task) -> Iterator[Block]:
    """Yield the permission to store results, if a workflow reads those of the task."""
    folder = names.catalog.results
    if folder is not None and names.catalog.stores_result(task.name):
        arn = names.global_arn("s3", names.bucket(folder.bucket).name, account=False)
        yield policies.allow("StoreResults", ["s3:PutObject"], [f"{arn}/{folder.path}/{task.name}/*"])


def _build_login_statements(names: Names, task: Task) -> Iterator[Block]:
    if users := names.token_users(task):
        prefix = f"dbuser:{names.aws.database_resource_id}"
        resources = [names.arn("rds-db", literal(f"{prefix}/{user}")) for user in users]
        yield policies.allow("ConnectToDatabase", ["rds-db:connect"], resources)


def _build_parameter_statements(names: Names, task: Task) -> Iterator[Block]:
    paths = [value for variable, value in task.env.items() if variable.endswith(PARAMETER_PATH)]
    if paths:
        parameters = sorted({names.arn("ssm", f"parameter{names.resolve(path)}") for path in paths})
        yield policies.allow("ReadParameters", ["ssm:GetParameter"], parameters)
        if key := names.aws.parameters_key:
            context = ("StringEquals", "kms:EncryptionContext:PARAMETER_ARN", parameters)
            yield policies.allow("DecryptParameters", ["kms:Decrypt"], [key], [context])
