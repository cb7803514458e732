"""The base class of the resource types, and helpers for the shapes of AWS's APIs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nightferry.testing.aws_provider.clients import Clients

Values = dict[str, Any]

OMITTED: Any = object()
"""The value of an attribute that the emulated AWS does not store, in a read. The state keeps its value."""


class Resource(ABC):
    """A resource type: how to create, read, update and delete one.

    ``identity`` names the attributes by which :meth:`read` finds the resource; it gets no others.
    """

    type: ClassVar[str]
    identity: ClassVar[tuple[str, ...]]

    @abstractmethod
    def create(self, aws: Clients, new: Values) -> Values:
        """Create the resource from its arguments, and return the attributes of ``identity``."""

    @abstractmethod
    def read(self, aws: Clients, identity: Values) -> Values | None:
        """Return the attributes as AWS has them; None if the resource does not exist."""

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        """Change the resource from the arguments ``old`` to ``new``; by default, put the new one over it."""
        self.create(aws, new)

    @abstractmethod
    def delete(self, aws: Clients, old: Values) -> None:
        """Delete the resource."""


def given(**arguments: Any) -> Values:
    """Return the arguments that have a value, for the parameters of a call."""
    return {name: value for name, value in arguments.items() if value not in (None, "", [], {})}


def first(block: Any) -> Values:
    """Return the only item of a block, or an empty one."""
    return (block[0] if isinstance(block, list) and block else block) or {}


def as_tags(tags: Mapping[str, str] | None, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return tags as the list of an API."""
    return [{key: name, value: text} for name, text in sorted((tags or {}).items())]


def from_tags(tags: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Return the list of an API as a dict, without the tags of AWS itself."""
    return {tag[key]: tag[value] for tag in tags or [] if not tag[key].startswith("aws:")}


def changed_tags(old: Values, new: Values) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set and the names of the tags to remove."""
    before, after = old.get("tags_all") or {}, new.get("tags_all") or {}
    added = {name: value for name, value in after.items() if before.get(name) != value}
    return added, sorted(set(before) - set(after))
