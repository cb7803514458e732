"""Checks of the values that a start of a task supplies: a schedule, a trigger, a step of a workflow, or a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nightferry.catalog import checks
from nightferry.catalog.references import find_references
from nightferry.contract import SCHEDULED_AT_VARIABLE, format_option, is_secret, parse_scheduled_time
from nightferry.errors import InvalidSetting, MissingSetting
from nightferry.overrides import (
    PERSONAL_VARIABLES,
    STARTER_VARIABLES,
    Arguments,
    find_argument_problem,
    find_variable_problems,
    is_protected,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from nightferry.catalog.declarations import Task


_WORD = re.compile(r"'((?:[^'\\]|\\.)*)'")  # a text in a call of an intrinsic function


# ── declarations ──────────────────────────────────────────────────────────────────────────────────────────────


def check_required_at_start(
    config: type[BaseModel],
    names: Sequence[str],
    supplied: Collection[str],
    declaration: str,
    location: str,
) -> None:
    """Check the variables that a task requires at its start. ``supplied`` are those that its declaration supplies.

    Raises InvalidSetting.
    """
    fields = {name.upper(): field for name, field in config.model_fields.items()}
    any_name = config.model_config.get("extra") == "allow"
    for name in names:
        problem = None
        if name not in fields and not any_name:
            problem = f"{config.__name__} has no such setting. It has {', '.join(sorted(fields)) or 'none'}."
        elif name in fields and is_secret(fields[name].annotation):
            problem = "a secret must not be part of a start, where it could be read. Add it to secrets instead."
        elif name in supplied:
            problem = "the task already supplies it. Remove it from env or secrets, or from required_at_start."
        if problem:
            raise InvalidSetting(f"required_at_start has {name}: {problem}", declaration=declaration, location=location)


def find_overridable(config: type[BaseModel], env: Mapping[str, str], listed: Iterable[str]) -> frozenset[str]:
    """Return the variables that a start may set: the ``listed`` ones and the settings that no environment fixes.

    ``env`` are the declared values. A constant is a default, but a reference is a decision of the environment. A class
    that accepts any variable has no settings, so that the constants take their place.
    """
    names = {name.upper() for name, field in config.model_fields.items() if not is_secret(field.annotation)}
    if config.model_config.get("extra") == "allow":
        names |= env.keys()
    return frozenset(listed) | {
        name for name in names if not is_protected(name) and not find_references(env.get(name, ""))
    }


def find_accepted_arguments(main: str | None, config: object, accepts: bool | None) -> Arguments:
    """Return the arguments that a start may add to the program of a task. ``accepts`` is its declaration, if any.

    A program with a settings class accepts its options by default.
    """
    if main is None and accepts:
        return "any"
    return "none" if accepts is False or config is None else "options"


def check_overridable(
    config: type[BaseModel], names: Iterable[str], secrets: Collection[str], declaration: str, location: str
) -> None:
    """Check the variables that a task lists in overridable or required_at_start. Raises InvalidSetting."""
    fields = {name.upper(): field for name, field in config.model_fields.items()}
    for name in names:
        problem = None
        if name in secrets or (name in fields and is_secret(fields[name].annotation)):
            problem = "a secret cannot be set at a start, where it could be read. Remove it."
        elif is_protected(name) and name not in PERSONAL_VARIABLES:
            problem = "no start may change where or how a job runs. Remove it, or give the setting another name."
        elif name not in {*fields, *PERSONAL_VARIABLES} and config.model_config.get("extra") != "allow":
            problem = f"{config.__name__} has no such setting. It has {', '.join(sorted(fields)) or 'none'}."
        if problem:
            raise InvalidSetting(f"overridable has {name}: {problem}", declaration=declaration, location=location)


def check_overrides(task: Task, names: Iterable[str], args: Iterable[object], declaration: str, location: str) -> None:
    """Check that a declared start sets only what its task allows. Raises InvalidSetting."""
    problem = next(find_variable_problems(task.name, task.overridable | STARTER_VARIABLES, names), None)
    problem = problem or find_argument_problem(task.name, task.args, task.overridable, args)
    if problem:
        raise InvalidSetting(problem, declaration=declaration, location=location)


def check_start(
    task: Task,
    env: Mapping[str, str],
    args: Iterable[object],
    supplied: Collection[str],
    declaration: str,
    location: str,
) -> None:
    """Check that a start with ``env`` and ``args`` supplies what the task requires, and only valid values.

    ``supplied`` are the variables that such a start always has. Raises MissingSetting, UnknownSetting, InvalidSetting.
    """
    args = tuple(args)
    missing = find_missing(task, {**env, **dict.fromkeys(supplied, "")}, args)
    if missing:
        raise MissingSetting(
            f"Task '{task.name}' ({task.declared_in}) requires {', '.join(missing)} at each start, and "
            f"{declaration} does not supply {'it' if len(missing) == 1 else 'them'}. Add a value to its env.",
            declaration=declaration,
            location=location,
        )
    overrides = {**task.env, **env}
    checks.check_variables(
        task.config, overrides, task.secrets, declaration, location, later=(*task.required_at_start, *supplied)
    )
    check_overrides(task, env, args, declaration, location)


def check_definition(
    definition: Mapping[str, Any], tasks: Mapping[str, Task], supplied: Collection[str], declaration: str, location: str
) -> None:
    """Check that each Task state of a definition supplies what its task requires, and sets only what it allows.

    Raises MissingSetting and InvalidSetting.

    A state whose variables or arguments are computed when the workflow runs is not checked, except for the arguments
    that are known. The container checks them.
    """
    for state, parameters in _find_task_starts(definition):
        name = str(parameters.get("TaskDefinition", "")).removeprefix("${task:").removesuffix("}")
        names, words = _read_override(parameters)
        if name not in tasks or names is None or words is None:
            continue
        check_overrides(tasks[name], names, words, f"{declaration}, state '{state}'", location)
        missing = find_missing(tasks[name], dict.fromkeys((*names, *supplied), ""), words)
        if missing:
            raise MissingSetting(
                f"Task '{name}' ({tasks[name].declared_in}) requires {', '.join(missing)} at each start, and state "
                f"'{state}' does not supply {'it' if len(missing) == 1 else 'them'}. Add a value to its env.",
                declaration=declaration,
                location=location,
            )


def find_missing(task: Task, env: Mapping[str, str], args: Iterable[object]) -> list[str]:
    """Return the variables that a task requires at its start and that neither ``env`` nor ``args`` supplies."""
    options = {word.partition("=")[0] for word in args if isinstance(word, str)}
    return [name for name in task.required_at_start if name not in env and format_option(name) not in options]


def _find_task_starts(value: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the parameters of each state that runs a task."""
    from nightferry.states.language.resources import RUN_TASK, RUN_TASK_ONLY

    if not isinstance(value, Mapping):
        return
    if value.get("Resource") in (RUN_TASK, RUN_TASK_ONLY):
        parameters = value.get("Parameters", value.get("Arguments"))
        if isinstance(parameters, Mapping):
            yield name, parameters
    for state, inner in (value.get("States") or {}).items():
        yield from _find_task_starts(inner, state)
    for inner in (value.get("ItemProcessor"), value.get("Iterator"), *(value.get("Branches") or ())):
        yield from _find_task_starts(inner, name)


