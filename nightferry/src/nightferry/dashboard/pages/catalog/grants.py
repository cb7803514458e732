"""The permissions of a task in words."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.catalog.declarations import Grant, Task
from nightferry.contract import LEASE_IN_DATABASE

_VERBS = (("read", "read"), ("list", "list"), ("write", "write"), ("delete", "delete"))


def describe_grants(task: Task) -> Iterator[str]:
    """Yield what the role of a task may do, one sentence each."""
    for grant in task.grants:
        yield describe_grant(grant)
    if task.lease == LEASE_IN_DATABASE:
        yield "Hold its lease in the database."
    elif task.lease is not None:
        yield f"Hold its lease under {task.lease}."


def describe_grant(grant: Grant) -> str:
    """Return what a grant allows: "Read and list objects that match in/* in bucket inbox."."""
    match grant.kind:
        case "topic":
            return f"Publish to topic {grant.name}."
        case "role":
            return f"Assume role {grant.name}."
    verbs = [verb for access, verb in _VERBS if access in grant.access]
    joined = ", ".join(verbs[:-1]) + (" and " if verbs[:-1] else "") + verbs[-1]
    objects = "all objects" if grant.pattern == "*" else f"objects that match {grant.pattern}"
    return f"{joined.capitalize()} {objects} in bucket {grant.name}."
