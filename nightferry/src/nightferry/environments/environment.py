"""An environment: what differs between this machine, test, stage and production.

``environments/NAME.toml`` holds it::

    backend = "local"                    # or "aws"

    [settings]                           # values for the settings that the catalogue declares
    decrypt = true

    [settings.database]                  # a table's settings are named with dots: database.host
    host = "${service:database.host}"    # the address of a local service

    [engine]                             # of a local one: limits and retention, see environments.engine_settings
    concurrency = 8

    [aws]                                # of an environment on AWS: what exists there, see environments.aws_settings
    account = "123456789012"

A setting that the file leaves out has its declared default. Unknown keys, missing settings and wrong types are
errors that name the file and the line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nightferry.catalog.catalog import Catalog
from nightferry.environments import setting_checks
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.engine_settings import EngineSettings
from nightferry.errors import EnvironmentFileError

FOLDER = "environments"
_KEYS = ("backend", "settings", "engine", "aws")
_BACKENDS = ("local", "aws")


@dataclass(frozen=True)
class Environment:
    """A validated environment; ``settings`` has a value for every setting that the catalogue declares.

    Values may hold references to local services; nothing else.
    """

    name: str
    backend: Literal["local", "aws"]
    settings: Mapping[str, str]
    file: Path
    aws: AwsSettings | None = None
    text: str = field(default="", repr=False)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def locate(self, *keys: str) -> str:
        """``file:line`` of a key, or of the table around it, for messages."""
        return f"{self.file}:{_line(self.text, keys)}"


def load(name: str, catalog: Catalog, project: Path) -> Environment:
    """Read ``environments/NAME.toml`` of the project and hold it against the catalogue.

    Raises :class:`~nightferry.errors.EnvironmentFileError`.
    """
    file = project / FOLDER / f"{name}.toml"
    if not file.is_file():
        known = sorted(path.stem for path in (project / FOLDER).glob("*.toml"))
        raise EnvironmentFileError(
            f"There is no environment '{name}': {FOLDER}/{name}.toml does not exist. "
            f"There are: {', '.join(known) or 'none'}."
        )
    return parse(name, file.read_text(encoding="utf-8"), catalog, Path(FOLDER) / f"{name}.toml")


def parse(name: str, text: str, catalog: Catalog, file: Path) -> Environment:
    """The environment that ``text`` describes; ``file`` is only for messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFileError(f"{file} is not valid TOML: {error}.") from None
    for key in document:
        if key not in _KEYS:
            raise _error(file, text, (key,), f"unknown key '{key}'.{_near(key, _KEYS)} It may hold {', '.join(_KEYS)}.")
    backend = document.get("backend")
    if backend not in _BACKENDS:
        problem = "the key 'backend' is missing" if backend is None else f"backend = {backend!r} is not known"
        raise _error(file, text, ("backend",), f"{problem}. It is one of {', '.join(map(repr, _BACKENDS))}.")
    settings = {}
    for path, value in _leaves(document.get("settings", {})):
        key = ".".join(path)
        if key not in catalog.settings:
            near = _near(key, catalog.settings)
            raise _error(file, text, ("settings", *path), f"the catalogue declares no setting '{key}'.{near}")
        if not isinstance(value, str | int | float):
            raise _error(
                file,
                text,
                ("settings", *path),
                f"setting '{key}' must be text, a number, true or false, not {value!r}.",
            )
        settings[key] = str(value).lower() if isinstance(value, bool) else str(value)
    for setting in catalog.settings.values():
        if setting.name not in settings:
            if setting.default is None:
                raise _error(
                    file,
                    text,
                    ("settings",),
                    f"setting '{setting.name}' is missing and has no default. Add it below [settings].",
                )
            settings[setting.name] = setting.default
    for name_of, problem in setting_checks.find_problems(catalog, settings, local=backend == "local"):
        raise _error(file, text, ("settings", *name_of.split(".")), f"setting '{name_of}', {problem}")
    aws = _aws_settings(document.get("aws"), file, text) if backend == "aws" else None
    engine = _engine(document.get("engine", {}), backend, file, text)
    return Environment(name, backend, settings, file, aws, text, engine)


def _engine(table: Any, backend: str, file: Path, text: str) -> EngineSettings:
    from pydantic import ValidationError

    if table and backend != "local":
        raise _error(file, text, ("engine",), "[engine] is of the embedded engine; this environment is on AWS.")
    try:
        return EngineSettings.model_validate(table)
    except ValidationError as invalid:
        first = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        key = ".".join(("engine", *(str(part) for part in first["loc"])))
        if first["type"] == "extra_forbidden":
            known = EngineSettings.model_fields
            problem = f"unknown key '{key}'.{_near(key[7:], known)} [engine] knows {', '.join(known)}."
        else:
            field = EngineSettings.model_fields.get(key[7:])
            meaning = "" if field is None else f" {field.description}"
            problem = f"'{key}' = {first['input']!r}: {first['msg']}.{meaning}"
        raise _error(file, text, ("engine", *(str(part) for part in first["loc"])), problem) from None


def _aws_settings(table: Any, file: Path, text: str) -> AwsSettings:
    from pydantic import ValidationError

    if table is None:
        raise _error(file, text, (), "the table [aws] is missing; docs/creating-environments.md describes it.")
    try:
        return AwsSettings.model_validate(table)
    except ValidationError as invalid:
        # A misspelt key is missing under its right name too: tell of the misspelling.
        first = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        path = tuple(str(part) for part in first["loc"])
        key = ".".join(("aws", *path))
        known = ", ".join(AwsSettings.model_fields) if first["type"] == "extra_forbidden" else ""
        problems = {
            "extra_forbidden": f"unknown key '{key}'.{_near(path[-1], AwsSettings.model_fields)} [aws] knows {known}."
            if len(path) == 1
            else f"unknown key '{key}'.",
            "missing": f"'{key}' is missing.",
            "string_pattern_mismatch": f"'{key}' = {first['input']!r} cannot be right. {_described(path)}",
        }
        message = first["msg"].removeprefix("Value error, ")
        keys = ("aws", *(part for part in path if not part.isdigit()))
        raise _error(file, text, keys, problems.get(first["type"], f"'{key}': {message}.")) from None


def _described(path: tuple[str, ...]) -> str:
    field = AwsSettings.model_fields.get(path[0])
    return f"{field.description}" if field is not None and (len(path) == 1 or path[-1].isdigit()) else ""


def _leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _near(key: str, known: Any) -> str:
    match = difflib.get_close_matches(key, list(known), n=1)
    return f" Did you mean '{match[0]}'?" if match else ""


def _error(file: Path, text: str, path: tuple[str, ...], problem: str) -> EnvironmentFileError:
    return EnvironmentFileError(f"{file}:{_line(text, path)}: {problem}")


def _line(text: str, path: tuple[str, ...]) -> int:
    """The line that sets the key ``path``, or the header of a table of that name or around it, or 1.

    tomllib does not tell positions.
    """
    found, below = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if path[: len(table)] == table:
                found = number
            elif path and table[: len(path)] == path:
                below = below or number
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            here = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            if here == path:
                return number
    return below or found
