"""The descriptions in docstrings: paragraphs, and the sections Args and Attributes in Google's style."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:(?:    .*)?(?:\n|$))+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)
_ROLE = re.compile(r":(\w+):`~?([^`]+)`")


@dataclass(frozen=True)
class Docstring:
    """A docstring as Markdown: its paragraphs, and the entries of each section."""

    paragraphs: tuple[str, ...]
    arguments: Mapping[str, str]
    raises: Mapping[str, str]


def read(documented: object) -> Docstring:
    """Return the docstring of a class or function."""
    return parse(inspect.getdoc(documented) or "")


def parse(text: str) -> Docstring:
    """Return a docstring whose lines are not indented."""
    found: dict[str, dict[str, str]] = {}
    for section in _SECTION.finditer(text + "\n"):
        entries = {name: convert(" ".join(entry.split())) for name, entry in _ENTRY.findall(section[2])}
        found.setdefault(section[1], {}).update(entries)
    rest = _SECTION.sub("", text + "\n")
    paragraphs = tuple(convert(" ".join(part.split())) for part in re.split(r"\n\s*\n", rest) if part.strip())
    return Docstring(paragraphs, {**found.get("Args", {}), **found.get("Attributes", {})}, found.get("Raises", {}))


def convert(text: str) -> str:
    """Return reStructuredText as Markdown. A role becomes the last part of its name."""
    text = _ROLE.sub(lambda role: f"`{role[2].rpartition('.')[2]}`", text)
    return re.sub(r"(?<![`\w])([A-Z][a-z]+Error)\b", r"`\1`", re.sub(r"``(.+?)``", r"`\1`", text))


def read_constants(module: ModuleType) -> dict[str, str]:
    """Return the texts after the assignments of a module, by name."""
    return _read_assignments(ast.parse(inspect.getsource(module)).body)


def read_class_constants(owner: type) -> dict[str, str]:
    """Return the texts after the assignments of a class, by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return _read_assignments(tree.body)


def _read_assignments(body: list[ast.stmt]) -> dict[str, str]:
    found = {}
    for statement, after in pairwise(body):
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(target, ast.Name) and is_text and isinstance(after.value.value, str):  # type: ignore[attr-defined]
            found[target.id] = convert(" ".join(inspect.cleandoc(after.value.value).split()))  # type: ignore[attr-defined]
    return found
