"""An environment: the configuration of one place, such as this machine, test, stage or production.

It is read from ``environments/NAME.toml``::

    backend = "local"                    # or "aws"
    production = false                   # true: the dashboard only reads, unless it is started with --actions

    [settings]                           # values for the settings that the catalog declares
    decrypt = true

    [settings.database]                  # settings in a table have dotted names: database.host
    host = "${service:database.host}"    # the address of a local service

    [engine]                             # local backend only: limits and retention, see environments.engine_settings
    concurrency = 8

    [costs]                              # prices of nightferry costs, see environments.cost_settings
    logs_gb = 0.5

    [notices.failures]                   # recipients of a topic's notices, see environments.recipients
    emails = ["on-call@example.gov"]

    [aws]                                # AWS backend only: existing resources, see environments.aws_settings
    account = "123456789012"

A setting that the file omits has its declared default. Unknown keys, missing settings and wrong types are
errors that name the file and the line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from nightferry.catalog.catalog import Catalog
from nightferry.environments import setting_checks, toml_text
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.cost_settings import CostSettings
from nightferry.environments.engine_settings import EngineSettings
from nightferry.environments.recipients import Recipients
from nightferry.environments.toml_text import NotToml
from nightferry.errors import EnvironmentFileError

FOLDER = "environments"
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "backend": "Where tasks run: local on this machine, aws on Fargate.",
        "production": "True if a mistake here affects the public. The dashboard then only reads, unless it is started "
        "with --actions.",
        "settings": "Values for the settings that the catalog declares. A setting without a default must be here.",
        "notices": "The recipients of notices, a table for each topic.",
        "engine": "Limits and retention of the local engine. Only for the local backend.",
        "costs": "Prices for nightferry costs that replace those of its table.",
        "aws": "Account, network and existing resources on AWS. Required for the backend aws, and ignored for local.",
    }
)
"""The keys and tables of the file, with their meaning."""
_BACKENDS = ("local", "aws")

_Settings = TypeVar("_Settings", bound=BaseModel)


@dataclass(frozen=True)
class Environment:
    """A validated environment; ``settings`` has a value for every setting that the catalog declares.

    Values may contain references to local services, but no other references.
    """

    name: str
    backend: Literal["local", "aws"]
    settings: Mapping[str, str]
    file: Path
    aws: AwsSettings | None = None
    text: str = field(default="", repr=False)
    engine: EngineSettings = field(default_factory=EngineSettings)
    notices: Mapping[str, Recipients] = field(default_factory=dict)
    """The recipients by topic. A topic that the file does not mention has none."""
    costs: CostSettings = field(default_factory=CostSettings)
    production: bool = False

    @property
    def kind(self) -> Literal["local", "shared", "production"]:
        """How careful people must be here: on this machine, in an environment on AWS, or in production."""
        return "production" if self.production else "local" if self.backend == "local" else "shared"

    def locate(self, *keys: str) -> str:
        """Return ``file:line`` of a key, or of the table that contains it, for messages."""
        return f"{self.file}:{toml_text.find_line(self.text, keys)}"


def load(name: str, catalog: Catalog, project: Path) -> Environment:
    """Read ``environments/NAME.toml`` of the project and check it against the catalog.

    Raises :class:`~nightferry.errors.EnvironmentFileError`.
    """
    file = project / FOLDER / f"{name}.toml"
    if not file.is_file():
        known = sorted(path.stem for path in (project / FOLDER).glob("*.toml"))
        raise EnvironmentFileError(
            f"Environment '{name}' not found: {FOLDER}/{name}.toml does not exist. "
            f"Available environments: {', '.join(known) or 'none'}. "
            f"To create it, run: nightferry new-environment {name}"
        )
    shown = Path(FOLDER) / file.name
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EnvironmentFileError(f"{shown} is not valid TOML: {error}. Store the file as UTF-8.") from None
    return parse(name, text, catalog, shown)


def parse(name: str, text: str, catalog: Catalog, file: Path) -> Environment:
    """Return the environment that ``text`` describes; ``file`` is for messages only. Raises EnvironmentFileError."""
    try:
        document = toml_text.loads(text)
    except NotToml as error:
        raise EnvironmentFileError(f"{file} is not valid TOML: {error}.") from None
    for key in document:
        if key not in KEYS:
            raise _make_error(
                file, text, (key,), f"unknown key '{key}'.{_suggest_key(key, KEYS)} Valid keys: {', '.join(KEYS)}."
            )
    backend = document.get("backend")
    if backend not in _BACKENDS:
        problem = "the key 'backend' is missing" if backend is None else f"backend = {backend!r} is not valid"
        raise _make_error(file, text, ("backend",), f"{problem}. Use one of {', '.join(map(repr, _BACKENDS))}.")
    production = document.get("production", False)
    if not isinstance(production, bool):
        raise _make_error(file, text, ("production",), f"production must be true or false, not {production!r}.")
    settings = {}
    for path, value in _iterate_values(document.get("settings", {})):
        key = ".".join(path)
        if key not in catalog.settings:
            hint = _suggest_key(key, catalog.settings)
            raise _make_error(file, text, ("settings", *path), f"the catalog declares no setting '{key}'.{hint}")
        if not isinstance(value, str | int | float):
            raise _make_error(
                file,
                text,
                ("settings", *path),
                f"setting '{key}' must be a string, a number, true or false, not {value!r}.",
            )
        settings[key] = str(value).lower() if isinstance(value, bool) else str(value)
    for setting in catalog.settings.values():
        if setting.name not in settings:
            if setting.default is None:
                raise _make_error(
                    file,
                    text,
                    ("settings",),
                    f"setting '{setting.name}' is missing and has no default. Add it under [settings].",
                )
            settings[setting.name] = setting.default
    for setting_name, problem in setting_checks.find_problems(catalog, settings, local=backend == "local"):
        raise _make_error(file, text, ("settings", *setting_name.split(".")), f"setting '{setting_name}': {problem}")
    aws = _parse_aws(document.get("aws"), catalog, file, text) if backend == "aws" else None
    engine = _parse_engine(document.get("engine", {}), backend, file, text)
    notices = _parse_notices(document.get("notices", {}), catalog, file, text)
    costs = _parse_table(CostSettings, "costs", document.get("costs", {}), file, text)
    return Environment(name, backend, settings, file, aws, text, engine, notices, costs, production)


def _parse_notices(table: Any, catalog: Catalog, file: Path, text: str) -> dict[str, Recipients]:
    """Return the recipients by topic. A message never repeats a value, which may be the URL of a webhook."""
    from pydantic import ValidationError

    found = {}
    tables = table if isinstance(table, dict) else {"": table}
    for topic, recipients in tables.items():
        path = ("notices", topic)
        if not isinstance(recipients, dict):
            raise _make_error(file, text, path, "[notices] has a table for each topic. Write [notices.TOPIC].")
        if topic not in catalog.topics:
            hint = _suggest_key(topic, catalog.topics) or f" Topics: {', '.join(catalog.topics) or 'none'}."
            raise _make_error(file, text, path, f"the catalog declares no topic '{topic}'.{hint}")
        try:
            found[topic] = Recipients.model_validate(recipients)
        except ValidationError as invalid:
            first = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
            keys = (*path, *(str(part) for part in first["loc"]))
            key, known = ".".join(keys), Recipients.model_fields
            problems = {
                "extra_forbidden": f"unknown key '{key}'.{_suggest_key(keys[2], known)} Keys: {', '.join(known)}.",
                "string_pattern_mismatch": f"'{key}' is not an e-mail address.",
            }
            message = problems.get(first["type"], f"'{key}': {first['msg'].removeprefix('Value error, ')}.")
            raise _make_error(file, text, keys[:3], message) from None
        if recipients == {}:
            raise _make_error(
                file, text, path, f"'notices.{topic}' has no recipients. Set emails, slack or teams, or remove it."
            )
    return found


def _parse_engine(table: Any, backend: str, file: Path, text: str) -> EngineSettings:
    if table and backend != "local":
        raise _make_error(
            file,
            text,
            ("engine",),
            "[engine] applies to the local backend only; remove it, because this environment is on AWS.",
        )
    return _parse_table(EngineSettings, "engine", table, file, text)


def _parse_table(model: type[_Settings], name: str, table: Any, file: Path, text: str) -> _Settings:
    """Return the settings of a table without tables in it."""
    from pydantic import ValidationError

    try:
        return model.model_validate(table)
    except ValidationError as invalid:
        first = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        key = ".".join((name, *(str(part) for part in first["loc"])))
        short = key.partition(".")[2]
        if first["type"] == "extra_forbidden":
            known = model.model_fields
            problem = f"unknown key '{key}'.{_suggest_key(short, known)} Keys of [{name}]: {', '.join(known)}."
        else:
            field = model.model_fields.get(short)
            meaning = "" if field is None else f" {field.description}"
            problem = f"'{key}' = {first['input']!r}: {first['msg']}.{meaning}"
        raise _make_error(file, text, (name, *(str(part) for part in first["loc"])), problem) from None


def _parse_aws(table: Any, catalog: Catalog, file: Path, text: str) -> AwsSettings:
    from pydantic import ValidationError

    if table is None:
        raise _make_error(
            file,
            text,
            (),
            "the table [aws] is missing. 'nightferry new-environment NAME' writes a file with all its keys.",
        )
    try:
        settings = AwsSettings.model_validate(table)
    except ValidationError as invalid:
        # A misspelled key is also reported as missing under its right name, so the misspelling comes first.
        first = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        path = tuple(str(part) for part in first["loc"])
        key = ".".join(("aws", *path))
        known = ", ".join(AwsSettings.model_fields)
        problems = {
            "extra_forbidden": f"unknown key '{key}'.{_suggest_key(path[-1], AwsSettings.model_fields)} Keys of [aws]: "
            + known
            if len(path) == 1
            else f"unknown key '{key}'.",
            "missing": f"'{key}' is missing.",
            "string_pattern_mismatch": f"'{key}' = {first['input']!r} is not valid. {_describe(path)}",
        }
        message = first["msg"].removeprefix("Value error, ")
        keys = ("aws", *(part for part in path if not part.isdigit()))
        raise _make_error(file, text, keys, problems.get(first["type"], f"'{key}': {message}.")) from None
    for severity, topic in settings.alarms.declared.items():
        if topic not in catalog.topics:
            hint = _suggest_key(topic, catalog.topics) or " Use the ARN of an existing topic."
            problem = f"'aws.alarms.{severity}': the catalog declares no topic '{topic}'.{hint}"
            raise _make_error(file, text, ("aws", "alarms", severity), problem)
    for group, operators in settings.operators.items():
        for kind, listed in (("task", operators.tasks), ("workflow", operators.workflows)):
            declared = {*(catalog.tasks if kind == "task" else catalog.workflows)}
            for unknown in [one for one in listed if one not in declared]:
                hint = _suggest_key(unknown, declared)
                problem = f"'aws.operators.{group}.{kind}s': the catalog declares no {kind} '{unknown}'.{hint}"
                raise _make_error(file, text, ("aws", "operators", group, f"{kind}s"), problem)
    return settings


def _describe(path: tuple[str, ...]) -> str:
    field = AwsSettings.model_fields.get(path[0])
    return f"{field.description}" if field is not None and (len(path) == 1 or path[-1].isdigit()) else ""


def _iterate_values(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _iterate_values(value, (*path, key))
        else:
            yield (*path, key), value


def _suggest_key(key: str, known: Any) -> str:
    match = difflib.get_close_matches(key, list(known), n=1)
    return f" Did you mean '{match[0]}'?" if match else ""


def _make_error(file: Path, text: str, path: tuple[str, ...], problem: str) -> EnvironmentFileError:
    return EnvironmentFileError(f"{file}:{toml_text.find_line(text, path)}: {problem}")
