"""The provider's own checks of a configuration: what it refuses while it validates, before any call of AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nightferry.terraform.provider.schema import Type, as_items, walk
from nightferry.terraform.provider.values import UNKNOWN


def find_problems(kind: Type, config: dict[str, Any]) -> Iterator[str]:
    """Yield each violation of the type's rules by the known values of a configuration."""
    rules = kind.rules
    for path, _, value in walk(kind.body, config):
        if value is None or value is UNKNOWN:
            continue
        for item in value if isinstance(value, list) else [value]:
            if item is not UNKNOWN:
                yield from _check(rules, path, item)
        if path in rules.get("max_items", {}) and isinstance(value, list) and len(value) > rules["max_items"][path]:
            yield f"{path}: {len(value)} items, but at most {rules['max_items'][path]} are allowed"
    for names in rules.get("conflicts", []):
        for found in _alternatives(config, names):
            if len(found) > 1:
                yield f'"{found[0]}": conflicts with {", ".join(found[1:])}'
    for names in rules.get("exactly_one", []):
        for found in _alternatives(config, names):
            if len(found) != 1:
                yield f"one of `{', '.join(names)}` must be specified, but {', '.join(found) or 'none'} was"
    for names in rules.get("at_least_one", []):
        for found in _alternatives(config, names):
            if not found:
                yield f"one of `{', '.join(names)}` must be specified"


def find_warnings(kind: Type, config: dict[str, Any]) -> Iterator[str]:
    """Yield advice for each deprecated argument that the configuration sets."""
    advice = kind.rules.get("deprecated", {})
    for path, _, value in walk(kind.body, config):
        if path in advice and value is not None:
            yield f"{path} is deprecated: {advice[path]}"


def _check(rules: dict[str, Any], path: str, value: Any) -> Iterator[str]:
    allowed = rules.get("enum", {}).get(path)
    if allowed is not None and value not in allowed:
        yield f"expected {path} to be one of {allowed}, got {value}"
    low, high = rules.get("range", {}).get(path, (None, None))
    if low is not None and not low <= value <= high:
        yield f"expected {path} to be in the range ({low} - {high}), got {value}"
    low, high = rules.get("length", {}).get(path, (None, None))
    if low is not None and isinstance(value, str) and not low <= len(value) <= high:
        yield f"expected length of {path} to be in the range ({low} - {high}), got {len(value)}: {value[:200]}"
    if path in rules.get("json", []) and isinstance(value, str) and value:
        try:
            json.loads(value)
        except ValueError as error:
            yield f'"{path}" contains an invalid JSON: {error}'


def _alternatives(config: dict[str, Any], names: list[str]) -> Iterator[list[str]]:
    """Yield which of the names are set, for each block that contains them."""
    parent = names[0].split(".")[:-1]
    short = [name.rpartition(".")[2] for name in names]
    blocks = [config]
    for step in parent:
        blocks = [item for one in blocks for item in as_items(one.get(step))]
    for one in blocks:
        yield [name for name in short if one.get(name) not in (None, [], {})]
