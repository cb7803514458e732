"""Describe the changes of IAM policies as permissions gained and lost.

Statements are compared by what they allow and not by their ids: each is split into single permissions, so that neither
a repeated or missing id nor a different division into statements hides a change.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from nightferry.terraform.files import Files
from nightferry.terraform.reading.expansion import expand_data_sources, reading_files
from nightferry.terraform.reading.values import as_list, to_json

Json = Any
_MODULE_DOCUMENT = re.compile(r"module\.([a-z]+)_(\w+)\.data\.aws_iam_policy_document\.(\w+)")
_ROLE_POLICY = re.compile(r"([\w-]+)-role-policy-\d+\.json")
_DOCUMENT_LABELS = {"task": "", "this": "", "execution": " (execution role)"}
_VERBS = {"Allow": ("may now", "may no longer"), "Deny": ("is now denied", "is no longer denied")}
_LISTS = ("actions", "resources", "principals", "values")
_DESCRIBED = ("sid", "effect", "actions", "resources", "principals", "condition")


@dataclass(frozen=True)
class Permission:
    """Actions on resources under conditions: a single one of each, or those that a description joins.

    ``values`` are the values of a condition that is the only one and holds if any of them matches. ``others`` is the
    JSON of arguments that synthesis does not use.
    """

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    values: tuple[str, ...]
    conditions: tuple[str, ...]
    others: str

    def __str__(self) -> str:
        text = f"{', '.join(self.actions)} on {', '.join(self.resources) or 'itself'}"
        if self.principals:
            text += f" by {', '.join(self.principals)}"
        if self.conditions:
            text += f" if {' and '.join(self.conditions)} {', '.join(self.values)}".rstrip()
        return text + (f" with {self.others}" if self.others != "{}" else "")


def find_policies(files: Files, folder: str) -> dict[str, set[Permission]]:
    """Return the permissions of each policy document of an environment and of its modules."""
    with reading_files(folder):
        return {
            _name_document(found.address): {
                permission
                for statement in as_list(to_json(dict(found.arguments)).get("statement", []))
                for permission in split(statement)
            }
            for found in expand_data_sources(files, folder)
            if found.type == "aws_iam_policy_document"
        }


def find_role_policies(files: Files, folder: str) -> dict[str, set[Permission]]:
    """Return the permissions of the deploy role and of the plan role, whose policies are JSON files."""
    policies: defaultdict[str, set[Permission]] = defaultdict(set)
    for name, text in files.items():
        if match := _ROLE_POLICY.fullmatch(name.removeprefix(f"{folder}/")):
            for statement in json.loads(text)["Statement"]:
                policies[match[1]].update(split(_convert_statement(statement)))
    return dict(policies)


def _convert_statement(statement: Json) -> Json:
    """Return a statement of a policy in the form of ``aws_iam_policy_document``."""
    conditions = [
        {"test": test, "variable": variable, "values": values}
        for test, variables in statement.get("Condition", {}).items()
        for variable, values in variables.items()
    ]
    return {"actions": statement["Action"], "resources": statement["Resource"], "condition": conditions}


def _name_document(address: str) -> str:
    """Return a name for a document, as unique as its address."""
    if match := _MODULE_DOCUMENT.match(address):
        kind, name, document = match.groups()
        return f"{kind} {name.replace('_', '-')}{_DOCUMENT_LABELS.get(document, f' ({document})')}"
    return address.removeprefix("data.aws_iam_policy_document.")


def split(statement: Mapping[str, Json]) -> Iterator[Permission]:
    """Yield the permissions of a statement, for each action, resource, principal and value of its only condition."""
    conditions = as_list(statement.get("condition", []))
    values: list[str] = []
    if len(conditions) == 1 and _accepts_any_value(conditions[0]["test"]):
        values = as_list(conditions[0]["values"])
        conditions = [conditions[0] | {"values": []}]
    principals = [name for one in as_list(statement.get("principals", [])) for name in as_list(one["identifiers"])]
    lists = (
        as_list(statement.get("actions", ["any action"])),
        as_list(statement.get("resources", [])),
        principals,
        values,
    )
    for action, resource, principal, value in product(*map(_split_list, lists)):
        yield Permission(
            effect=statement.get("effect", "Allow"),
            actions=action,
            resources=resource,
            principals=principal,
            values=value,
            conditions=tuple(sorted(map(_format_condition, conditions))),
            others=json.dumps({key: item for key, item in statement.items() if key not in _DESCRIBED}, sort_keys=True),
        )


def _split_list(items: list[str]) -> list[tuple[str, ...]]:
    return [(item,) for item in items] or [()]


def _accepts_any_value(test: str) -> bool:
    """Return True if a condition holds when one of its values matches; negated and ForAllValues tests need all."""
    return "Not" not in test and not test.startswith("ForAllValues")


def _format_condition(condition: Mapping[str, Json]) -> str:
    return f"{condition['test']} {condition['variable']} {', '.join(as_list(condition['values']))}".rstrip()


def describe_change(old: set[Permission], new: set[Permission]) -> Iterator[str]:
    """Yield the permissions that were added and removed as sentences."""
    for which, changed in enumerate((new - old, old - new)):
        for permission in join(changed):
            yield f"{_VERBS[permission.effect][which]} {permission}"


def join(permissions: Iterable[Permission]) -> list[Permission]:
    """Return the permissions with those joined that differ only in one of their lists."""
    joined = set(permissions)
    for field in _LISTS:
        groups: defaultdict[Permission, set[str]] = defaultdict(set)
        for one in joined:
            groups[_replace_list(one, field, ())] |= set(getattr(one, field))
        joined = {_replace_list(one, field, sorted(members)) for one, members in groups.items()}
    return sorted(joined, key=str)


def _replace_list(one: Permission, field: str, items: Iterable[str]) -> Permission:
    changed: dict[str, Any] = {field: tuple(items)}
    return replace(one, **changed)
