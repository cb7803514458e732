"""From JSON to a :class:`~nightferry.states.language.model.Definition`: every mistake becomes a problem with its place.

Parsing never stops at the first mistake. Each function reads one part of the definition through
:class:`~.fields.Fields`, which notes problems; the rules that look at several states together are in
:mod:`.rules`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from nightferry.states.data.errors import InvalidDefinition, Problem
from nightferry.states.data.expressions import Language
from nightferry.states.language import error_fields, model, rules
from nightferry.states.language.choice_parser import choice_branch
from nightferry.states.language.fields import Fields, member
from nightferry.states.language.map_parser import map_fields

LONGEST_DEFINITION = 1_048_576
"""Bytes of a definition (service quota)."""
_LONGEST_TIMEOUT = 99_999_999


def parse(definition: Mapping[str, Any] | str) -> model.Definition:
    """Parse a definition, given as JSON text or as the object. Raises InvalidDefinition with every problem."""
    if isinstance(definition, str):
        return _parse_text(definition)
    return _parse(definition)


@lru_cache(maxsize=32)
def _parse_text(text: str) -> model.Definition:
    return _parse(text)


def _parse(definition: Mapping[str, Any] | str) -> model.Definition:
    parsed, problems = _read(definition)
    if problems or parsed is None:
        raise InvalidDefinition(problems)
    return parsed


def validate(definition: Mapping[str, Any] | str) -> list[Problem]:
    """Everything for which Step Functions would refuse the definition; an empty list if it would accept it."""
    return _read(definition)[1]


def _read(definition: Mapping[str, Any] | str) -> tuple[model.Definition | None, list[Problem]]:
    if isinstance(definition, str):
        if len(definition.encode()) > LONGEST_DEFINITION:
            return None, [Problem("$", f"A definition has at most {LONGEST_DEFINITION} bytes. Split it.")]
        try:
            definition = json.loads(definition)
        except (ValueError, RecursionError) as error:
            return None, [Problem("$", f"The definition is not JSON: {error}.")]
    if not isinstance(definition, Mapping):
        return None, [Problem("$", "A definition is a JSON object with StartAt and States.")]
    problems: list[Problem] = []
    fields = Fields(definition, "$", problems)
    fields.text("Comment")
    version = fields.text("Version")
    if version not in (None, "1.0"):
        fields.problem("Version", 'The only version of the language is "1.0".')
    language = fields.language("JSONPath")
    timeout = fields.integer("TimeoutSeconds", 1, _LONGEST_TIMEOUT)
    program = _program(fields, language)
    fields.reject_unknown_fields()
    rules.check(program, "$", problems)
    if problems:
        return None, problems
    return model.Definition(program, timeout, str(definition.get("Comment", "")), definition), []


def _program(fields: Fields, language: Language) -> model.Program:
    start = fields.text("StartAt", required=True) or ""
    states: dict[str, model.State] = {}
    for name, state in fields.object("States", required=True).items():
        path = f"{fields.path}.States{member(name)}"
        if not name or len(name) > 80:
            fields.problems.append(Problem(path, "A state's name has 1 to 80 characters."))
        if not isinstance(state, dict):
            fields.problems.append(Problem(path, "A state is a JSON object."))
            continue
        parsed = _state(name, Fields(state, path, fields.problems), language)
        if parsed is not None:
            states[name] = parsed
    if fields.source.get("States") == {}:
        fields.problem("States", "A state machine has at least one state.")
    return model.Program(start, states)


def _state(name: str, fields: Fields, default: Language) -> model.State | None:
    kind = fields.text("Type", required=True)
    if kind is None:
        return None
    if kind not in _STATES:
        fields.problem("Type", f"There is no state type {kind!r}. There are: {', '.join(sorted(_STATES))}.")
        return None
    fields.text("Comment")
    fields.machine_language = default
    language = fields.language(default)
    fields.use_language(language)
    common: dict[str, Any] = {"name": name, "language": language}
    if kind != "Fail":
        if language == "JSONPath":
            common["input_path"] = fields.path_or_null("InputPath")
            common["output_path"] = fields.path_or_null("OutputPath")
        else:
            common["output"] = fields.template("Output")
    if kind not in ("Fail", "Succeed"):
        common["assign"] = fields.assign()
    if kind not in ("Fail", "Succeed", "Choice"):
        common["next"] = fields.next_or_end()
    state = _STATES[kind](fields, common)
    fields.reject_unknown_fields()
    return state


# ── one function per state type ───────────────────────────────────────────────────────────────────────────────


def _pass(fields: Fields, common: dict[str, Any]) -> model.State:
    result = None
    if fields.language_now == "JSONPath":
        common["parameters"] = fields.template("Parameters")
        result = fields.constant("Result")
        fields.result_path(common)
    return model.PassState(**common, result=result)


def _succeed(fields: Fields, common: dict[str, Any]) -> model.State:
    del fields
    return model.SucceedState(**common)


def _fail(fields: Fields, common: dict[str, Any]) -> model.State:
    return model.FailState(**common, error=fields.text_or_path("Error"), cause=fields.text_or_path("Cause"))


def _wait(fields: Fields, common: dict[str, Any]) -> model.State:
    names = ["Seconds", "Timestamp"]
    if fields.language_now == "JSONPath":
        names += ["SecondsPath", "TimestampPath"]
    given = [name for name in names if fields.has(name)]
    if len(given) != 1:
        fields.problem(None, f"A Wait state has exactly one of {', '.join(names)}.")
    seconds = fields.whole("Seconds", 0, _LONGEST_TIMEOUT) or fields.reference("SecondsPath")
    timestamp = fields.timestamp("Timestamp") or fields.reference("TimestampPath")
    return model.WaitState(**common, seconds=seconds, timestamp=timestamp)


def _choice(fields: Fields, common: dict[str, Any]) -> model.State:
    branches = []
    for branch in fields.objects("Choices", required=True):
        branch.use_language(fields.language_now)
        branches.append(choice_branch(branch))
    default = fields.text("Default")
    return model.ChoiceState(**common, choices=tuple(b for b in branches if b is not None), default=default)


def _work(fields: Fields, common: dict[str, Any], *, parameters: bool = True) -> None:
    """What Task, Parallel and Map have in common: the way of their data, Retry and Catch."""
    if fields.language_now == "JSONPath":
        if parameters:
            common["parameters"] = fields.template("Parameters")
        common["result_selector"] = fields.object_template("ResultSelector")
        fields.result_path(common)
    elif parameters:
        common["parameters"] = fields.template("Arguments")
    common["retry"] = error_fields.retry(fields)
    common["catch"] = error_fields.catch(fields)


def _task(fields: Fields, common: dict[str, Any]) -> model.State:
    resource = fields.text("Resource", required=True) or ""
    _work(fields, common)
    if resource and not resource.startswith("arn:"):
        fields.problem(
            "Resource", f"A resource is an ARN such as 'arn:aws:states:::ecs:runTask.sync', not {resource!r}."
        )
    timeout = fields.whole("TimeoutSeconds", 1, _LONGEST_TIMEOUT, path=True)
    heartbeat = fields.whole("HeartbeatSeconds", 1, _LONGEST_TIMEOUT, path=True)
    longest, shortest = fields.raw("TimeoutSeconds"), fields.raw("HeartbeatSeconds")
    if isinstance(longest, int) and isinstance(shortest, int) and shortest >= longest:
        fields.problem("HeartbeatSeconds", "A heartbeat must be shorter than TimeoutSeconds.")
    return model.TaskState(
        **common,
        resource=resource,
        timeout=timeout,
        heartbeat=heartbeat,
        credentials=fields.template("Credentials"),
    )


def _parallel(fields: Fields, common: dict[str, Any]) -> model.State:
    _work(fields, common)
    branches = []
    for branch in fields.objects("Branches", required=True):
        branches.append(_branch(branch))
    return model.ParallelState(**common, branches=tuple(branches))


def _branch(fields: Fields) -> model.Program:
    """States within a state. They speak the machine's language, whatever the state around them speaks."""
    fields.text("Comment")
    if fields.has("QueryLanguage"):
        fields.problem("QueryLanguage", "QueryLanguage stands at the top of the machine or in a state, not here.")
    program = _program(fields, fields.machine_language)
    fields.reject_unknown_fields()
    return program


def _map(fields: Fields, common: dict[str, Any]) -> model.State:
    _work(fields, common, parameters=False)
    return map_fields(fields, common, _branch)


_STATES: dict[str, Callable[[Fields, dict[str, Any]], model.State]] = {
    "Pass": _pass,
    "Succeed": _succeed,
    "Fail": _fail,
    "Wait": _wait,
    "Choice": _choice,
    "Task": _task,
    "Parallel": _parallel,
    "Map": _map,
}
