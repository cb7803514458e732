"""Build the policies of the deploy role and of the plan role as documents for ``aws iam create-policy``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from posixpath import normpath
from typing import Any

from nightferry.errors import EnvironmentFileError
from nightferry.terraform.deployers.calls import COMMANDS, DATA_SOURCES, PUSH, RESOURCES, STATE, Calls
from nightferry.terraform.deployers.targets import Conditions, Target, find_targets
from nightferry.terraform.files import Files
from nightferry.terraform.names import Names
from nightferry.terraform.policies import make_label

LARGEST_POLICY = 6144
"""The characters of a managed policy, without white space (IAM guide, "IAM and AWS STS quotas")."""
MOST_POLICIES = 10
"""The managed policies of one role, by default (the same page)."""

Json = Any


def build(names: Names, files: Files) -> Files:
    """Return the policies of both roles for the resources of the environment in ``files``."""
    folder = f"ecs-tasks/{names.environment.name}"
    terraform = [*STATE, *_find_calls(files, folder)]
    deploy = _build_statements(names, [*terraform, *PUSH, *COMMANDS], plan=False)
    return {
        **render_documents(names, f"{folder}/deploy-role-policy", deploy),
        **render_documents(names, f"{folder}/plan-role-policy", _build_statements(names, terraform, plan=True)),
    }


def _find_calls(files: Files, folder: str) -> Iterator[Calls]:
    """Yield the calls for the types of resources and data sources in a folder and in the modules that it calls."""
    for name, text in files.items():
        if name.rpartition("/")[0] == folder and name.endswith(".tf.json"):
            document = json.loads(text)
            for kind in document.get("resource", {}):
                yield from RESOURCES[kind]
            for kind in document.get("data", {}):
                yield from DATA_SOURCES.get(kind, ())
            for source in {normpath(f"{folder}/{call['source']}") for call in document.get("module", {}).values()}:
                yield from _find_calls(files, source)


def render_documents(names: Names, path: str, statements: Iterable[Json]) -> Files:
    """Return the policies of one role with these statements, within IAM's limits. Raises EnvironmentFileError."""
    documents = list(_pack(statements))
    if len(documents) > MOST_POLICIES or any(measure(document) > LARGEST_POLICY for document in documents):
        raise EnvironmentFileError(
            f"{names.environment.file}: {path} exceeds IAM's limit of {MOST_POLICIES} policies of {LARGEST_POLICY} "
            "characters for a role. Declare fewer buckets, or shorten the names of the application and the buckets."
        )
    return {
        f"{path}-{number}.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for number, document in enumerate(documents, 1)
    }


def _build_statements(names: Names, calls: Iterable[Calls], *, plan: bool) -> list[Json]:
    """Return a statement for each target, with all its actions."""
    actions, services = defaultdict[str, set[str]](set), set[str]()
    for one in calls:
        actions[one.target].update(one.list_actions(plan=plan))
        services |= {one.passed_to} if one.passed_to else set()
    targets = find_targets(names)
    passed = {"StringEquals": {"iam:PassedToService": sorted(services)}}
    return [
        _build_statement(name, allowed, passed if name == "passed roles" else targets[name].conditions, targets[name])
        for name, allowed in sorted(actions.items())
        if allowed and targets[name].resources
    ]


def _build_statement(name: str, actions: set[str], conditions: Conditions, target: Target) -> Json:
    statement: Json = {
        "Sid": make_label(name),
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": list(target.resources),
    }
    return statement | ({"Condition": conditions} if conditions else {})


def _pack(statements: Iterable[Json]) -> Iterator[Json]:
    """Yield documents with the statements in order, each as large as IAM allows."""
    document = _make_document([])
    for statement in statements:
        larger = _make_document([*document["Statement"], statement])
        if document["Statement"] and measure(larger) > LARGEST_POLICY:
            yield document
            larger = _make_document([statement])
        document = larger
    yield document


def _make_document(statements: list[Json]) -> Json:
    return {"Version": "2012-10-17", "Statement": statements}


def measure(document: Json) -> int:
    """Return the size of a policy as IAM counts it: without white space."""
    return len("".join(json.dumps(document, separators=(",", ":"), ensure_ascii=False).split()))
