"""A job's command line, derived from its settings class: an option for each setting that is not a secret."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from nightferry.contract import PARAMETER_PATH, is_secret
from nightferry.errors import NightferryError
from nightferry.job.errors import BadSettings
from nightferry.job.redaction import redact, redactor
from nightferry.job.redaction.personal import MASK
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
    except (SettingsError, NightferryError) as error:
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
            lines.append(f"  {format_option(name)}={_describe_placeholder(field)}, {variable}")
        text = (field.description or "").rstrip(".")
        lines += textwrap.wrap(
            f"{text} ({_describe_default(field)})", _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    lines += ["", "Exit codes: 0 success, 1 failure, 2 invalid settings, 124 time limit, 143 stopped."]
    return "\n".join(lines)


def format_option(name: str) -> str:
    """Return the option of a field, such as ``--process-id`` for ``process_id``."""
    return f"--{name.replace('_', '-')}"


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
        except ValueError:
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


def _describe_placeholder(field: FieldInfo) -> str:
    annotation = field.annotation
    kinds = [kind for kind in (annotation, *get_args(annotation)) if kind is not type(None)]
    if bool in kinds:
        return "true|false"
    if all(isinstance(kind, str) for kind in kinds[1:]) and len(kinds) > 1:
        return "|".join(str(kind) for kind in kinds[1:])
    if int in kinds or float in kinds:
        return "NUMBER"
    return "TEXT"


def _describe_default(field: FieldInfo) -> str:
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
    return f"default: {default}"
