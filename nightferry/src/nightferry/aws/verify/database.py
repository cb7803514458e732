"""Check that the database accepts logins with IAM tokens, and that the tasks may log in to the right one.

The role ``rds_iam`` in PostgreSQL exists on every database of RDS, also where IAM authentication is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.verify.findings import Finding
from nightferry.catalog.references import substitute
from nightferry.environments.aws_resources import AwsResources

_HOST_VARIABLE = "DB_HOST"


@dataclass(frozen=True)
class _Kind:
    """A kind of database, with its names in the API of RDS."""

    noun: str
    operation: str
    result: str
    filter: str
    identifier: str
    resource_id: str

    @property
    def action(self) -> str:
        return f"rds:Describe{self.result}"

    @property
    def option(self) -> str:
        return "db-cluster" if self.noun == "cluster" else "db-instance"


_CLUSTER = _Kind(
    "cluster",
    "describe_db_clusters",
    "DBClusters",
    "db-cluster-resource-id",
    "DBClusterIdentifier",
    "DbClusterResourceId",
)
_INSTANCE = _Kind(
    "instance",
    "describe_db_instances",
    "DBInstances",
    "dbi-resource-id",
    "DBInstanceIdentifier",
    "DbiResourceId",
)


def check_database(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the database with the environment's resource ID, if it has one."""
    id = resources.aws.database_resource_id
    if id is None:
        return
    kind = _CLUSTER if id.startswith("cluster-") else _INSTANCE
    rds = probe.client("rds")

    def read() -> list[dict[str, Any]]:
        # The filter is repeated here, because a server that ignores it would return another database.
        pages = rds.get_paginator(kind.operation).paginate(Filters=[{"Name": kind.filter, "Values": [id]}])
        found = [one for page in pages for one in page.get(kind.result, [])]
        return [one for one in found if one.get(kind.resource_id) == id]

    def find_problem(found: list[dict[str, Any]]) -> Problem:
        return _find_problem(resources, kind, found[0]) if found else ("missing", _explain_missing(resources, kind))

    yield probe.check("database", id, kind.action, read, find_problem=find_problem)


def _explain_missing(resources: AwsResources, kind: _Kind) -> str:
    aws = resources.aws
    return (
        f"No {kind.noun} of RDS in account {aws.account}, region {aws.region}, has this resource ID, so no task "
        f"can log in. List them: aws rds {kind.operation.replace('_', '-')} --region {aws.region} --query "
        f"'{kind.result}[].[{kind.identifier},{kind.resource_id}]'. Correct aws.database_resource_id in "
        f"{resources.environment.file}."
    )


def _find_problem(resources: AwsResources, kind: _Kind, found: dict[str, Any]) -> Problem:
    name = found.get(kind.identifier, kind.noun)
    # RDS applies the policy of an Aurora instance to the resource ID of its cluster (Aurora guide, "Creating and using
    # an IAM policy for IAM database access").
    if kind is _INSTANCE and str(found.get("Engine", "")).startswith("aurora"):
        cluster = found.get("DBClusterIdentifier", "CLUSTER")
        return "wrong", (
            f"Instance {name} belongs to the Aurora cluster {cluster}, and logins to Aurora require the "
            f"ID of the cluster. Find it: aws rds describe-db-clusters --db-cluster-identifier {cluster} --query "
            f"'DBClusters[].DbClusterResourceId'. Correct aws.database_resource_id in {resources.environment.file}."
        )
    if not found.get("IAMDatabaseAuthenticationEnabled", False):
        modify = (
            f"aws rds modify-{kind.option} --{kind.option}-identifier {name} --enable-iam-database-authentication "
            "--apply-immediately"
        )
        if (found.get("PendingModifiedValues") or {}).get("IAMDatabaseAuthenticationEnabled"):
            return (
                "wrong",
                f"IAM authentication of {name} is on only after its next maintenance. Apply it now: {modify}",
            )
        return "wrong", f"IAM authentication of {name} is off, so no task can log in. Turn it on: {modify}"
    return _find_other_host(resources, name, found)


def _find_other_host(resources: AwsResources, name: str, found: dict[str, Any]) -> Problem:
    """Return a warning if the tasks connect to another host, because they may then log in to the wrong database."""
    endpoint = found.get("Endpoint")
    known = {endpoint.get("Address")} if isinstance(endpoint, dict) else {endpoint}
    known |= {found.get("ReaderEndpoint"), *found.get("CustomEndpoints", [])}
    known.discard(None)
    hosts = {
        substitute(text, lambda reference: resources.environment.settings.get(reference.name, ""))
        for task in resources.catalog.tasks.values()
        if (text := {**resources.catalog.env, **task.env}.get(_HOST_VARIABLE))
    }
    others = sorted(hosts - known - {""})
    if not known or not others:
        return None
    return "warning", (
        f"The tasks connect to {', '.join(others)}, but {name} has the endpoint {', '.join(sorted(map(str, known)))}. "
        "Unless the host is an alias of it, the tasks may not log in. Correct aws.database_resource_id in "
        f"{resources.environment.file}."
    )
