"""List the resources of an environment by name on AWS, its roles with their statements, and container definitions.

The list does not depend on the division into modules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.terraform.reading.expansion import Resource, expand, reading_files
from nightferry.terraform.reading.values import decode, to_json

Json = Any


@dataclass(frozen=True)
class Inventory:
    """The counts of resources by type and name on AWS, the roles by name, and the containers by family."""

    resources: Mapping[tuple[str, str], int | str]
    roles: Mapping[str, Mapping[str, Json]]
    containers: Mapping[str, Json]

    def to_json(self) -> Json:
        """Return the inventory as JSON."""
        return {
            "resources": [
                {"type": kind, "name": name, "count": count} for (kind, name), count in self.resources.items()
            ],
            "roles": self.roles,
            "containers": self.containers,
        }


def build_inventory(files: Mapping[str, str], environment: str) -> Inventory:
    """Return the inventory of an environment.

    Raises:
        NightferryError: The files cannot be expanded.
    """
    folder = f"ecs-tasks/{environment}"
    with reading_files(folder):
        found = expand(files, folder)
        counts: dict[tuple[str, str], int | str] = dict(Counter((one.type, one.name) for one in found))
        counts |= {(one.type, one.name): one.count for one in found if one.count}
        return Inventory(dict(sorted(counts.items())), _find_roles(found), _find_containers(found))


def format_lines(listed: Inventory) -> Iterator[str]:
    """Yield the lines of the inventory as text."""
    yield f"Resources: {sum(count if isinstance(count, int) else 1 for count in listed.resources.values())}"
    types = Counter(kind for kind, _ in listed.resources)
    for kind, number in types.items():
        yield f"  {kind}: {number}"
        for (of, name), count in listed.resources.items():
            if of == kind:
                yield f"    {name}" + ("" if count == 1 else f" (count {count})")
    yield f"Roles: {len(listed.roles)}"
    for name, role in listed.roles.items():
        yield f"  {name}"
        yield from (f"    trust: {_format_statement(statement)}" for statement in role["trust"])
        yield from (f"    {_format_statement(statement)}" for statement in role["statements"])
    yield f"Container definitions: {len(listed.containers)}"
    for family, containers in listed.containers.items():
        yield f"  {family}"
        yield from (f"    {line}" for line in json.dumps(containers, indent=2, ensure_ascii=False).splitlines())


def _format_statement(statement: Json) -> str:
    principals = "".join(f"{kind} {_join(names)} " for kind, names in statement.get("Principal", {}).items())
    text = f"{statement.get('Sid', '')} {principals}{statement['Effect']} {_join(statement['Action'])}".strip()
    if "Resource" in statement:
        text += f" on {_join(statement['Resource'])}"
    if "Condition" in statement:
        text += f" if {json.dumps(statement['Condition'], ensure_ascii=False)}"
    return text


def _join(items: list[str] | str) -> str:
    return items if isinstance(items, str) else ", ".join(items)


def _find_roles(found: Sequence[Resource]) -> dict[str, Json]:
    """Return the roles by name; AWS refuses a repeated name, but it must not hide a statement here."""
    roles: dict[str, Json] = {}
    for one in found:
        if one.type == "aws_iam_role":
            role = roles.setdefault(one.name, {"trust": [], "statements": []})
            role["trust"] += decode(one.arguments["assume_role_policy"])["Statement"]
    by_id = {f'${{aws_iam_role["{name}"].id}}': role for name, role in roles.items()}
    for one in found:
        if one.type == "aws_iam_role_policy":
            by_id[to_json(one.arguments["role"])]["statements"] += decode(one.arguments["policy"])["Statement"]
    return dict(sorted(roles.items()))


def _find_containers(found: Sequence[Resource]) -> dict[str, Json]:
    containers: dict[str, Json] = {}
    for one in sorted(found, key=lambda one: one.name):
        if one.type == "aws_ecs_task_definition":
            containers.setdefault(one.name, []).extend(decode(one.arguments["container_definitions"]))
    return containers
