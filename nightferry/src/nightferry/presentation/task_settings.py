"""The settings of a task as a person sees them: their form, their values, and which of them a start may change.

The options and the help of ``nightferry run``, and the form of the dashboard, are made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.checks import RUNTIME
from nightferry.catalog.declarations import Secret, Task
from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.contract import PARAMETER_PATH, SCHEDULED_AT_VARIABLE, format_option, is_secret
from nightferry.environments.environment import Environment
from nightferry.job.command_line import describe_default, describe_type, list_choices
from nightferry.overrides import PERSONAL_VARIABLES

SWITCH = "true|false"
"""The form of a setting that is true or false."""

Origin = Literal["start", "environment", "catalog", "class"]
"""What decides the value of a setting: each start, the environment, the catalog, or the default of the class."""


@dataclass(frozen=True)
class TaskSetting:
    """A setting of a task: a field of its settings class, a variable that the catalog declares, or a secret.

    Attributes:
        variable: the name of its environment variable.
        form: the form of its values, as :func:`nightferry.job.command_line.describe_type` returns it.
        choices: its only values, if the class lists them.
        description: what the class says about it, without a period at the end.
        limits: the constraints of the class in words.
        declared: the value that the catalog declares, which may contain references; None without one.
        default: the default of the class in words, such as ``default: 3``.
        required: True if each start must supply it.
        overridable: True if a start may set it.
        shown: False if its value must not be shown (``repr=False``).
        secret: the declared secret that supplies it.
        is_secret: True if it is a secret, declared or not. No start can set it.
    """

    variable: str
    form: str = "TEXT"
    choices: tuple[str, ...] = ()
    description: str = ""
    limits: tuple[str, ...] = ()
    declared: str | None = None
    default: str = "default: none"
    required: bool = False
    overridable: bool = False
    shown: bool = True
    secret: Secret | None = None
    is_secret: bool = False

    @property
    def option(self) -> str:
        """Return the option of the setting."""
        return format_option(self.variable)

    @property
    def origin(self) -> Origin:
        """Return what decides its value."""
        if self.required:
            return "start"
        if self.declared is None:
            return "class"
        fixed = any(reference.kind == "setting" for reference in find_references(self.declared))
        return "environment" if fixed else "catalog"

    def resolve(self, environment: Environment) -> str | None:
        """Return the declared value in an environment. References to its resources stay."""
        if self.declared is None:
            return None

        def resolve(reference: Reference) -> str:
            return environment.settings[reference.name] if reference.kind == "setting" else str(reference)

        return str(substitute(self.declared, resolve))


def list_settings(catalog: Catalog, task: Task) -> list[TaskSetting]:
    """Return the settings of a task, in the order of its class, and its secrets at the end."""
    fields = {name.upper(): field for name, field in task.config.model_fields.items()}
    secrets = {**catalog.secrets, **task.secrets}
    declared = {**catalog.env, **task.env}
    names = dict.fromkeys((*fields, *declared, *task.required_at_start, SCHEDULED_AT_VARIABLE))
    settings = [_describe(task, name, fields.get(name), declared.get(name)) for name in names if name not in secrets]
    return settings + [
        TaskSetting(name, description=_read_description(name, fields.get(name)), secret=secret, is_secret=True)
        for name, secret in secrets.items()
    ]


def _describe(task: Task, name: str, field: FieldInfo | None, declared: str | None) -> TaskSetting:
    common: dict[str, Any] = {"variable": name, "description": _read_description(name, field), "declared": declared}
    if field is not None and is_secret(field.annotation):
        return TaskSetting(**common, is_secret=True)
    if name == SCHEDULED_AT_VARIABLE and field is None:
        text = "The time for which the run counts as scheduled, with an offset: 2026-11-01T05:30:00Z"
        common |= {"description": text, "form": "TIME"}
    elif field is not None:
        common |= {
            "form": describe_type(field),
            "choices": tuple(list_choices(field)),
            "limits": tuple(describe_limits(field)),
            "default": describe_default(field),
            "shown": field.repr is not False,
        }
    return TaskSetting(
        **common,
        required=name in task.required_at_start,
        overridable=name in task.overridable | PERSONAL_VARIABLES and not name.endswith(PARAMETER_PATH),
    )


def _read_description(name: str, field: FieldInfo | None) -> str:
    """Return what the class says about a variable, or what the runtime reads it for."""
    return ((field.description if field else None) or RUNTIME.get(name, "")).rstrip(".")


def describe_limits(field: FieldInfo) -> Iterator[str]:
    """Yield the constraints of a field in words. Others are reported when a value violates them."""
    words: Mapping[str, str] = {
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
                yield "not empty" if (name, limit) == ("min_length", 1) else text.format(limit)
