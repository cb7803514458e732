"""Parser from JSON to a :class:`~nightferry.states.language.model.Definition`; it reports each mistake with its path.

Parsing continues after a mistake. Each function reads one part of the definition through :class:`~.fields.Fields`,
which collects the problems. Rules that concern several states are in :mod:`.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from nightferry.states.data.errors import InvalidDefinition, Problem
from nightferry.states.data.expressions import Language
from nightferry.states.data.payload import NotJson, dumps_strictly, loads
from nightferry.states.language import error_fields, express, model, rules
from nightferry.states.language.choice_parser import parse_choice_branch
from nightferry.states.language.fields import Fields, format_member
from nightferry.states.language.map_parser import parse_map

DEFINITION_LIMIT_BYTES = 1_048_576
"""Maximum size of a definition (service quota)."""
_TIMEOUT_LIMIT_SECONDS = 99_999_999


def parse(definition: Mapping[str, Any] | str, workflow_type: model.WorkflowType = "STANDARD") -> model.Definition:
    """Parse a definition from JSON text or from an object. Raises InvalidDefinition with all problems."""
    if isinstance(definition, str):
        return _parse_text(definition, workflow_type)
    return _parse(definition, workflow_type)


@lru_cache(maxsize=32)
def _parse_text(text: str, workflow_type: model.WorkflowType) -> model.Definition:
    return _parse(text, workflow_type)


def _parse(definition: Mapping[str, Any] | str, workflow_type: model.WorkflowType) -> model.Definition:
    parsed, problems = _read(definition, workflow_type)
    if problems or parsed is None:
        raise InvalidDefinition(problems)
    return parsed


def validate(definition: Mapping[str, Any] | str, workflow_type: model.WorkflowType = "STANDARD") -> list[Problem]:
    """Return all problems for which Step Functions would reject the definition; an empty list if it is valid."""
    return _read(definition, workflow_type)[1]


def _read(
    definition: Mapping[str, Any] | str, workflow_type: model.WorkflowType
) -> tuple[model.Definition | None, list[Problem]]:
    try:
        if not isinstance(definition, str):
            dumps_strictly(dict(definition) if isinstance(definition, Mapping) else definition)
            return _read_value(definition, workflow_type)
        if len(definition.encode(errors="surrogatepass")) > DEFINITION_LIMIT_BYTES:
            return None, [Problem("$", f"The definition exceeds {DEFINITION_LIMIT_BYTES} bytes. Split it.")]
        value = loads(definition, _make_object)
        repeated = list(_find_repeated_keys(value, "$"))
        return (None, repeated) if repeated else _read_value(value, workflow_type)
    except (NotJson, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        return None, [Problem("$", f"The definition is not JSON: {reason}.")]


class _Repeated(dict[str, Any]):
    """A JSON object in which the key ``repeated`` occurs more than once."""

    repeated: str


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    value = _Repeated(plain)
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            value.repeated = key
        seen.add(key)
    return value


def _find_repeated_keys(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, _Repeated):
        code = "DUPLICATE_STATE_NAME: " if path.endswith(".States") else ""
        yield Problem(f"{path}{format_member(value.repeated)}", f"{code}The key occurs twice. Remove or rename one.")
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _find_repeated_keys(item, f"{path}{format_member(name)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_repeated_keys(item, f"{path}[{index}]")


def _read_value(definition: Any, workflow_type: model.WorkflowType) -> tuple[model.Definition | None, list[Problem]]:
    if not isinstance(definition, Mapping):
        return None, [Problem("$", "A definition must be a JSON object with StartAt and States.")]
    problems: list[Problem] = []
    fields = Fields(definition, "$", problems)
    fields.read_text("Comment")
    version = fields.read_text("Version")
    if version not in (None, "1.0"):
        fields.report("Version", 'Version must be "1.0", the only version of the language.')
    language = fields.read_language("JSONPath")
    timeout = fields.read_integer("TimeoutSeconds", 1, _TIMEOUT_LIMIT_SECONDS)
    program = _parse_program(fields, language)
    fields.reject_unknown_fields()
    rules.check(program, "$", problems)
    express.check(program, "$", problems, express=workflow_type == "EXPRESS")
    if problems:
        return None, problems
    return model.Definition(program, timeout, str(definition.get("Comment", "")), definition, workflow_type), []


def _parse_program(fields: Fields, language: Language) -> model.Program:
    start = fields.read_text("StartAt", required=True)
    if start == "":
        fields.report("StartAt", "The name of the first state is empty.")
    states: dict[str, model.State] = {}
    for name, state in fields.read_object("States", required=True).items():
        path = f"{fields.path}.States{format_member(name)}"
        if not name or len(name) > 80:
            fields.problems.append(Problem(path, "A state's name must have 1 to 80 characters."))
        if not isinstance(state, dict):
            fields.problems.append(Problem(path, "A state must be a JSON object."))
            continue
        parsed = _parse_state(name, Fields(state, path, fields.problems), language)
        if parsed is not None:
            states[name] = parsed
    if fields.source.get("States") == {}:
        fields.report("States", "A state machine must have at least one state.")
    return model.Program(start or "", states)


def _parse_state(name: str, fields: Fields, default: Language) -> model.State | None:
    kind = fields.read_text("Type", required=True)
    if kind is None:
        return None
    if kind not in _STATES:
        fields.report("Type", f"Unknown state type {kind!r}. Use one of {', '.join(sorted(_STATES))}.")
        return None
    fields.read_text("Comment")
    fields.machine_language = default
    language = fields.read_language(default)
    fields.use_language(language)
    common: dict[str, Any] = {"name": name, "language": language}
    if kind != "Fail":
        if language == "JSONPath":
            common["input_path"] = fields.read_path_or_null("InputPath")
            common["output_path"] = fields.read_path_or_null("OutputPath")
        else:
            common["output"] = fields.read_template("Output")
    if kind not in ("Fail", "Succeed"):
        common["assign"] = fields.read_assign()
    if kind not in ("Fail", "Succeed", "Choice"):
        common["next"] = fields.read_next()
    state = _STATES[kind](fields, common)
    fields.reject_unknown_fields()
    return state


# ── one function per state type ───────────────────────────────────────────────────────────────────────────────


def _parse_pass(fields: Fields, common: dict[str, Any]) -> model.State:
    result = None
    if fields.current_language == "JSONPath":
        common["parameters"] = fields.read_template("Parameters")
        result = fields.read_constant("Result")
        fields.read_result_path(common)
    return model.PassState(**common, result=result)


def _parse_succeed(fields: Fields, common: dict[str, Any]) -> model.State:
    del fields
    return model.SucceedState(**common)


def _parse_fail(fields: Fields, common: dict[str, Any]) -> model.State:
    return model.FailState(**common, error=fields.read_text_or_path("Error"), cause=fields.read_text_or_path("Cause"))


def _parse_wait(fields: Fields, common: dict[str, Any]) -> model.State:
    names = ["Seconds", "Timestamp"]
    if fields.current_language == "JSONPath":
        names += ["SecondsPath", "TimestampPath"]
    given = [name for name in names if fields.has(name)]
    if len(given) != 1:
        fields.report(None, f"A Wait state must have exactly one of {', '.join(names)}.")
    seconds = fields.read_integer_expression("Seconds", 0, _TIMEOUT_LIMIT_SECONDS) or fields.read_reference(
        "SecondsPath"
    )
    timestamp = fields.read_timestamp("Timestamp") or fields.read_reference("TimestampPath")
    return model.WaitState(**common, seconds=seconds, timestamp=timestamp)


def _parse_choice(fields: Fields, common: dict[str, Any]) -> model.State:
    branches = []
    for branch in fields.read_objects("Choices", required=True):
        branch.use_language(fields.current_language)
        branches.append(parse_choice_branch(branch))
    default = fields.read_text("Default")
    return model.ChoiceState(**common, choices=tuple(b for b in branches if b is not None), default=default)


def _parse_work(fields: Fields, common: dict[str, Any], *, parameters: bool = True) -> None:
    """Parse the common fields of Task, Parallel and Map: input and output processing, Retry and Catch."""
    if fields.current_language == "JSONPath":
        if parameters:
            common["parameters"] = fields.read_template("Parameters")
        common["result_selector"] = fields.read_object_template("ResultSelector")
        fields.read_result_path(common)
    elif parameters:
        common["parameters"] = fields.read_template("Arguments")
    common["retry"] = error_fields.read_retry(fields)
    common["catch"] = error_fields.read_catch(fields)


def _parse_task(fields: Fields, common: dict[str, Any]) -> model.State:
    resource = fields.read_text("Resource", required=True) or ""
    _parse_work(fields, common)
    if resource and not resource.startswith("arn:"):
        fields.report(
            "Resource", f"Resource must be an ARN such as 'arn:aws:states:::ecs:runTask.sync', not {resource!r}."
        )
    timeout = fields.read_integer_expression("TimeoutSeconds", 1, _TIMEOUT_LIMIT_SECONDS, path=True)
    heartbeat = fields.read_integer_expression("HeartbeatSeconds", 1, _TIMEOUT_LIMIT_SECONDS, path=True)
    longest, shortest = fields.read("TimeoutSeconds"), fields.read("HeartbeatSeconds")
    if isinstance(longest, int) and isinstance(shortest, int) and shortest >= longest:
        fields.report("HeartbeatSeconds", "HeartbeatSeconds must be less than TimeoutSeconds.")
    return model.TaskState(
        **common,
        resource=resource,
        timeout=timeout,
        heartbeat=heartbeat,
        credentials=fields.read_template("Credentials"),
    )


def _parse_parallel(fields: Fields, common: dict[str, Any]) -> model.State:
    _parse_work(fields, common)
    branches = []
    for branch in fields.read_objects("Branches", required=True):
        branches.append(_parse_branch(branch))
    return model.ParallelState(**common, branches=tuple(branches))


def _parse_branch(fields: Fields) -> model.Program:
    """Parse the states of a branch. They use the machine's query language, not that of the enclosing state."""
    fields.read_text("Comment")
    if fields.has("QueryLanguage"):
        fields.report("QueryLanguage", "QueryLanguage is allowed only at the top level of the machine and in states.")
    program = _parse_program(fields, fields.machine_language)
    fields.reject_unknown_fields()
    return program


def _parse_map(fields: Fields, common: dict[str, Any]) -> model.State:
    _parse_work(fields, common, parameters=False)
    return parse_map(fields, common, _parse_branch)


_STATES: dict[str, Callable[[Fields, dict[str, Any]], model.State]] = {
    "Pass": _parse_pass,
    "Succeed": _parse_succeed,
    "Fail": _parse_fail,
    "Wait": _parse_wait,
    "Choice": _parse_choice,
    "Task": _parse_task,
    "Parallel": _parse_parallel,
    "Map": _parse_map,
}
