"""References in declarations: ``${kind:name}`` stands for a value that only an environment knows.

A bucket has another name in every environment, a setting another value, the cluster another ARN. Declarations
therefore hold text with references, and an environment substitutes them: the local engine with folders and
addresses on this machine, synthesis with Terraform expressions. ``$${`` stands for a literal ``${``.

The kinds: ``bucket``, ``setting``, ``task``, ``topic``, ``role``, ``workflow``, ``function``, ``service`` (a local
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
    """One ``${kind:name}``; ``name`` is empty where the kind has only one member."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}" if self.name else f"${{{self.kind}}}"


def references(value: Any) -> set[Reference]:
    """All references in the strings of ``value``, which may be nested lists and mappings."""
    if isinstance(value, str):
        return {Reference(m[2], m[3] or "") for m in _PATTERN.finditer(value) if m[2]}
    if isinstance(value, dict):
        return set().union(*(references(item) for item in (*value.keys(), *value.values())))
    if isinstance(value, list | tuple):
        return set().union(*(references(item) for item in value))
    return set()


def substitute(value: Any, resolve: Callable[[Reference], Any]) -> Any:
    """A copy of ``value`` in which each reference is replaced by what ``resolve`` answers.

    A string that is one reference and nothing else becomes the answer itself, so that ``"${subnets}"`` may
    become a list; within a longer text the answer is written as text.
    """
    if isinstance(value, str):
        whole = _PATTERN.fullmatch(value)
        if whole and whole[2]:
            return resolve(Reference(whole[2], whole[3] or ""))
        return _PATTERN.sub(lambda m: m[1] or _text(resolve(Reference(m[2], m[3] or ""))), value)
    if isinstance(value, dict):
        return {substitute(key, resolve): substitute(item, resolve) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(item, resolve) for item in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
