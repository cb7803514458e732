"""Values that the provider treats as equal: JSON texts, policies, container definitions, sets and empty values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nightferry.terraform.provider.values import UNKNOWN

_EMPTY: tuple[Any, ...] = (None, "", 0, False, [], {})


def is_empty(value: Any) -> bool:
    """Return True for null and for the zero value of each type, which the provider's SDK does not distinguish."""
    return any(value == empty and type(value) is type(empty) for empty in _EMPTY) or value == 0.0


def texts_are_equal(kind: str, old: str, new: str) -> bool:
    """Compare two texts as the provider does for arguments of this kind: json, policy or containers."""
    if old == new:
        return True
    try:
        return bool(_NORMALIZE[kind](json.loads(old)) == _NORMALIZE[kind](json.loads(new)))
    except ValueError:
        return False


def sets_are_equal(old: list[Any], new: list[Any]) -> bool:
    """Compare two lists without their order."""
    return len(old) == len(new) and sorted(map(_order, old)) == sorted(map(_order, new))


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def normalize_policy(document: Any) -> Any:
    """Return a policy without what IAM treats as equal: order, and a list of one instead of a text."""
    if not isinstance(document, dict):
        return document
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return {**document, "Statement": sorted((_normalize_statement(one) for one in statements), key=_order)}


def _normalize_statement(statement: dict[str, Any]) -> dict[str, Any]:
    normal: dict[str, Any] = {}
    for key, value in statement.items():
        if key == "Condition":
            normal[key] = {
                test: {name: sorted(map(str, _as_list(values))) for name, values in variables.items()}
                for test, variables in value.items()
            }
        elif key in ("Principal", "NotPrincipal") and isinstance(value, dict):
            normal[key] = {kind: sorted(_as_list(names)) for kind, names in value.items()}
        elif key in ("Sid", "Effect"):
            normal[key] = value
        else:
            normal[key] = sorted(_as_list(value))
    return normal


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Of internal/service/ecs/container_definitions.go: the members whose empty lists are left out. Members of nested
# objects, such as linuxParameters.capabilities.add, are not among them.
_LISTS = (
    "command", "credentialSpecs", "dependsOn", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions", "entryPoint",
    "environment", "environmentFiles", "extraHosts", "links", "mountPoints", "portMappings", "resourceRequirements",
    "secrets", "systemControls", "ulimits", "volumesFrom",
)  # fmt: skip
_HEALTH_DEFAULTS = {"interval": 30, "retries": 3, "timeout": 5}


def _normalize_containers(containers: Any) -> Any:
    return sorted((_normalize_container(container) for container in containers), key=lambda one: one.get("name", ""))


def _normalize_container(container: dict[str, Any]) -> dict[str, Any]:
    # The provider reads the text into the structures of AWS's SDK, in which null and an absent member are the same.
    normal = {key: value for key, value in _drop_nulls(container).items() if not (key in _LISTS and value == [])}
    normal.setdefault("essential", True)
    for name in ("environment", "secrets"):
        if name in normal:
            normal[name] = sorted(normal[name], key=lambda one: one.get("name", ""))
    if "healthCheck" in normal:
        normal["healthCheck"] = {**_HEALTH_DEFAULTS, **normal["healthCheck"]}
    if "portMappings" in normal:
        normal["portMappings"] = [_normalize_port(mapping) for mapping in normal["portMappings"]]
    for name in ("cpu", "memory", "memoryReservation"):
        if name in normal and isinstance(normal[name], str):
            normal[name] = int(normal[name])
    if not normal.get("cpu"):  # a number that the SDK's structure always has
        normal.pop("cpu", None)
    return normal


def _normalize_port(mapping: dict[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in mapping.items() if (key, value) != ("protocol", "tcp")}
    if not normal.get("hostPort"):
        normal["hostPort"] = normal.get("containerPort")  # awsvpc, the only network mode of Fargate
    return normal


def _drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_nulls(item) for key, item in value.items() if item is not None}
    return [_drop_nulls(item) for item in value] if isinstance(value, list) else value


_NORMALIZE: dict[str, Callable[[Any], Any]] = {
    "json": lambda document: document,
    "policy": normalize_policy,
    "containers": _normalize_containers,
}


def are_equal(old: Any, new: Any, *, is_set: bool = False, compare: str = "") -> bool:
    """Return True if the provider sees no difference between two values of an argument."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if is_empty(old) and is_empty(new):
        return True
    if compare and isinstance(old, str) and isinstance(new, str):
        return texts_are_equal(compare, old, new)
    if is_set and isinstance(old, list) and isinstance(new, list):
        return sets_are_equal(old, new)
    return bool(old == new)
