"""The schema of the AWS provider: arguments, blocks, and how the provider treats each when it plans.

Two files of facts. ``aws-provider-schema.json`` was extracted from the published schema of hashicorp/aws 6.25.0 and has
the arguments with their types and rules. ``aws-provider-planning.json`` has what the published schema omits, read in
the provider's source, for the types that synthesis writes: ``computed`` (an argument that AWS chooses if it is absent),
``defaults``, ``replace`` (a change needs a new resource), ``compare`` (texts that are equal if their meaning is equal),
``kept`` (arguments of which AWS knows nothing) and ``refreshed`` (attributes that change with each update).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

AWS = "registry.terraform.io/hashicorp/aws"
ARCHIVE = "registry.terraform.io/hashicorp/archive"


@dataclass(frozen=True)
class Attribute:
    """An argument or a read-only attribute."""

    name: str
    type: Any  # in Terraform's JSON form, such as "string" or ["set", "string"]
    required: bool
    configurable: bool
    computed: bool  # the provider chooses a value if the configuration has none
    default: Any = None

    @property
    def is_set(self) -> bool:
        """Return True if the order of its items means nothing."""
        return isinstance(self.type, list) and self.type[0] == "set"


@dataclass(frozen=True)
class Block:
    """A block: attributes by name, and nested blocks by name with their nesting."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, NestedBlock] = field(default_factory=dict)


@dataclass(frozen=True)
class NestedBlock:
    """A nested block of the schema."""

    nesting: str  # list, set, single
    body: Block
    required: bool
    max_items: int
    computed: bool  # absent in the configuration means: as AWS has it


@dataclass(frozen=True)
class Type:
    """A resource type or the type of a data source."""

    name: str
    body: Block
    rules: dict[str, Any]
    planning: dict[str, Any]

    def replaces(self, name: str) -> bool:
        """Return True if a change of the argument needs a new resource."""
        names = self.planning.get("replace", [])
        return name in names or name == "region" or ("*" in names and name not in self.planning.get("in_place", []))

    @property
    def kept(self) -> list[str]:
        """The arguments that the provider keeps in the state and never reads from AWS."""
        return [*self.planning.get("kept", []), *(name for name in ("timeouts",) if name in self.body.blocks)]


@dataclass(frozen=True)
class Schema:
    """All types of resources and data sources."""

    resources: dict[str, Type]
    data: dict[str, Type]


@cache
def load() -> Schema:
    """Return the schema, read once."""
    facts = _read("aws-provider-schema.json")
    planning = _read("aws-provider-planning.json")
    return Schema(
        {name: _make_type("resource", name, body, facts, planning) for name, body in facts["resource"].items()},
        {name: _make_type("data", name, body, facts, planning) for name, body in facts["data"].items()},
    )


def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath(name).read_text())


def _make_type(kind: str, name: str, body: dict[str, Any], facts: Any, planning: Any) -> Type:
    own = planning[kind].get(name, {})
    return Type(name, _make_block(body, own, ""), facts["rules"].get(f"{kind}.{name}", {}), own)


def _make_block(body: dict[str, Any], planning: dict[str, Any], path: str) -> Block:
    block = Block()
    computed = planning.get("computed", [])
    defaults = planning.get("defaults", {})
    for name, fact in body.items():
        full = path + name
        if fact["type"] == "block" and not fact.get("attribute_as_block"):
            block.blocks[name] = NestedBlock(
                fact["nesting"],
                _make_block(fact["body"], planning, full + "."),
                fact["mode"] == "required",
                fact.get("max_items", 0),
                full in computed,
            )
            continue
        block.attributes[name] = Attribute(
            name,
            _type_of(fact),
            fact["mode"] == "required",
            fact["mode"] != "computed",
            fact["mode"] == "computed"
            or full in computed
            or full in defaults
            or (not path and name in ("region", "tags_all"))
            or bool(fact.get("attribute_as_block")),
            defaults.get(full),
        )
    return block


def _type_of(fact: dict[str, Any]) -> Any:
    """Return the type in Terraform's JSON form."""
    kind = fact["type"]
    if kind in ("object", "block"):
        item = ["object", {name: _type_of(member) for name, member in fact["body"].items()}]
        return item if fact["nesting"] == "single" else [fact["nesting"], item]
    if kind == "any":
        return "dynamic"
    if kind.endswith(")"):
        collection, _, item = kind[:-1].partition("(")
        return [collection, item]
    return kind


def walk(block: Block, value: Any, path: str = "") -> Iterator[tuple[str, Attribute, Any]]:
    """Yield each attribute of the value and of its nested blocks, with its path without indexes."""
    for name, attribute in block.attributes.items():
        yield path + name, attribute, value.get(name)
    for name, nested in block.blocks.items():
        for item in as_items(value.get(name)):
            yield from walk(nested.body, item, f"{path}{name}.")


def as_items(value: Any) -> list[dict[str, Any]]:
    """Return the blocks of a nested block, whatever its nesting."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return [value] if isinstance(value, dict) else []


def complete(block: Block, value: dict[str, Any]) -> dict[str, Any]:
    """Return the value with a member for each attribute and block: null or empty where it has none."""
    full: dict[str, Any] = {name: value.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        items = [complete(nested.body, item) for item in as_items(value.get(name))]
        full[name] = (items[0] if items else None) if nested.nesting == "single" else items
    return full
