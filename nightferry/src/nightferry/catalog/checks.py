"""What the catalogue checks when something is declared, apart from names and references.

The point of each check is that the mistake would otherwise show only after a deployment, at night.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args
from zoneinfo import ZoneInfo

from nightferry.catalog.references import references
from nightferry.contract import LEASE_IN_DATABASE, PARAMETER_PATH, SUPPLIED_VARIABLES, is_secret
from nightferry.errors import (
    InvalidMain,
    InvalidSchedule,
    InvalidSetting,
    MissingSetting,
    UnknownReference,
    UnknownSetting,
)

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter
    from pydantic.fields import FieldInfo

    from nightferry.catalog.declarations import Task

# Variables that any task may be given, whether or not its settings class names them: the job runtime reads them.
RUNTIME = frozenset(
    {
        "LOGGING_LEVEL",
        "NEW_RELIC_ACCOUNT_ID",
        "NEW_RELIC_APP_NAME",
        "NEW_RELIC_EVENTS_URL",
        "NEW_RELIC_INSERT_API_KEY",
        "NEW_RELIC_LICENSE_KEY",
    }
)


def check_variables(
    config: type[BaseModel], env: Mapping[str, str], secrets: Mapping[str, object], declaration: str, location: str
) -> None:
    """Hold what a task is given against its settings class.

    Raises MissingSetting, UnknownSetting or InvalidSetting.
    """
    fields = {name.upper(): field for name, field in config.model_fields.items()}
    given = {_find_setting(name, fields) for name in (*env, *secrets)}
    missing = [
        n for n, field in fields.items() if field.is_required() and n not in given and n not in SUPPLIED_VARIABLES
    ]
    if missing:
        raise MissingSetting(
            f"{config.__name__} requires {_list(missing)}. Add {'it' if len(missing) == 1 else 'them'} to env "
            "(or, for a secret, to secrets).",
            declaration=declaration,
            location=location,
        )
    for name in given if config.model_config.get("extra") != "allow" else ():
        if name not in fields and name not in SUPPLIED_VARIABLES and name not in RUNTIME:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {_list(sorted(fields))}."
            raise UnknownSetting(
                f"{config.__name__} has no setting {name}. {hint}", declaration=declaration, location=location
            )
    for name, value in env.items():
        if name in fields:
            _check_value(name, fields[name], value, declaration, location)


def _find_setting(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """The setting that a variable supplies: a secret may be given as the path of its parameter."""
    setting = name.removesuffix(PARAMETER_PATH)
    by_path = name not in fields and setting in fields and is_secret(fields[setting].annotation)
    return setting if by_path else name


def _check_value(name: str, field: FieldInfo, value: str, declaration: str, location: str) -> None:
    if is_secret(field.annotation):
        raise InvalidSetting(
            f"{name} is a secret and must not stand in env, where everybody who may see the task reads it. "
            "Move it to secrets.",
            declaration=declaration,
            location=location,
        )
    if references(value):
        return  # only an environment knows the value
    if reason := find_value_problem(field, value):
        raise InvalidSetting(f"{name} = {value!r}: {reason}.", declaration=declaration, location=location)


def find_value_problem(field: FieldInfo, value: str) -> str | None:
    """Why a settings class would refuse the value of one of its fields; None if it would not."""
    from pydantic import ValidationError

    if field.annotation is str and not field.metadata:
        return None
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        _adapter(annotation).validate_python(value)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return None


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """Made once for each type: making one takes longer than all that is done with it."""
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def find_override_problem(task: Task, known: Iterable[str], name: str, value: str) -> str | None:
    """What is wrong with a variable that somebody gives to one run of a task; None if nothing is.

    ``known`` are the variables that every task has. The value of a secret is not repeated.
    """
    fields = {field.upper(): declared for field, declared in task.config.model_fields.items()}
    if name in fields:
        field = fields[name]
        reason = None if is_secret(field.annotation) or value == "" else find_value_problem(field, value)
        return f"{name}={value}: {reason}." if reason else None
    if task.config.model_config.get("extra") == "allow":
        return None
    names = {*fields, *known, *task.env, *task.secrets}
    if name in names or name in SUPPLIED_VARIABLES or name in RUNTIME or _find_setting(name, fields) in fields:
        return None
    near = difflib.get_close_matches(name.upper(), names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"It has {_list(sorted(names))}."
    return f"{name}: task '{task.name}' has no such setting. {hint}"


def reject_main_options(command: object, config: object, declaration: str, location: str) -> None:
    """Check that a task with ``main`` has no second place for its command and settings; raises InvalidMain."""
    if command is not None or config is not None:
        raise InvalidMain(
            "main has its command and its settings class already. Leave command and config out, or main.",
            declaration=declaration,
            location=location,
        )


@cache
def get_permissive_settings() -> type[BaseModel]:
    """Return the settings class of a command without one: it takes any variable."""
    from pydantic import ConfigDict, create_model

    return create_model("AnySettings", __config__=ConfigDict(extra="allow"))


def check_choice(name: str, value: object, choices: Any, declaration: str, location: str) -> None:
    """Check that the argument ``name`` is one of the literal type ``choices``; raises InvalidSetting."""
    if value not in get_args(choices):
        raise InvalidSetting(
            f"{name} = {value!r} is not known. It is one of {_list(map(repr, get_args(choices)))}.",
            declaration=declaration,
            location=location,
        )


def check_time_limit(limit: timedelta, declaration: str, location: str) -> None:
    """Check that a task may run at all; raises InvalidSetting."""
    if limit < timedelta(seconds=1):
        raise InvalidSetting(
            f"time_limit = {limit} leaves no time to run. It is at least one second.",
            declaration=declaration,
            location=location,
        )


def check_expected_duration(duration: timedelta | None, limit: timedelta, declaration: str, location: str) -> None:
    """Check that a task usually takes a time within its limit; raises InvalidSetting."""
    if duration is not None and not timedelta() < duration <= limit:
        raise InvalidSetting(
            f"expected = {duration} is not within its time_limit of {limit}. Give how long a run usually takes.",
            declaration=declaration,
            location=location,
        )


def resolve_lease(
    config: type[BaseModel], overlap: str, folder: object | None, declaration: str, location: str
) -> object | None:
    """Where a task keeps its lease: in its database if its settings can connect to one, else in the folder."""
    if hasattr(config, "connect"):
        return LEASE_IN_DATABASE
    if folder is None and overlap != "allow":
        raise UnknownReference(
            f"overlap = {overlap!r} needs a place for a lease, and {config.__name__} has no database. "
            'Give the catalogue one: Catalog(…, leases=bucket / "leases").',
            declaration=declaration,
            location=location,
        )
    return folder


def check_schedule(expression: object, timezone: str, via: str, declaration: str, location: str) -> None:
    """Check the expression (of a setting, its default) and the time zone; raises InvalidSchedule."""
    from nightferry.schedules.expressions import InvalidExpression, parse

    text = getattr(expression, "default", expression)
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise InvalidSchedule(
            f"There is no time zone {timezone!r}. Use an IANA name such as 'America/New_York'.",
            declaration=declaration,
            location=location,
        ) from None
    if via == "rule" and timezone != "UTC":
        raise InvalidSchedule(
            f"A classic EventBridge rule knows only UTC, not {timezone}. Leave via out to use EventBridge Scheduler.",
            declaration=declaration,
            location=location,
        )
    if via == "rule" and isinstance(text, str) and text.startswith("at("):
        raise InvalidSchedule(
            "A classic EventBridge rule knows no at(…). Leave via out to use EventBridge Scheduler.",
            declaration=declaration,
            location=location,
        )
    if isinstance(text, str):
        try:
            parse(text)
        except InvalidExpression as error:
            raise InvalidSchedule(str(error), declaration=declaration, location=location) from None


def check_period(
    expression: object, start: datetime | None, end: datetime | None, via: str, declaration: str, location: str
) -> None:
    """Check a schedule's start and end as EventBridge Scheduler takes them; raises InvalidSchedule."""
    if start is None and end is None:
        return
    problem = None
    if via == "rule":
        problem = "A classic EventBridge rule knows no start and no end. Leave via out to use EventBridge Scheduler."
    elif str(getattr(expression, "default", expression)).startswith("at("):
        problem = "at(…) fires once, and EventBridge Scheduler ignores start and end with it. Leave them out."
    elif any(time is not None and time.tzinfo is None for time in (start, end)):
        problem = "start and end need a time zone: datetime(…, tzinfo=UTC)."
    elif start is not None and end is not None and end <= start:
        problem = "It ends before it starts."
    if problem:
        raise InvalidSchedule(problem, declaration=declaration, location=location)


def check_concurrency(limit: int | None, declaration: str, location: str) -> None:
    """Check how many of a task may run at once; raises InvalidSetting."""
    if limit is not None and limit < 1:
        raise InvalidSetting(
            f"concurrency = {limit}: one at least must be able to run. Leave it out for no limit.",
            declaration=declaration,
            location=location,
        )


class _Trigger(Protocol):
    @property
    def bucket(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def via(self) -> str: ...


def has_overlap(one: _Trigger, other: _Trigger) -> bool:
    """Whether S3 refuses both: an absent prefix or suffix overlaps everything (S3 guide, "Event notifications")."""
    if one.bucket != other.bucket or "eventbridge" in (one.via, other.via):
        return False
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return prefixes and suffixes


def get_summary(config: type[BaseModel]) -> str:
    """The first line of a settings class's docstring: what its job does."""
    document = inspect.getdoc(config) if config.__doc__ else None
    return (document or "").partition("\n")[0]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
