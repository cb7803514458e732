"""Checks that an environment's settings are valid where the catalog uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nightferry.catalog import checks
from nightferry.catalog.declarations import CommandService
from nightferry.catalog.references import find_references, substitute
from nightferry.errors import UnknownName
from nightferry.schedules.expressions import InvalidExpression, parse

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from nightferry.catalog.catalog import Catalog

_POSTGRES = ("host", "port", "user", "database")
_COMMAND = ("url", "port")


def find_problems(catalog: Catalog, settings: Mapping[str, str], *, local: bool) -> Iterator[tuple[str, str]]:
    """Yield the name of each invalid setting and a sentence that describes the problem.

    Values with addresses of services are not checked, because the addresses are known only when the services run.
    """
    if local:
        for name, value in settings.items():
            for reference in find_references(value):
                if reference.kind == "service" and (problem := _find_address_problem(catalog, reference.name)):
                    yield name, problem
    for schedule in catalog.schedules.values():
        for name, text in _resolve_settings(settings, schedule.expression):
            try:
                parse(text)
            except InvalidExpression as error:
                yield name, f"schedule '{schedule.name}': {error}"
    for kind, declarations in (("schedule", catalog.schedules), ("object trigger", catalog.object_triggers)):
        for one in declarations.values():
            for name, text in _resolve_settings(settings, one.enabled):
                if text not in ("true", "false"):
                    yield name, f"enabled of {kind} '{one.name}' must be true or false, not {text!r}."
    yield from _find_variable_problems(catalog, settings)


def _find_variable_problems(catalog: Catalog, settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    given = [(task, task.env) for task in catalog.tasks.values()]
    given += [(catalog.tasks[s.target], s.env) for s in catalog.schedules.values() if s.kind == "task"]
    for task, env in given:
        fields: dict[str, FieldInfo] = {name.upper(): field for name, field in task.config.model_fields.items()}
        for variable, value in env.items():
            if variable not in fields:
                continue
            for name, text in _resolve_settings(settings, value):
                if text and (reason := checks.find_value_problem(fields[variable], text)):  # an empty value is unset
                    yield name, f"{text!r} is not valid as {variable} of task '{task.name}': {reason}."


def _resolve_settings(settings: Mapping[str, str], text: str) -> Iterator[tuple[str, str]]:
    """Yield the first setting of ``text`` and the text with all settings substituted, if no other reference is left."""
    names = sorted(reference.name for reference in find_references(text) if reference.kind == "setting")
    if names:
        whole = substitute(text, lambda r: settings[r.name] if r.kind == "setting" else str(r))
        if not find_references(whole):
            yield names[0], whole


def _find_address_problem(catalog: Catalog, reference: str) -> str | None:
    name, _, attribute = reference.partition(".")
    if name not in catalog.services:
        return str(UnknownName("service", name, catalog.services))
    known = _COMMAND if isinstance(catalog.services[name], CommandService) else _POSTGRES
    return None if attribute in known else str(UnknownName(f"address of service '{name}'", attribute, known))
