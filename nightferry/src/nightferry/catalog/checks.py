"""Checks of the catalog's declarations, apart from names and references.

Each check finds a mistake that would otherwise appear only after a deployment, when the task starts.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args
from zoneinfo import ZoneInfo

from nightferry.arguments import describe
from nightferry.catalog.references import find_references
from nightferry.contract import (
    LEASE_IN_DATABASE,
    PARAMETER_PATH,
    RUN_OPTIONS,
    STARTED_VARIABLES,
    SUPPLIED_VARIABLES,
    format_option,
    is_secret,
)
from nightferry.errors import (
    InvalidArgument,
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
    from nightferry.states.builder import Retry

_MAX_RETRIES = 10
_MAX_RETRY_SECONDS = 86_400

# Variables that the job runtime reads: any task may have them, even if its settings class does not declare them.
RUNTIME: Mapping[str, str] = MappingProxyType(
    {
        "LOGGING_LEVEL": "Levels of the log: LEVEL for all loggers, or LOGGER=LEVEL,… for some. Default: INFO for the "
        "loggers of the job's package and of nightferry, WARNING for all others.",
        "NEW_RELIC_ACCOUNT_ID": "Number of the New Relic account that receives the custom events of jobs.",
        "NEW_RELIC_APP_NAME": "Name of the application in New Relic.",
        "NEW_RELIC_EVENTS_URL": "URL that receives custom events. Default: that of the account in the U.S. region.",
        "NEW_RELIC_LICENSE_KEY": "License key of New Relic, a secret. With it, each run is a transaction.",
        "NR_INSERT_API_KEY": "Key for the custom events of jobs, a secret. Without it, none are sent.",
    }
)


def check_variables(
    config: type[BaseModel],
    env: Mapping[str, str | None],
    secrets: Mapping[str, object],
    declaration: str,
    location: str,
    *,
    later: Iterable[str] = (),
) -> None:
    """Check a task's variables and secrets against its settings class.

    None is a value that a workflow supplies. The variables ``later`` may be missing.

    Raises MissingSetting, UnknownSetting or InvalidSetting.
    """
    fields = {name.upper(): field for name, field in config.model_fields.items()}
    given = {_find_setting(name, fields) for name in (*env, *secrets)}
    supplied = {*given, *later, *SUPPLIED_VARIABLES}
    missing = [name for name, field in fields.items() if field.is_required() and name not in supplied]
    if missing:
        raise MissingSetting(
            f"{config.__name__} requires {_join(missing)}. Add {'it' if len(missing) == 1 else 'them'} to env "
            "(or, for a secret, to secrets). A value that only a start has belongs in required_at_start.",
            declaration=declaration,
            location=location,
        )
    for name in given if config.model_config.get("extra") != "allow" else ():
        if name not in {*fields, *SUPPLIED_VARIABLES, *STARTED_VARIABLES, *RUNTIME}:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {_join(sorted(fields))}."
            raise UnknownSetting(
                f"{config.__name__} has no setting {name}. {hint}", declaration=declaration, location=location
            )
    for name, value in env.items():
        if name in fields:
            _check_value(name, fields[name], value, declaration, location)


def check_database_logins(
    config: type[BaseModel], secrets: Mapping[str, object], declaration: str, location: str
) -> None:
    """Check that settings with ``connect`` declare the users of the database. Raises InvalidSetting."""
    logins = getattr(config, "database_logins", None)
    problem = ""
    if logins is None and hasattr(config, "connect"):
        problem = (
            "has a method connect, but does not declare the database users. Add the setting of each user with the "
            'setting of its password: database_logins: ClassVar = {"db_username": "db_password"}'
        )
    for user, password in (logins or {}).items():
        if user not in config.model_fields or user.upper() in secrets:
            problem = (
                f"names {user!r} in database_logins, which is not a setting in env. Use the setting of a user name."
            )
        elif password not in config.model_fields or not is_secret(config.model_fields[password].annotation):
            problem = (
                f"names {password!r} in database_logins, which is not a setting of type SecretStr. Use a password."
            )
    if problem:
        raise InvalidSetting(f"{config.__name__} {problem}", declaration=declaration, location=location)


def find_pattern_problem(pattern: str) -> str | None:
    """Return why a grant's pattern of object keys would allow something else in a policy, or None if it would not."""
    if not isinstance(pattern, str):
        return 'which is not a text, as in "in/*".'
    if any(sign in pattern for sign in ("${", "&{", "%{")):
        # IAM's policy variables, and the same in Terraform, which writes &{ as ${; and Terraform's templates.
        return "which IAM or Terraform would replace with a variable. Use ? for the $, & or %."
    return None


