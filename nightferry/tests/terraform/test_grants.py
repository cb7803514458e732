"""The policy of a task role allows what the task's grants declare, in valid documents, whatever the names are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Access, Bucket, Grant, Image, Role, Setting, Topic
from nightferry.contract import Overlap
from nightferry.environments.environment import parse
from nightferry.job.leases.stored import StoredLeases
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from nightferry.testing.tiers import examples

# "lease" is also the name in the statements of the task's own lease; the labels of a-1, a1 and a-1-0 are similar.
BUCKETS = ("lease", "a-1", "a1", "a-1-0", "read-a", "a-b", "ab")
TOPICS = ("failures", "a-1", "a1", "topics")
ROLES = ("vendor", "a-1", "a1")
PATTERNS = ("*", "in/*", "out/*", "in/a_?")
# Two buckets share a key, one has its own.
KEYS = {"lease": "shared", "a-1": "shared", "ab": "own"}
ACTIONS: dict[Access, set[str]] = {
    "read": {"s3:GetObject", "s3:GetObjectTagging"},
    "write": {"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"},
    "delete": {"s3:DeleteObject"},
}

Allowed = set[tuple[str, str, str]]
"""Actions with a resource and, as JSON, a condition with a single value."""


def allow(action: str, resource: str, *condition: str) -> tuple[str, str, str]:
    return (action, resource, json.dumps(condition))


def split(statement: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what a statement allows, one action, resource and value of its condition at a time."""
    conditions: list[tuple[str, ...]] = [()]
    for test, variables in statement.get("Condition", {}).items():
        ((variable, values),) = variables.items()
        assert conditions == [()], "conditions of a statement must all hold, so they cannot be split"
        conditions = [(test, variable, value) for value in values]
    for action in statement["Action"]:
        for resource in statement["Resource"]:
            for condition in conditions:
                yield allow(action, resource, *condition)


def expand_grant(grant: Grant) -> Allowed:
    """Return what one grant allows, on its own."""
    bucket = f"arn:aws:s3:::org-test-{grant.name}"
    match grant.kind:
        case "bucket":
            allowed = {
                allow(action, f"{bucket}/{grant.pattern}")
                for access in ACTIONS
                if access in grant.access
                for action in ACTIONS[access]
            }
            if "list" in grant.access:
                allowed.add(allow("s3:ListBucket", bucket, "StringLike", "s3:prefix", grant.pattern))
            if grant.name in KEYS and grant.access & {"read", "write"}:
                allowed.add(allow("kms:Decrypt", key_arn(grant.name)))
            if grant.name in KEYS and "write" in grant.access:
                allowed.add(allow("kms:GenerateDataKey", key_arn(grant.name)))
            return allowed
        case "topic":
            key = '${aws_kms_key["Topics of example-test."].arn}'
            topic = f'${{aws_sns_topic["example-test-{grant.name}"].arn}}'
            return {allow("sns:Publish", topic), allow("kms:Decrypt", key), allow("kms:GenerateDataKey", key)}
        case "role":
            arn = f"arn:aws:iam::210987654321:role/{grant.name}"
            return {allow("sts:AssumeRole", arn, "StringEquals", "sts:ExternalId", f"id-{grant.name}")}


def key_arn(bucket: str) -> str:
    return f"arn:aws:kms:us-east-1:123456789012:key/{KEYS[bucket]}"


def expand_lease(grants: Sequence[Grant]) -> Allowed:
    """Return what the lease of the task ``work`` requires, beside its grants.

    S3 returns 403 for a missing lease, so the role lists its key.
    """
    key = "leases/work.lease"
    listed = any(
        grant.kind == "bucket"
        and grant.name == "lease"
        and "list" in grant.access
        and grant.pattern in ("*", "leases/*")
        for grant in grants
    )
    missing = allow("s3:ListBucket", "arn:aws:s3:::org-test-lease", "StringLike", "s3:prefix", key)
    return {
        *([] if listed else [missing]),
        *(allow(f"s3:{verb}Object", f"arn:aws:s3:::org-test-lease/{key}") for verb in ("Get", "Put")),
        allow("kms:Decrypt", key_arn("lease")),
        allow("kms:GenerateDataKey", key_arn("lease")),
    }


def make_statements(grants: Sequence[Grant], leases: str = "leases", overlap: Overlap = "skip") -> list[Any]:
    """Return the statements of a task role with the grants and with a lease of its own in the bucket ``lease``."""
    catalog = Catalog("example", image=Image("example"))
    buckets = {name: catalog.bucket(name) for name in BUCKETS}
    catalog.leases = buckets["lease"] / leases
    for name in TOPICS:
        catalog.topic(name)
    for name in ROLES:
        arn = catalog.setting(f"{name}.arn", default=f"arn:aws:iam::210987654321:role/{name}")
        catalog.role(name, arn=arn, external_id=catalog.setting(f"{name}.id", default=f"id-{name}"))
    catalog.task("work", command=["work"], config=Settings, grants=grants, overlap=overlap)
    files = synthesize(catalog, parse("test", ENVIRONMENT, catalog, Path("environments/test.toml")))
    return list(build_inventory(files, "test").roles["example-test-work"]["statements"])


