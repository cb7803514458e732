"""A job's command line, derived from its settings class: an option for each setting that is not a secret."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from pydantic_settings import SettingsError

from nightferry.contract import PARAMETER_PATH, format_option, is_secret
from nightferry.errors import NightferryError
from nightferry.job.errors import BadSettings
from nightferry.job.redaction import MASK, redact, redactor
from nightferry.job.settings import JobSettings, is_secret_field

Settings = TypeVar("Settings", bound=JobSettings)

_WIDTH = 100


def load_settings(task: str, settings: type[Settings], arguments: Sequence[str]) -> Settings:
    """Return the settings; arguments take precedence over the environment, and it over the parameter store.

    Raises:
        BadSettings: Settings are missing or invalid. The message lists all of them.
    """
    given = _parse(task, settings, arguments)
    try:
        return settings(**given)
    except ValidationError as error:
        found = error.errors(include_url=False)
        redactor.add_secrets(secret for problem in found for secret in _list_refused_secrets(settings, problem))
        problems = [_describe_problem(settings, given, problem) for problem in found]
        raise BadSettings(task, problems) from None
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))  # pydantic-settings has the name only in its message
        problem = f"{name[1].upper()} is invalid: use JSON, such as [1, 2]" if name else redact(str(error))
        raise BadSettings(task, [problem]) from None
    except RecursionError:
        raise BadSettings(task, ["a value is nested too deeply"]) from None
    except NightferryError as error:
        raise BadSettings(task, [redact(str(error))]) from None


def format_help(task: str, settings: type[JobSettings], description: str) -> str:
    """Return the help page: each setting with its option, variable, default and description."""
    lines = [f"Usage: {task} [--OPTION=VALUE …]", ""]
    if description:
        lines += [*textwrap.wrap(description, _WIDTH), ""]
    lines += ["Settings, as options or as environment variables:", ""]
    for name, field in settings.model_fields.items():
        variable = name.upper()
        if is_secret(field.annotation):
            lines.append(f"  {variable} or {variable}{PARAMETER_PATH} (secret, no option)")
        else:
            lines.append(f"  {format_option(name)}={describe_type(field)}, {variable}")
        text = (field.description or "").rstrip(".")
        lines += textwrap.wrap(
            f"{text} ({describe_default(field)})", _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    lines += ["", "Exit codes: 0 success, 1 failure, 2 invalid settings, 124 time limit, 143 stopped."]
    return "\n".join(lines)


def mask_arguments(settings: type[JobSettings], arguments: Sequence[str]) -> list[str]:
    """Return the arguments for the log, with the values of fields declared with ``repr=False`` masked."""
    hidden = {format_option(name) for name, field in settings.model_fields.items() if not field.repr}
    masked, mask_next = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        masked.append(MASK if mask_next else f"{name}={MASK}" if equals and name in hidden else argument)
        mask_next = not mask_next and argument in hidden
    return masked


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSettings(self.prog, [redact(message), f"run '{self.prog} --help' to list the options"])


def _parse(task: str, settings: type[JobSettings], arguments: Sequence[str]) -> dict[str, Any]:
    parser = _Parser(prog=task, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name, field in settings.model_fields.items():
        if not is_secret(field.annotation):
            is_switch = bool in (field.annotation, *get_args(field.annotation))
            if is_switch:
                parser.add_argument(format_option(name), dest=name, nargs="?", const="true")
            else:
                parser.add_argument(format_option(name), dest=name)
    given = vars(parser.parse_args(list(arguments)))
    return {name: _decode_value(text) for name, text in given.items() if text != ""}


def _decode_value(text: str) -> Any:
    """Return a list or mapping given as JSON, as environment variables hold them, or else the text itself."""
    if text.startswith(("[", "{")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _list_refused_secrets(settings: type[JobSettings], problem: Any) -> list[str]:
    """Return the secrets that a validator refused, which its message may quote."""
    given, location = problem["input"], problem["loc"]
    values = given if isinstance(given, Mapping) else {str(location[0]): given} if location else {}
    return [str(value) for name, value in values.items() if is_secret_field(settings, str(name)) and value]


def _describe_problem(settings: type[JobSettings], given: dict[str, Any], problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    field = settings.model_fields.get(name)
    message = redact(problem["msg"].removeprefix("Value error, ").rstrip("."))
    if field is None:
        return message
    variable = format_option(name) if name in given else name.upper()
    if problem["type"] == "missing":
        other = f" (or {variable}{PARAMETER_PATH})" if is_secret(field.annotation) else ""
        return f"{variable}{other} is not set: {(field.description or '').rstrip('.')}"
    return f"{variable} is invalid: {message}"


def describe_type(field: FieldInfo) -> str:
    """Return the form of a setting's values: choices, or a word such as ``NUMBER``."""
    kinds = _list_types(field.annotation)
    if bool in kinds:
        return "true|false"
    if choices := list_choices(field):
        return "|".join(choices)
    if any(isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)) for kind in kinds):
        return "JSON"
    return next((word for types, word in _WORDS if not types.isdisjoint(kinds)), "TEXT")


def list_choices(field: FieldInfo) -> list[str]:
    """Return the only values of a setting, or an empty list if others are possible."""
    kinds = _list_types(field.annotation)
    choices = [kind for kind in kinds if isinstance(kind, str)]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Enum):
            choices += [str(member.value) for member in kind]
    return choices


_WORDS: Sequence[tuple[set[Any], str]] = (
    ({int, float, Decimal}, "NUMBER"),
    ({datetime}, "TIME"),
    ({date}, "YYYY-MM-DD"),
    ({timedelta}, "HH:MM:SS"),
    ({list, tuple, set, frozenset, dict, Sequence, Mapping}, "JSON"),
    ({Path}, "PATH"),
)


def _list_types(annotation: Any) -> list[Any]:
    """Return the types and literals of an annotation. ``list[int]`` is only a list."""
    origin = get_origin(annotation)
    if origin in (Annotated, Literal, Union, UnionType):
        parts = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
        return [kind for part in parts for kind in _list_types(part)]
    return [] if annotation is type(None) else [origin or annotation]


def describe_default(field: FieldInfo) -> str:
    """Return the default of a setting as text, or that the setting is required."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=False)
    match default:
        case None:
            return "default: none" if "default:" not in (field.description or "") else "optional"
        case bool():
            return f"default: {str(default).lower()}"
        case "":
            return "default: empty"
    return f"default: {_format_value(default)}"


def _format_value(value: Any) -> str:
    """Return a value in the form in which a variable has it."""
    if isinstance(value, str):
        return value
    text = to_json(value, fallback=str).decode()
    return text if isinstance(value, Sequence | Mapping | Set | BaseModel) or is_dataclass(value) else text.strip('"')
