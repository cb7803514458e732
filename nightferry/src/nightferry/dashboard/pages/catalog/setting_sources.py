"""The settings of a task in an environment, and the place from which each value comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.contract import ENVIRONMENT_VARIABLE, PARAMETER_PATH, is_secret
from nightferry.environments import toml_text
from nightferry.environments.environment import Environment


@dataclass(frozen=True)
class SettingValue:
    """A variable of a task. ``value`` is None if it is a secret, or if each start supplies it."""

    variable: str
    value: str | None
    source: str
    description: str = ""


def list_setting_values(catalog: Catalog, environment: Environment, task: Task) -> list[SettingValue]:
    """Return the settings of a task in the order of its class, then its other variables.

    References to buckets and services stay as they are. The values of secrets are not read.
    """
    found = dict(_iterate_given(catalog, environment, task))
    listed = []
    for name, field in task.config.model_fields.items():
        variable = name.upper()
        value, source = found.pop(variable, (None, ""))
        if not source:
            path = found.pop(f"{variable}{PARAMETER_PATH}", None)
            value, source = (None, f"the parameter {path[0]}") if path else _find_default(variable, field, task)
        elif is_secret(field.annotation):
            value = None
        listed.append(SettingValue(variable, value, source, (field.description or "").strip()))
    return [*listed, *(SettingValue(variable, *given) for variable, given in sorted(found.items()))]


def _iterate_given(
    catalog: Catalog, environment: Environment, task: Task
) -> Iterator[tuple[str, tuple[str | None, str]]]:
    """Yield the variables that the declarations give to the task. Later ones replace earlier ones."""
    written = _list_written(environment)
    yield ENVIRONMENT_VARIABLE, (environment.name, "the environment's name")
    for variables, where in ((catalog.env, "the catalog"), (task.env, task.declared_in)):
        for variable, text in variables.items():
            value = substitute(text, lambda reference: _resolve(reference, environment))
            sources = [
                _locate(reference.name, environment, written)
                for reference in sorted(find_references(text), key=str)
                if reference.kind == "setting"
            ]
            yield variable, (str(value), ", ".join(sources) or where)
    for variable, secret in {**catalog.secrets, **task.secrets}.items():
        yield variable, (None, f"secret {secret.name}")


def _resolve(reference: Reference, environment: Environment) -> str:
    return environment.settings[reference.name] if reference.kind == "setting" else str(reference)


def _locate(setting: str, environment: Environment, written: Mapping[str, Any]) -> str:
    """Return the file and line of a setting, or that its default applies."""
    found: Any = written
    for part in setting.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return f"default of setting {setting}"
    return f"setting {setting}, {environment.locate('settings', *setting.split('.'))}"


def _list_written(environment: Environment) -> Mapping[str, Any]:
    settings = toml_text.loads(environment.text).get("settings", {})
    return settings if isinstance(settings, Mapping) else {}


def _find_default(variable: str, field: Any, task: Task) -> tuple[str | None, str]:
    if variable in task.required_at_start or field.is_required():
        return None, "each start"
    default = field.get_default(call_default_factory=False)
    shown = None if is_secret(field.annotation) or field.default_factory is not None else str(default)
    return shown, "default of the settings class"
