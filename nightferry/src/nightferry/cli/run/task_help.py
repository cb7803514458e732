"""The help of a task's settings: types, defaults, the environments that supply them, and how to set secrets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from nightferry.catalog.declarations import Task
from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.catalog.secret_users import format_set_command
from nightferry.contract import SCHEDULED_AT_VARIABLE, format_option, is_secret
from nightferry.environments.environment import FOLDER, Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.job.command_line import describe_default, describe_type

_WIDTH = 100


def format_task_help(project: Project, task: Task) -> str:
    """Return the page about the settings of a task."""
    fields = {name.upper(): field for name, field in task.config.model_fields.items()}
    secrets = {**project.catalog.secrets, **task.secrets}
    declared = {**project.catalog.env, **task.env}
    shown = [name for name in dict.fromkeys((*fields, *declared, *task.required_at_start)) if name not in secrets]
    environments = _read_environments(project)
    lines = [f"Settings of {task.name}, as options, or as variables with -e:", ""]
    for name in shown:
        field = fields.get(name)
        if field is not None and is_secret(field.annotation):
            lines += _describe(f"{name} (secret, no option)", _describe_secret(field, None))
            continue
        kind = "TEXT" if field is None else describe_type(field)
        about = list(_describe_setting(name, field, task, declared.get(name), environments))
        lines += _describe(f"{format_option(name)}={kind}", about)
    if SCHEDULED_AT_VARIABLE not in fields:
        text = "The time for which the run counts as scheduled, with an offset: 2026-11-01T05:30:00Z."
        lines += _describe(f"{format_option(SCHEDULED_AT_VARIABLE)}=TIME", [text, "Default: none."])
    for name, secret in secrets.items():
        lines += _describe(f"{name} (secret, no option)", _describe_secret(fields.get(name), secret.name))
    return "\n".join(lines)


def _describe(title: str, sentences: list[str]) -> list[str]:
    text = " ".join(filter(None, sentences))
    return [f"  {title}", *textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def _describe_setting(
    name: str, field: FieldInfo | None, task: Task, value: str | None, environments: Mapping[str, Environment]
) -> Iterator[str]:
    yield _end_sentence((field.description if field else None) or "")
    if field is not None and field.metadata:
        yield _end_sentence(", ".join(_describe_limits(field)).capitalize())
    if name in task.required_at_start:
        yield "Required at each start."
    elif value is None:
        default = describe_default(field) if field else "default: none"
        yield _end_sentence(default[:1].upper() + default[1:])
    elif not any(reference.kind == "setting" for reference in find_references(value)):
        yield f"Set by the catalog: {value}."
    else:
        found = {env: _resolve(value, environment) for env, environment in environments.items()}
        yield f"Set by the environments: {', '.join(f'{text} ({env})' for env, text in found.items())}."


def _describe_limits(field: FieldInfo) -> Iterator[str]:
    """Yield the constraints of a field in words. Others are reported when a value violates them."""
    words = {
        "ge": "at least {}",
        "gt": "more than {}",
        "le": "at most {}",
        "lt": "less than {}",
        "multiple_of": "a multiple of {}",
        "min_length": "at least {} characters or items",
        "max_length": "at most {} characters or items",
        "pattern": "of the form {}",
    }
    for constraint in field.metadata:
        for name, text in words.items():
            if (limit := getattr(constraint, name, None)) is not None:
                yield text.format(limit)


def _describe_secret(field: FieldInfo | None, name: str | None) -> list[str]:
    text = _end_sentence((field.description if field else None) or "")
    if name is None:
        return [text, "Not declared in the task's secrets, so it is never set."]
    return [text, f"Set it with: {format_set_command(name)}; on AWS, add --env ENV."]


def _end_sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""


def _resolve(value: str, environment: Environment) -> str:
    """Return the value in an environment. References to its resources stay."""

    def resolve(reference: Reference) -> str:
        return environment.settings[reference.name] if reference.kind == "setting" else str(reference)

    return str(substitute(value, resolve))


def _read_environments(project: Project) -> dict[str, Environment]:
    """Return the environments of the project. One whose file is invalid is left out: its own commands report it."""
    found = {}
    for file in sorted((project.root / FOLDER).glob("*.toml")):
        try:
            found[file.stem] = project.environment(file.stem)
        except NightferryError:
            continue
    return found