def _find_setting(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the setting that a variable supplies. A secret may be supplied as the path of its parameter."""
    setting = name.removesuffix(PARAMETER_PATH)
    by_path = name not in fields and setting in fields and is_secret(fields[setting].annotation)
    return setting if by_path else name


def _check_value(name: str, field: FieldInfo, value: str | None, declaration: str, location: str) -> None:
    if is_secret(field.annotation):
        raise InvalidSetting(
            f"{name} is a secret and must not be in env, which everyone with access to the task definition can read. "
            "Move it to secrets.",
            declaration=declaration,
            location=location,
        )
    if value is None or find_references(value):
        return  # the value depends on the environment
    if reason := find_value_problem(field, value):
        raise InvalidSetting(f"{name} = {value!r}: {reason}.", declaration=declaration, location=location)


def find_value_problem(field: FieldInfo, value: str) -> str | None:
    """Return why a settings class would reject the value of a field, or None if the value is valid."""
    from pydantic import ValidationError

    if field.annotation is str and not field.metadata:
        return None
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    adapter = _get_adapter(annotation)
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        problem = error
    else:
        return None
    if value.startswith(("[", "{")):  # a list or a mapping, which a variable holds as JSON
        with suppress(ValueError, RecursionError):
            decoded = json.loads(value)
            try:
                adapter.validate_python(decoded)
            except ValidationError as error:
                problem = error
            else:
                return None
    return str(problem.errors()[0]["msg"])


@cache
def _get_adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return the type's adapter, cached because creating one takes longer than validating with it."""
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def find_name_problem(task: Task, known: Iterable[str], name: str) -> str | None:
    """Return why a variable cannot be set for one run of a task, or None. ``known`` are those that every task has."""
    fields = {field.upper(): declared for field, declared in task.config.model_fields.items()}
    if name in fields or task.config.model_config.get("extra") == "allow":
        return None
    names = {*fields, *known, *task.env, *task.secrets}
    supplied = {*SUPPLIED_VARIABLES, *STARTED_VARIABLES, *RUNTIME}
    if name in names or name in supplied or _find_setting(name, fields) in fields:
        return None
    near = difflib.get_close_matches(name.upper(), names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"It has {_join(sorted(names))}."
    return f"{name} is not a setting of task '{task.name}'. {hint}"


def check_option_names(config: type[BaseModel], declaration: str, location: str) -> None:
    """Check that no setting has the name of an option of ``nightferry run``. Raises InvalidSetting."""
    for name in config.model_fields:
        if name.lower() in RUN_OPTIONS:
            raise InvalidSetting(
                f"{config.__name__} has the setting {name}, but {format_option(name)} is an option of nightferry run. "
                "Rename the setting.",
                declaration=declaration,
                location=location,
            )


def reject_main_options(command: object, config: object, declaration: str, location: str) -> None:
    """Reject ``command`` and ``config`` of a task with ``main``. Raises InvalidMain."""
    if command is not None or config is not None:
        raise InvalidMain(
            "main already defines the command and the settings class. Remove command and config, or remove main.",
            declaration=declaration,
            location=location,
        )


@cache
def get_permissive_settings() -> type[BaseModel]:
    """Return a settings class that accepts any variable, for commands without a settings class."""
    from pydantic import ConfigDict, create_model

    return create_model("AnySettings", __config__=ConfigDict(extra="allow"))


def check_choice(name: str, value: object, choices: Any, declaration: str, location: str) -> None:
    """Check that the argument ``name`` is a value of the literal type ``choices``. Raises InvalidSetting."""
    if value not in get_args(choices):
        raise InvalidSetting(
            f"{name} = {value!r} is not valid. Use one of {_join(map(repr, get_args(choices)))}.",
            declaration=declaration,
            location=location,
        )


def check_time_limit(limit: timedelta, declaration: str, location: str) -> None:
    """Check that a time limit is at least one second. Raises InvalidSetting."""
    if limit < timedelta(seconds=1):
        raise InvalidSetting(
            f"time_limit = {limit} is too short. Use at least one second.",
            declaration=declaration,
            location=location,
        )


def check_expected_duration(duration: timedelta | None, limit: timedelta, declaration: str, location: str) -> None:
    """Check that the expected duration is positive and within the time limit. Raises InvalidSetting."""
    if duration is not None and not timedelta() < duration <= limit:
        raise InvalidSetting(
            f"expected = {duration} is not between 0 and the time_limit of {limit}. Use the usual duration of a run.",
            declaration=declaration,
            location=location,
        )


def resolve_lease(
    config: type[BaseModel], overlap: str, folder: object | None, declaration: str, location: str
) -> object | None:
    """Return where a task's lease is stored: in its database if its settings can connect to one, else in the folder.

    A task whose runs may overlap has no lease.
    """
    if overlap == "allow":
        return None
    if hasattr(config, "connect"):
        return LEASE_IN_DATABASE
    if folder is None:
        raise UnknownReference(
            f"overlap = {overlap!r} requires a location for the lease, but {config.__name__} has no database and the "
            'catalog has no lease folder. Add one: Catalog(…, leases=bucket / "leases").',
            declaration=declaration,
            location=location,
        )
    return folder


def check_schedule(expression: object, timezone: str, via: str, declaration: str, location: str) -> None:
    """Check a schedule's expression (a setting's default) and time zone. Raises InvalidSchedule."""
    from nightferry.schedules.expressions import InvalidExpression, parse

    text = getattr(expression, "default", expression)
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise InvalidSchedule(
            f"Time zone {timezone!r} not found. Use an IANA name such as 'America/New_York'.",
            declaration=declaration,
            location=location,
        ) from None
    if via == "rule" and timezone != "UTC":
        raise InvalidSchedule(
            f"A classic EventBridge rule supports only UTC, not {timezone}. Remove via to use EventBridge Scheduler.",
            declaration=declaration,
            location=location,
        )
    if via == "rule" and isinstance(text, str) and text.startswith("at("):
        raise InvalidSchedule(
            "A classic EventBridge rule does not support at(…). Remove via to use EventBridge Scheduler.",
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
    """Check that EventBridge Scheduler would accept a schedule's start and end. Raises InvalidSchedule."""
    if start is None and end is None:
        return
    problem = None
    if via == "rule":
        problem = "A classic EventBridge rule supports no start or end. Remove via to use EventBridge Scheduler."
    elif str(getattr(expression, "default", expression)).startswith("at("):
        problem = "at(…) fires once, and EventBridge Scheduler ignores its start and end. Remove them."
    elif any(time is not None and time.tzinfo is None for time in (start, end)):
        problem = "start and end need a time zone: datetime(…, tzinfo=UTC)."
    elif start is not None and end is not None and end <= start:
        problem = "end must be later than start."
    if problem:
        raise InvalidSchedule(problem, declaration=declaration, location=location)


def check_concurrency(limit: int | None, declaration: str, location: str) -> None:
    """Check a task's limit of simultaneous runs. Raises InvalidSetting."""
    if limit is not None and limit < 1:
        raise InvalidSetting(
            f"concurrency = {limit} is not valid. Use at least 1, or omit it for no limit.",
            declaration=declaration,
            location=location,
        )


def check_retry(retry: Retry | None, declaration: str, location: str) -> None:
    """Check a task's retry. Raises InvalidSetting."""
    if retry is None:
        return
    from nightferry.states.builder import Retry

    problem = None
    if not isinstance(retry, Retry):
        raise InvalidArgument(
            f"It has retry={describe(retry)}. Use Retry(attempts=…).", declaration=declaration, location=location
        )
    if not 1 <= retry.attempts <= _MAX_RETRIES:
        problem = f"attempts = {retry.attempts} is not between 1 and {_MAX_RETRIES}"
    elif retry.interval < 1:
        problem = f"interval = {retry.interval} is not at least 1 second"
    elif retry.backoff < 1:
        problem = f"backoff = {retry.backoff} is not at least 1"
    elif retry.interval * retry.backoff ** (retry.attempts - 1) > _MAX_RETRY_SECONDS:
        problem = "the last delay exceeds a day; use fewer attempts, a shorter interval or a smaller backoff"
    elif retry.errors != type(retry)().errors:
        problem = "errors apply to a step of a workflow only; remove them"
    if problem:
        raise InvalidSetting(f"retry: {problem}.", declaration=declaration, location=location)


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
    """Return True if S3 would reject both triggers (S3 guide, "Event notifications"); an empty prefix matches all."""
    if one.bucket != other.bucket or "eventbridge" in (one.via, other.via):
        return False
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return prefixes and suffixes


def fires_for_folder(trigger: _Trigger, bucket: str, folder: str, suffix: str) -> bool:
    """Return True if a trigger fires for objects in a folder of a bucket, whose keys end with ``suffix``."""
    path = f"{folder.strip('/')}/".lstrip("/")
    prefixes = path.startswith(trigger.prefix) or trigger.prefix.startswith(path)
    suffixes = suffix.endswith(trigger.suffix) or trigger.suffix.endswith(suffix)
    return trigger.bucket == bucket and prefixes and suffixes


def get_summary(config: type[BaseModel]) -> str:
    """Return the first line of a settings class's docstring, which describes the job."""
    document = inspect.getdoc(config) if config.__doc__ else None
    return (document or "").partition("\n")[0]


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