def _read_override(parameters: Mapping[str, Any]) -> tuple[list[str] | None, list[str] | None]:
    """Return the names of the variables and the arguments of a start; None for what is computed."""
    override: Any = parameters
    for member in ("Overrides", "ContainerOverrides"):
        if f"{member}.$" in override or isinstance(override.get(member), str):
            return None, None
        override = override.get(member) or {}
    if isinstance(override, Sequence):
        override = next(iter(override), {})
    computed = not isinstance(override, Mapping) or any(
        f"{member}.$" in override or isinstance(override.get(member), str) for member in ("Environment", "Command")
    )
    if computed and not str(override.get("Command.$", "")).startswith("States.Array("):
        return None, None
    words = override.get("Command") or _WORD.findall(override.get("Command.$", ""))
    names = [str(item.get("Name")) for item in override.get("Environment") or () if isinstance(item, Mapping)]
    return names, [str(word) for word in words]


# ── values of one run ─────────────────────────────────────────────────────────────────────────────────────────


def find_value_problems(task: Task, env: Mapping[str, str]) -> list[str]:
    """Return the problems of the values that are set for one run of a task, as its settings class reports them.

    The validators of the class run too. Those of the whole class count only if they accept the declared values alone.
    """
    return [message for _, message in locate_value_problems(task, env)]


