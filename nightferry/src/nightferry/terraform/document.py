"""Build files in Terraform's JSON syntax: blocks in reading order, comments, names and references."""

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

    def add_resource(self, kind: str, name: str, arguments: Mapping[str, Json]) -> str:
        """Add a resource and return its address for use in expressions."""
        self._put(("resource", kind, name), arguments)
        return f"{kind}.{name}"

    def add_data(self, kind: str, name: str, arguments: Mapping[str, Json]) -> str:
        """Add a data source and return its address."""
        self._put(("data", kind, name), arguments)
        return f"data.{kind}.{name}"

    def add_module(self, name: str, arguments: Mapping[str, Json]) -> str:
        """Add the call of a module and return its address."""
        self._put(("module", name), arguments)
        return f"module.{name}"

    def add_local(self, name: str, value: Json) -> str:
        """Add a local value and return its address."""
        self._put(("locals", name), value)
        return f"local.{name}"

    def add_variable(self, name: str, arguments: Mapping[str, Json]) -> str:
        """Add a variable and return its address."""
        self._put(("variable", name), arguments)
        return f"var.{name}"

    def add_output(self, name: str, arguments: Mapping[str, Json]) -> None:
        """Add an output."""
        self._put(("output", name), arguments)

    def __bool__(self) -> bool:
        """Return True if the file has blocks in addition to the comment."""
        return len(self.body) > 1

    def _put(self, path: tuple[str, ...], value: Json) -> None:
        block = self.body
        for key in path[:-1]:
            block = block.setdefault(key, {})
        if path[-1] in block:
            raise ValueError(f"{'.'.join(path)} is declared twice")
        block[path[-1]] = value

    def render(self) -> str:
        """Return the text of the file, indented by two spaces and with a final newline."""
        return json.dumps(self.body, indent=2, ensure_ascii=False) + "\n"


def expression(text: str) -> str:
    """Return ``${text}``, an argument whose value is an expression."""
    return f"${{{text}}}"


def slug(name: str) -> str:
    """Return a declaration's name as a resource name with underscores, as is Terraform's style."""
    return name.replace("-", "_")


def literal(text: str) -> str:
    """Return the text escaped, so that Terraform does not evaluate it as a template."""
    return text.replace("${", "$${").replace("%{", "%%{")
