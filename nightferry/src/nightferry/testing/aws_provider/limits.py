"""The limits of AWS's API models: length, pattern, range and enumeration of each parameter.

boto3 checks required parameters, types and lower limits only. AWS refuses the others, and no emulator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from nightferry.terraform.provider.server import ProviderError


def check_parameters(service: str, operation: str, shape: Any, parameters: dict[str, Any]) -> None:
    """Raise ProviderError if a parameter of the call exceeds a limit of the API model."""
    if shape is None:
        return
    problems = list(find_violations(shape, parameters, ""))
    if problems:
        raise ProviderError(f"{service}:{operation}: {'; '.join(problems)}")


def find_violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield each limit of a shape that the value or a part of it violates."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from find_violations(member, value[name], f"{path}.{name}" if path else name)
        return
    yield from _check(shape, value, path)
    if shape.type_name == "list" and isinstance(value, (list, tuple)):
        for n, item in enumerate(value):
            yield from find_violations(shape.member, item, f"{path}[{n}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from find_violations(shape.key, key, f"{path} (key {key!r})")
            yield from find_violations(shape.value, item, f"{path}[{key!r}]")


def _check(shape: Any, value: Any, path: str) -> Iterator[str]:
    facts = shape.metadata
    size = len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else value
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        return
    what = "has length" if size is not value else "is"
    low, high = facts.get("min"), facts.get("max")
    if low is not None and size < low:
        yield f"{path} {what} {size}, below the minimum of {low}"
    if high is not None and size > high:
        yield f"{path} {what} {size}, above the maximum of {high}"
    if not isinstance(value, str):
        return
    if "pattern" in facts and not _matches(facts["pattern"], value):
        yield f"{path} is {value[:200]!r}, which does not match {facts['pattern']}"
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is {value!r}, not one of {shape.enum}"


def _matches(pattern: str, value: str) -> bool:
    expression = _compile(pattern)
    return expression is None or expression.search(value) is not None


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    r"""Return the expression for the whole text; None if Python cannot express it (classes such as \p{L})."""
    if "\\p{" in pattern:
        return None
    try:
        return re.compile(rf"\A(?:{pattern})\Z", re.DOTALL)
    except re.error:
        return None
