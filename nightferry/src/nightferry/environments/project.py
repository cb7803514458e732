"""The project of a command: its root, catalog, environments and state directory."""

from __future__ import annotations

import gc
import importlib
import os
import shlex
import stat
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from nightferry.catalog.catalog import Catalog
from nightferry.contract import STATE_VARIABLE
from nightferry.environments import toml_text
from nightferry.environments.environment import Environment, load
from nightferry.environments.private_paths import format_owner, is_trusted_owner
from nightferry.errors import CatalogFailed, CatalogNotFound, NightferryError

_FILE = "pyproject.toml"
_MOST_BYTES = 1 << 20
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "catalog": 'The catalog, as "package.module:name". Its modules are found in the project and in its folder src.',
        "project": "The folder of the project, in a pyproject.toml above it, such as that of the repository's root.",
    }
)
"""The keys of the table ``[tool.nightferry]``, with their meaning."""


class ForeignProject(NightferryError):
    """Another account owns the project or can change it, so its code is not run. The message has the fix."""


@dataclass(frozen=True)
class Project:
    """A folder with a ``pyproject.toml`` that names a catalog.

    The project need not be installed: its modules are found in the folder itself and in ``src``.
    """

    root: Path
    catalog_name: str

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the nearest project at or above ``start``, by default the current folder.

        A folder above the project, such as a repository's root, can point to it with ``project = "FOLDER"``.
        The catalog is code that the command runs. A folder of another account, which the search meets above a shared
        folder such as ``/tmp``, is therefore refused: see :func:`_check_owner`.

        Raises :class:`~nightferry.errors.CatalogNotFound`, and ForeignProject for a project of another account.
        """
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            declared = _read_tool_table(folder)
            if project := declared.get("project"):
                _check_owner(folder)
                folder = (folder / project).resolve()
                declared = _read_tool_table(folder)
            if name := declared.get("catalog"):
                _check_owner(folder)
                return cls(folder, name)
        raise CatalogNotFound(
            f"No pyproject.toml in {start} or its parent folders names a catalog. Change to the project's folder, or "
            "create a new project:\n\n    nightferry init NAME\n\nIn an existing project, add to pyproject.toml:\n\n"
            '    [tool.nightferry]\n    catalog = "package.module:name"'
        )

    @cached_property
    def catalog(self) -> Catalog:
        """The project's declarations, imported on first use. Raises CatalogNotFound, CatalogFailed."""
        module_name, _, name = self.catalog_name.partition(":")
        for folder in (self.root, self.root / "src"):
            if str(folder) not in sys.path and folder.is_dir():
                sys.path.insert(0, str(folder))
        try:
            with _without_collections():
                value = getattr(importlib.import_module(module_name), name or "catalog", None)
        except ModuleNotFoundError as error:
            raise CatalogNotFound(
                f"{self.root / 'pyproject.toml'}: cannot import catalog '{self.catalog_name}': module '{error.name}' "
                "not found in the project, in its src, or among installed packages. Correct the name, or install the "
                "missing package."
            ) from None
        except NightferryError:
            raise
        except (Exception, SystemExit) as error:
            raise CatalogFailed(f"{self._find_place(error)}: {_describe_mistake(error)}") from None
        if not isinstance(value, Catalog):
            raise CatalogNotFound(
                f"{self.root / 'pyproject.toml'}: '{self.catalog_name}' is not a Catalog. Correct the name."
            )
        return value

    def environment(self, name: str) -> Environment:
        """Return the validated environment with this name. Raises EnvironmentFileError."""
        return load(name, self.catalog, self.root)

    def _find_place(self, error: BaseException) -> str:
        """Return ``file:line`` of a mistake: of the syntax error, or of the last line of the project that ran."""
        if isinstance(error, SyntaxError) and error.filename:
            return f"{error.filename}:{error.lineno}"
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if self.contains(Path(frame.filename))]
        last = (ours or frames)[-1]
        return f"{last.filename}:{last.lineno}"

    def contains(self, file: Path) -> bool:
        """Return True if the file belongs to the project, and not to a package that is installed in its folder."""
        return file.is_relative_to(self.root) and "site-packages" not in file.parts

    @property
    def infra(self) -> Path:
        """The folder of the synthesized Terraform, ``infra`` in the project, relative to the current folder."""
        return Path(os.path.relpath(self.root / "infra"))

    @property
    def state(self) -> Path:
        """The local engine's state directory: NIGHTFERRY_STATE if it is set, else ``.nightferry`` in the project."""
        return Path(os.environ.get(STATE_VARIABLE) or self.root / ".nightferry").absolute()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Suspend the collector of garbage. Nearly all objects of an import stay, and the searches take a tenth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check_owner(folder: Path) -> None:
    """Raise ForeignProject unless this account or root owns the project's folder, its source and ``pyproject.toml``.

    The folder must not be shared like ``/tmp``, where any account can add a module.
    """
    for path in (folder, folder / "src", folder / _FILE):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if not is_trusted_owner(status):
            raise ForeignProject(
                f"{path} belongs to the account {format_owner(status)}. The project in this folder is code that would "
                "run with your rights, so it is not run. Run the command as that account, or, if you trust the code, "
                f"let an administrator change the owner: chown -R {os.geteuid()} {shlex.quote(str(folder))}"
            )
        if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IWOTH and status.st_mode & stat.S_ISVTX:
            raise ForeignProject(
                f"{path} is shared by all accounts, which can add modules to the project. Move the project to a folder "
                "of its own."
            )


def _describe_mistake(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read_tool_table(folder: Path) -> dict[str, str]:
    """Return the table ``[tool.nightferry]`` of the folder's ``pyproject.toml``, or an empty one.

    Raises CatalogNotFound for a file that is not valid, unless it belongs to another account.
    """
    file = folder / _FILE
    if not file.is_file():
        return {}
    status = file.stat()
    try:
        if status.st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        document = toml_text.loads(file.read_text(encoding="utf-8"))
    except (ValueError, PermissionError) as error:
        if not is_trusted_owner(status):
            return {}
        if isinstance(error, PermissionError):
            raise
        raise CatalogNotFound(f"{file} is not valid TOML: {error}. Correct the file.") from None
    tool = document.get("tool")
    declared = tool.get("nightferry", {}) if isinstance(tool, dict) else {}
    if not isinstance(declared, dict) or not all(isinstance(declared.get(key, ""), str) for key in KEYS):
        raise CatalogNotFound(
            f"{file}: [tool.nightferry] must be a table, and {' and '.join(KEYS)} texts. Write:\n\n"
            '    [tool.nightferry]\n    catalog = "package.module:name"'
        )
    return declared
