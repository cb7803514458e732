"""Building Terraform's JSON syntax: blocks in reading order, comments, names, references."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Json = Any
Block = dict[str, Any]


class Document:
    """One ``*.tf.json`` file. Blocks keep the order in which they are added."""

    def __init__(self, comment: str) -> None:
        self.body: Block = {"//": comment}

    def resource(self, kind: str, name: str, arguments: Mapping[str, Json]) -> str:
        """Add a resource; the answer is its address, to be used in expressions."""
        self._put(("resource", kind, name), arguments)
        return f"{kind}.{name}"

    def data(self, kind: str, name: str, arguments: Mapping[str, Json]) -> str:
        """Add a data source; the answer is its address."""
        self._put(("data", kind, name), arguments)
        return f"data.{kind}.{name}"

    def module(self, name: str, arguments: Mapping[str, Json]) -> str:
        """Call a module; the answer is its address."""
        self._put(("module", name), arguments)
        return f"module.{name}"

    def local(self, name: str, value: Json) -> str:
        """Name a value; the answer is its address."""
        self._put(("locals", name), value)
        return f"local.{name}"

    def variable(self, name: str, arguments: Mapping[str, Json]) -> str:
        """Declare a variable; the answer is its address."""
        self._put(("variable", name), arguments)
        return f"var.{name}"

    def output(self, name: str, arguments: Mapping[str, Json]) -> None:
        """Publish a value."""
        self._put(("output", name), arguments)

    def __bool__(self) -> bool:
        """Whether there is anything beside the comment."""
        return len(self.body) > 1

    def _put(self, path: tuple[str, ...], value: Json) -> None:
        block = self.body
        for key in path[:-1]:
            block = block.setdefault(key, {})
        if path[-1] in block:
            raise ValueError(f"{'.'.join(path)} is declared twice")
        block[path[-1]] = value

    def render(self) -> str:
        """The file's text: two blanks of indentation, a line end at the end."""
        return json.dumps(self.body, indent=2, ensure_ascii=False) + "\n"


def expression(text: str) -> str:
    """``${text}``: an argument whose value is an expression."""
    return f"${{{text}}}"


def slug(name: str) -> str:
    """A declaration's name as the name of a resource: Terraform's style is underscores."""
    return name.replace("-", "_")


def literal(text: str) -> str:
    """Text that Terraform must not read as a template."""
    return text.replace("${", "$${").replace("%{", "%%{")