class Settings(BaseModel):
    """The settings of a job without a database, whose lease is therefore in a bucket."""


ENVIRONMENT = """
backend = "aws"
[aws]
account = "123456789012"
region = "us-east-1"
cluster = "example-test"
vpc = "vpc-0123456789abcdef0"
subnets = ["subnet-0123456789abcdef0"]
bucket_prefix = "org"
""" + "".join(f'[aws.buckets.{bucket}]\nname = "org-test-{bucket}"\nkey = "{key_arn(bucket)}"\n' for bucket in KEYS)

bucket_grants = st.builds(
    Grant,
    st.just("bucket"),
    st.sampled_from(BUCKETS),
    st.frozensets(st.sampled_from(("read", "list", "write", "delete")), min_size=1),
    st.sampled_from(PATTERNS),
)
topic_grants = st.builds(Topic.publish, st.builds(Topic, st.sampled_from(TOPICS)))
role_grants = st.builds(
    lambda name: Role(name, Setting(""), Setting("")).assume(),
    st.sampled_from(ROLES),
)


@given(st.lists(st.one_of(bucket_grants, topic_grants, role_grants), max_size=12))
@example([Bucket("lease").read("in/*")])  # it also reports a missing lease
@example([Bucket("a-1").read_write("in/*"), Bucket("a1").read_write("in/*")])  # names that differ in punctuation
@example([Bucket("ab").read("in/*"), Bucket("ab").write("out/*")])  # reading one prefix, writing another
@example([Bucket("ab").read("in/*"), Bucket("ab").write("in/*"), Bucket("ab").read("out/*")])
@example([Topic("failures").publish()] * 2)
@settings(max_examples=examples(40))
def test_a_policy_allows_exactly_what_each_grant_declares(grants: list[Grant]) -> None:
    statements = make_statements(grants)

    expected = set().union(expand_lease(grants), *(expand_grant(grant) for grant in grants))
    found = [permission for statement in statements for permission in split(statement)]
    assert set(found) == expected
    assert len(found) == len(set(found)), "a permission is granted twice"
    sids = [statement["Sid"] for statement in statements]
    assert len(sids) == len(set(sids))
    assert all(re.fullmatch("[0-9A-Za-z]+", sid) for sid in sids)


def test_each_bucket_has_one_statement_per_set_of_actions() -> None:
    inbox = Bucket("ab")
    statements = make_statements([inbox.read("b/*"), inbox.write("c/*"), inbox.read("a/*"), inbox.read_write("d/*")])
    arn = "arn:aws:s3:::org-test-ab"
    found = {one["Sid"]: one["Resource"] for one in statements if one["Sid"].endswith("Ab")}
    assert found == {
        "ListAb": [arn],
        "ReadAb": [f"{arn}/a/*", f"{arn}/b/*"],
        "WriteAb": [f"{arn}/c/*"],
        "ReadWriteDeleteAb": [f"{arn}/d/*"],
    }
    (listing,) = [one for one in statements if one["Sid"] == "ListAb"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["a/*", "b/*", "d/*"]}}


class Calls:
    """A storage that records the objects that are read and written."""

    def __init__(self) -> None:
        self.calls: set[tuple[str, str]] = set()

    def load(self, uri: str) -> None:
        self.calls.add(("s3:GetObject", uri))

    def store(self, uri: str, data: bytes, expected: str | None) -> bool:
        self.calls.add(("s3:PutObject", uri))
        return True


@pytest.mark.parametrize("folder", ["leases", "leases/", "a/b", "a.b/c-d/", ""])
def test_the_policy_allows_the_calls_of_a_lease_in_a_bucket(folder: str) -> None:
    calls = Calls()
    store = StoredLeases(f"s3://org-test-lease/{folder}", calls)  # type: ignore[arg-type]  # a part of it
    store.replace("work", store.read("work"), None)
    statements = make_statements([], folder)
    allowed = {(action, resource) for one in statements for action, resource, _ in split(one)}
    arn = "arn:aws:s3:::"
    assert {(action, uri.replace("s3://", arn)) for action, uri in calls.calls} <= allowed


def test_a_task_whose_runs_may_overlap_has_no_permission_for_a_lease() -> None:
    assert make_statements([], overlap="allow") == []


def test_the_order_of_grants_changes_nothing() -> None:
    grants = [
        *(Bucket("ab").read(pattern) for pattern in ("a/*", "b/*")),
        Bucket("a1").write("a/*"),
        *(Topic(name).publish() for name in ("a1", "a-1")),
    ]
    assert make_statements(grants) == make_statements(grants[::-1])
