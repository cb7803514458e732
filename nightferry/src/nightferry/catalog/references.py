"""References in declarations: ``${kind:name}`` represents a value that depends on the environment.

Bucket names, setting values and the cluster's ARN differ between environments. Declarations therefore contain
references, and each environment substitutes them: the local engine with folders and addresses on this machine,
synthesis with Terraform expressions. ``$${`` is a literal ``${``.

The kinds are ``bucket``, ``setting``, ``task``, ``topic``, ``role``, ``workflow``, ``function``, ``service`` (a local
service's address, such as ``${service:database.host}``) and, without a name, ``environment``, ``cluster``, ``subnets``,
``security_groups`` and ``state`` (the local engine's directory).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KINDS = frozenset(
    "bucket setting task topic role workflow function service environment cluster subnets security_groups state".split()  # noqa: SIM905
)
_PATTERN = re.compile(r"\$(\$\{)|\$\{([a-z_]+)(?::([^{}]+))?\}")


@dataclass(frozen=True)
class Reference:
    """One ``${kind:name}``; ``name`` is empty if the kind has only one member."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}" if self.name else f"${{{self.kind}}}"


def find_references(value: Any) -> set[Reference]:
    """Return all references in the strings of ``value``, which may be nested lists and mappings."""
    if isinstance(value, str):
        return {Reference(m[2], m[3] or "") for m in _PATTERN.finditer(value) if m[2]}
    if isinstance(value, dict):
        return set().union(*(find_references(item) for item in (*value.keys(), *value.values())))
    if isinstance(value, list | tuple):
        return set().union(*(find_references(item) for item in value))
    return set()


def substitute(value: Any, resolve: Callable[[Reference], Any]) -> Any:
    """Return a copy of ``value`` in which each reference is replaced with the value that ``resolve`` returns for it.

    A string that consists of one reference is replaced with the value itself, so that ``"${subnets}"`` can become a
    list. Within a longer string, the value is converted to text.
    """
    if isinstance(value, str):
        whole = _PATTERN.fullmatch(value)
        if whole and whole[2]:
            return resolve(Reference(whole[2], whole[3] or ""))
        return _PATTERN.sub(lambda m: m[1] or _format_text(resolve(Reference(m[2], m[3] or ""))), value)
    if isinstance(value, dict):
        return {substitute(key, resolve): substitute(item, resolve) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(item, resolve) for item in value]
    return value


def _format_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
