"""What a change will do: the planned values of a resource, and the arguments for which it must be replaced.

The rules are those of the provider's SDK. An argument that is absent in the configuration has its default, or the value
that AWS chose, or none. Attributes that only AWS knows are unknown in the plan of a new resource. In the plan of an
update they keep their value, except those that each update changes. Equal values of different form (JSON, sets, empty
and absent) are not a change, and keep their form.
"""

from __future__ import annotations

from typing import Any

from nightferry.terraform.provider.equality import are_equal, sets_are_equal
from nightferry.terraform.provider.schema import Attribute, Block, NestedBlock, Type, as_items, complete
from nightferry.terraform.provider.values import UNKNOWN, is_known


def plan(
    kind: Type, prior: dict[str, Any] | None, config: dict[str, Any], defaults: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the planned values, and the names of the changed arguments that need a new resource.

    Args:
        kind: The resource type.
        prior: The resource as AWS has it; None if it does not exist.
        config: The configuration, complete, with UNKNOWN where a value is not known yet.
        defaults: The provider's configuration: ``region`` and ``default_tags``.
    """
    config = {**config, **_inherited(kind, config, defaults)}
    planned = _plan_block(kind, kind.body, prior, config, "")
    if prior is None:
        return planned, []
    changed = [name for name in planned if not _is_same(kind, name, prior.get(name), planned[name])]
    if not changed:
        return {**planned, **{name: prior.get(name) for name in planned}}, []
    for name in kind.planning.get("refreshed", []):
        planned[name] = UNKNOWN
    for cause, names in kind.planning.get("refreshed_by", {}).items():
        if cause in changed:
            planned.update(dict.fromkeys(names, UNKNOWN))
    return planned, [name for name in changed if kind.replaces(name)]


def merge_tags(own: Any, defaults: dict[str, str]) -> Any:
    """Return all tags of a resource: the provider's default tags and its own."""
    return UNKNOWN if not is_known(own) else ({**defaults, **(own or {})} or None)


def settle(kind: Type, known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what AWS has, in the form of ``known`` (the state or the plan) where both mean the same."""
    settled = _settle_block(kind, kind.body, known, found, "")
    for name in kind.kept:
        settled[name] = known.get(name)
    return settled


def _inherited(kind: Type, config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "region" in kind.body.attributes and config.get("region") is None:
        values["region"] = defaults.get("region")
    if "tags_all" in kind.body.attributes:
        values["tags_all"] = merge_tags(config.get("tags"), defaults.get("default_tags") or {})
    return values


def _plan_block(kind: Type, block: Block, prior: Any, config: dict[str, Any], path: str) -> dict[str, Any]:
    planned = {
        name: _plan_attribute(kind, attribute, prior, config.get(name), path + name)
        for name, attribute in block.attributes.items()
    }
    for name, nested in block.blocks.items():
        planned[name] = _plan_nested(kind, nested, (prior or {}).get(name), config.get(name), path + name)
    return planned


def _plan_attribute(kind: Type, attribute: Attribute, prior: Any, config: Any, path: str) -> Any:
    name = attribute.name
    if config is not None:
        before = prior.get(name) if prior else None
        same = before is not None and are_equal(
            before, config, is_set=attribute.is_set, compare=kind.planning.get("compare", {}).get(path, "")
        )
        return before if same else config
    if attribute.default is not None:
        return attribute.default
    if not attribute.computed:
        return None
    if prior is None or name not in prior:
        return UNKNOWN
    return prior[name]


def _plan_nested(kind: Type, nested: NestedBlock, prior: Any, config: Any, path: str) -> Any:
    before, items = as_items(prior), as_items(config)
    if config is UNKNOWN:
        return UNKNOWN
    if nested.nesting == "set":
        return [
            _plan_block(kind, nested.body, _find(kind, nested, before, item, path), item, path + ".") for item in items
        ]
    planned = [
        _plan_block(kind, nested.body, before[n] if n < len(before) else None, item, path + ".")
        for n, item in enumerate(items)
    ]
    return (planned[0] if planned else None) if nested.nesting == "single" else planned


def _find(kind: Type, nested: NestedBlock, before: list[Any], item: Any, path: str) -> Any:
    """Return the earlier item of a set that has the configured values, for values that AWS chose."""
    for earlier in before:
        if _plan_block(kind, nested.body, earlier, item, path + ".") == earlier:
            return earlier
    return None


def _is_same(kind: Type, name: str, prior: Any, planned: Any) -> bool:
    """Return True if the plan does not change the attribute or nested block."""
    compare = kind.planning.get("compare", {})
    if name in kind.body.attributes:
        return are_equal(prior, planned, is_set=kind.body.attributes[name].is_set, compare=compare.get(name, ""))
    nested = kind.body.blocks[name]
    before, after = as_items(prior), as_items(planned)
    if nested.computed and not after:
        return True
    return _blocks_are_same(kind, nested, before, after, name)


def _blocks_are_same(kind: Type, nested: NestedBlock, before: list[Any], after: list[Any], path: str) -> bool:
    if not is_known(after):
        return False
    old = [_reduce(nested.body, item, kind, path + ".") for item in before]
    new = [_reduce(nested.body, item, kind, path + ".") for item in after]
    return sets_are_equal(old, new) if nested.nesting == "set" else old == new


def _reduce(body: Block, item: dict[str, Any], kind: Type, path: str) -> dict[str, Any]:
    """Return a block's values in one form: without empty values, sets sorted."""
    reduced: dict[str, Any] = {}
    for name, attribute in body.attributes.items():
        value = item.get(name)
        if are_equal(value, None):
            continue
        reduced[name] = sorted(value, key=str) if attribute.is_set and isinstance(value, list) else value
    for name, nested in body.blocks.items():
        items = [_reduce(nested.body, one, kind, f"{path}{name}.") for one in as_items(item.get(name))]
        if items:
            reduced[name] = sorted(items, key=str) if nested.nesting == "set" else items
    return reduced


def _settle_block(kind: Type, block: Block, known: Any, found: dict[str, Any], path: str) -> dict[str, Any]:
    settled: dict[str, Any] = {}
    known = known or {}
    compare = kind.planning.get("compare", {})
    for name, attribute in block.attributes.items():
        before, value = known.get(name), found.get(name)
        same = before is not UNKNOWN and are_equal(
            before, value, is_set=attribute.is_set, compare=compare.get(path + name, "")
        )
        settled[name] = before if same else value
    for name, nested in block.blocks.items():
        settled[name] = _settle_nested(kind, nested, known.get(name), found.get(name), path + name)
    return settled


def _settle_nested(kind: Type, nested: NestedBlock, known: Any, found: Any, path: str) -> Any:
    before = [complete(nested.body, item) for item in as_items(known)]
    after = [complete(nested.body, item) for item in as_items(found)]
    if nested.computed and not before:
        return None if nested.nesting == "single" else []
    if nested.nesting == "set":
        items = [_settle_item(kind, nested, before, item, path) for item in after]
    else:
        items = [
            _settle_block(kind, nested.body, before[n] if n < len(before) else None, item, path + ".")
            for n, item in enumerate(after)
        ]
    return (items[0] if items else None) if nested.nesting == "single" else items


def _settle_item(kind: Type, nested: NestedBlock, before: list[Any], item: dict[str, Any], path: str) -> dict[str, Any]:
    same = next((one for one in before if _blocks_are_same(kind, nested, [one], [item], path)), None)
    return same if same is not None else item
