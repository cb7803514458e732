"""The resources and permissions that the synthesized files of an environment declare, for ``nightferry verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Context = tuple[tuple[str, str], ...]
"""Condition keys with the values that satisfy the conditions of a statement."""


@dataclass(frozen=True)
class Permission:
    """An action that a role must be allowed to take on an example of a resource, in a request with a ``context``."""

    action: str
    resource: str
    context: Context = ()


@dataclass(frozen=True)
class Expected:
    """The declared resources by their names on AWS.

    Attributes:
        permissions: The permissions of each role.
        policies: The name of the policy of each role that has one.
        names: The names of the resources by Terraform's type.
        subscriptions: The ARN of the function that each subscribed log group sends its events to.
        definitions: The definitions of the state machines. A ``${variable}`` in a text is a value that Terraform sets.
    """

    permissions: Mapping[str, Sequence[Permission]]
    policies: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, Any] = field(default_factory=dict)
