"""The project that a command works on: its root, its catalogue, its environments, its state directory."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nightferry.catalog.catalog import Catalog
from nightferry.contract import STATE_VARIABLE
from nightferry.environments.environment import Environment, load
from nightferry.errors import CatalogNotFound


@dataclass(frozen=True)
class Project:
    """A folder with a ``pyproject.toml`` that names a catalogue.

    The project need not be installed: its modules are found in the folder itself and in ``src``.
    """

    root: Path
    catalog_name: str

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project around ``start`` (the current folder): the nearest that names a catalog.

        A folder around it, such as a repository's root, names it by ``project = "FOLDER"``.
        Raises :class:`~nightferry.errors.CatalogNotFound`.
        """
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            declared = _declared(folder)
            if project := declared.get("project"):
                folder = (folder / project).resolve()
                declared = _declared(folder)
            if name := declared.get("catalog"):
                return cls(folder, name)
        raise CatalogNotFound(
            f"No pyproject.toml in {start} or above names a catalogue. Change into the project, or add to its "
            'pyproject.toml:\n\n    [tool.nightferry]\n    catalog = "package.module:name"'
        )

    @cached_property
    def catalog(self) -> Catalog:
        """The declarations; loaded when first asked for."""
        module_name, _, name = self.catalog_name.partition(":")
        for folder in (self.root, self.root / "src"):
            if str(folder) not in sys.path and folder.is_dir():
                sys.path.insert(0, str(folder))
        try:
            value = getattr(importlib.import_module(module_name), name or "catalog", None)
        except ModuleNotFoundError as error:
            raise CatalogNotFound(
                f"{self.root / 'pyproject.toml'} names the catalogue '{self.catalog_name}', but there is no module "
                f"'{error.name}' in the project, in its src, or installed. Correct the name, or install what it needs."
            ) from None
        if not isinstance(value, Catalog):
            raise CatalogNotFound(
                f"{self.root / 'pyproject.toml'} names the catalogue '{self.catalog_name}', but that is not a Catalog."
            )
        return value

    def environment(self, name: str) -> Environment:
        """The environment of this name, validated; raises EnvironmentFileError."""
        return load(name, self.catalog, self.root)

    @property
    def infra(self) -> Path:
        """The folder of the synthesized Terraform, ``infra`` in the project, as seen from the current folder."""
        return Path(os.path.relpath(self.root / "infra"))

    @property
    def state(self) -> Path:
        """Where the local engine keeps everything: ``.nightferry`` in the project, or what NIGHTFERRY_STATE names."""
        return Path(os.environ.get(STATE_VARIABLE) or self.root / ".nightferry").absolute()


def _declared(folder: Path) -> dict[str, str]:
    """Return the table ``[tool.nightferry]`` of the folder's ``pyproject.toml``; empty if there is none."""
    file = folder / "pyproject.toml"
    if not file.is_file():
        return {}
    declared: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("nightferry", {})
    return declared