def locate_value_problems(task: Task, env: Mapping[str, str]) -> list[tuple[tuple[str, ...], str]]:
    """Return the problems of :func:`find_value_problems`, each with the variables that it is about."""
    problems: list[tuple[tuple[str, ...], str]] = []
    try:
        parse_scheduled_time(env.get(SCHEDULED_AT_VARIABLE))
    except ValueError:
        message = f"{SCHEDULED_AT_VARIABLE}: use a time with an offset, such as 2026-11-01T05:30:00Z."
        problems.append(((SCHEDULED_AT_VARIABLE,), message))
    fields = {name: field for name, field in task.config.model_fields.items() if not is_secret(field.annotation)}
    given = {name: env[name.upper()] for name in fields if env.get(name.upper())}
    if not given:
        return problems
    declared = {
        name: text
        for name in fields
        if name.upper() not in env and (text := task.env.get(name.upper())) and not find_references(text)
    }
    hidden = [text for name, text in given.items() if not fields[name].repr]
    found = [(name, _hide(message, hidden)) for name, message in _validate(task.config, {**declared, **given})]
    problems += [
        ((name.upper(),), f"{name.upper()}{f'={given[name]}' if fields[name].repr else ''}: {message}.")
        for name, message in found
        if name in given
    ]
    if not problems and (whole := [message for name, message in found if not name]):
        known = [message for name, message in _validate(task.config, declared) if not name]
        names = tuple(map(str.upper, given))
        problems += [(names, f"{', '.join(names)}: {message}.") for message in whole if message not in known]
    return problems


def _hide(message: str, texts: Iterable[str]) -> str:
    """Return a validator's message without the values of fields that are not shown, which it may quote."""
    for text in texts:
        message = message.replace(text, "[hidden]")
    return message


def _validate(config: type[BaseModel], texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the field (empty for the whole class) and the message of each error of a settings class."""
    from pydantic import ValidationError

    values, problems = _decode(config, texts)
    try:
        _make_isolated(config)(**values)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            message = one["msg"].removeprefix("Value error, ").rstrip(".")
            problems.append((str(one["loc"][0]) if one["loc"] else "", message))
    return problems


def _decode(config: type[BaseModel], texts: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the values of variables as the settings class reads them: lists and mappings are JSON."""
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

    if not issubclass(config, BaseSettings):
        return dict(texts), []
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, text in texts.items():
        source = EnvSettingsSource(config, case_sensitive=False)
        source.env_vars = {name.lower(): text}
        try:
            values |= source()
        except (SettingsError, RecursionError):
            problems.append((name, "use JSON, such as [1, 2]"))
    return values, problems


@cache
def _make_isolated(config: type[BaseModel]) -> type[BaseModel]:
    """Return the class without its sources, so that validation reads neither this process's variables nor AWS."""
    from pydantic_settings import BaseSettings

    if not issubclass(config, BaseSettings):
        return config

    def settings_customise_sources(_cls: Any, /, settings_cls: Any, init_settings: Any, **_: Any) -> tuple[Any, ...]:  # noqa: ARG001  # pydantic's signature
        return (init_settings,)

    members: dict[str, Any] = {
        "settings_customise_sources": classmethod(settings_customise_sources),
        "__module__": config.__module__,
        "__doc__": config.__doc__,
    }
    return type(config.__name__, (config,), members)
