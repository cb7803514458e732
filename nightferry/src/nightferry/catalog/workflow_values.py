"""Checks of the values that the steps of a workflow pass to its tasks, when the workflow is declared."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nightferry.catalog.result_type import ResultType, read_result_type
from nightferry.contract import Privacy
from nightferry.errors import InvalidWorkflow
from nightferry.field_names.personal import find_hidden

if TYPE_CHECKING:
    from nightferry.catalog.declarations import Task
    from nightferry.states.builder import Body, Output


def check_outputs(body: Body, tasks: Mapping[str, Task], declaration: str, location: str, privacy: Privacy) -> None:
    """Check each ``Output`` of a workflow against what the ``main`` of its task returns. Raises InvalidWorkflow.

    A member is checked if the annotation of ``main`` names a class with fields, such as a TypedDict. A member whose
    name ``privacy`` hides is refused, because the job would fail when it returns it.
    """
    from nightferry.states.builder import iterate_values
    from nightferry.states.builder.values import Comparison, JsonText, Output

    types: dict[str, ResultType] = {}
    for value, use in iterate_values(body):
        output = value.value if isinstance(value, JsonText) else value
        if not isinstance(output, Output):
            continue
        task = tasks[output.task.name]
        if task.name not in types:
            types[task.name] = read_result_type(task.main) if task.main else ResultType(returns=False)
        problem = _find_problem(output, task, types[task.name]) or _find_hidden(output, task, privacy)
        if problem is None and value is output:
            kind = types[task.name].find_kind(output.members)
            compared = use.other if isinstance(use, Comparison) else None
            problem = _find_type_problem(output, kind, use, compared)
        if problem:
            raise InvalidWorkflow(f"{output!r}: {problem}", declaration=declaration, location=location)


def _find_problem(output: Output, task: Task, result: ResultType) -> str | None:
    if task.main is None:
        return "the task has no main, so that it returns nothing. Declare the task with main."
    if not result.returns:
        return f"{task.main} returns nothing. Return an object: return {{…}}."
    if output.members and result.fields is not None and output.members[0] not in result.fields:
        near = difflib.get_close_matches(output.members[0], result.fields, n=1)
        known = ", ".join(sorted(result.fields)) or "none"
        hint = f"Did you mean '{near[0]}'?" if near else f"Members: {known}."
        return f"{task.main} returns {result.name}, which has no member '{output.members[0]}'. {hint}"
    return None


def _find_hidden(output: Output, task: Task, privacy: Privacy) -> str | None:
    """Return why the task's result cannot have this member, or None."""
    shown = getattr(task.config, "shown_numbers", ())
    members = [member for member in output.members if isinstance(member, str)]
    strict = Privacy.STRICT in (privacy, getattr(task.config, "privacy", None))
    hidden = find_hidden(members, shown, strict=strict)
    if hidden is None:
        return None
    kind = "personal data or a secret" if strict else "a secret"
    return (
        f"a result is stored and logged in plain text, and '{hidden}' is the name of {kind}, so that {task.main} would "
        "fail when it returns it. Return a key, a count or the name of a thing, with another name."
    )


_KINDS: dict[str, tuple[type, ...]] = {"text": (str,), "number": (int, float), "Boolean": (bool,)}


def _find_type_problem(output: Output, kind: str | None, use: object, compared: object) -> str | None:
    """Return why a value of this kind cannot be used in this place, or None."""
    if kind is None:
        return None
    if use == "text" and kind in ("list", "object"):
        return f"it is {'an' if kind == 'object' else 'a'} {kind}, and not a text. Use {output!r}.as_json()."
    if use == "list" and kind != "list":
        return f"it is {'an' if kind == 'object' else 'a'} {kind}, and not the list that is needed here."
    expected = _KINDS.get(kind)
    if expected and isinstance(compared, str | int | float):
        fits = isinstance(compared, bool) if kind == "Boolean" else not isinstance(compared, bool)
        if not (fits and isinstance(compared, expected)):
            return f"it is a {kind}, so that a comparison with {compared!r} never holds."
    return None


def find_constants(values: Iterable[object]) -> Iterator[object]:
    """Yield the values that are known when the workflow is declared, such as settings, also those in a ``Format``."""
    from nightferry.states.builder import Format, Value

    for value in values:
        if isinstance(value, Format):
            yield from find_constants(value.values)
        elif not isinstance(value, Value):
            yield value
