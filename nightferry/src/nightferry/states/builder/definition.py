"""Rendering of workflows from Python to Amazon States Language.

A workflow is declared as nested steps and rendered once::

    definition = render(
        Steps(
            RunTask(import_orders, env={"DAY": Input("day", default="")}),
            ForEach(Output(import_orders, "regions"), RunTask(load_orders, args=["--region", Item()]), concurrency=2),
            RunTask(export_orders, env={"EXPORT_MODE": "updates"}),
        ),
        retry=Retry(attempts=2), timeout=timedelta(hours=8), results="${bucket:files}/results",
    )

The result is the JSON document that Step Functions receives and that the local engine interprets. Values that depend on
the environment are references such as ``${cluster}`` or ``${task:import-orders}``
(see :mod:`nightferry.catalog.references`). Every task receives the execution's ID as ``SFN_EXECUTION_ID``, and the
time for which the execution was scheduled as ``SCHEDULED_AT``: the member ``scheduled_at`` of the input, if it has one.

Values that are known when the workflow runs become paths, which are valid at any depth: ``Input`` is a member of
``$$.Execution.Input``, or of the variable ``$input`` if it has a default; ``Item`` is a member of ``$``, because each
state of an iteration passes the item on; ``Output`` is a member of the variable into which a state after the task reads
the task's result (:mod:`.task_states`).

The definition has no Catch: the step that fails permanently is the last one of the execution, so that a redrive runs it
again. The notice of a failure is sent after the execution's end (:mod:`nightferry.lambdas.failure_notice`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nightferry.states.builder.expressions import format_path, render_condition, render_items
from nightferry.states.builder.results import Result, Results
from nightferry.states.builder.steps import (
    Body,
    Choose,
    ForEach,
    Notify,
    Parallel,
    Retry,
    RunTask,
    Steps,
    Wait,
    runs,
)
from nightferry.states.builder.task_states import SCHEDULED_TIME, render_publish, render_run_task
from nightferry.states.builder.values import REQUIRED, Condition, Input, Item, Output, Presence, Value, iterate_tests

JsonObject = dict[str, Any]

_INPUT = "input"  # the variable with the input and its defaults


@dataclass(frozen=True)
class Rendered:
    """A rendered workflow.

    Attributes:
        definition: the state machine.
        required: the members of the input without which every execution fails.
        inputs: the members of the input that the workflow reads; None if it may read any.
        results: the names of the tasks whose results later steps read.
    """

    definition: JsonObject
    required: tuple[str, ...]
    inputs: tuple[str, ...] | None
    results: tuple[str, ...]


def render(
    body: Body,
    *,
    comment: str = "",
    retry: Retry | None = None,
    timeout: timedelta | None = None,
    results: str | None = None,
) -> JsonObject:
    """Render steps to a state machine's definition. The same steps always produce the same document.

    ``retry`` applies to every task without its own, and ``timeout`` to the whole execution. ``results`` is the folder
    for the results of tasks: ``${bucket:NAME}/FOLDER``. Raises ValueError for steps that could not run.
    """
    return render_workflow(body, comment=comment, retry=retry, timeout=timeout, results=results).definition


def render_workflow(
    body: Body,
    *,
    comment: str = "",
    retry: Retry | None = None,
    timeout: timedelta | None = None,
    results: str | None = None,
) -> Rendered:
    """Render steps as :func:`render` does, and return what the workflow requires besides the definition."""
    machine = _Machine(retry, Results(body, results))
    scheduled = machine.results.make_variable(SCHEDULED_TIME)
    assert scheduled == SCHEDULED_TIME
    scope = _Scope(machine)
    start = scope.render_branch(body)
    states = machine.results.add_reading_states(scope.states)
    if defaults := {name: value for name, value in machine.inputs.items() if value is not REQUIRED}:
        name = machine.make_unique("input with defaults")
        states = {name: _render_defaults(defaults, start), **states}
        start = name
    if any(runs(body)):
        name = machine.make_unique("scheduled time")
        states = {name: _render_scheduled_time(start), **states}
        start = name
    definition: JsonObject = {"Comment": comment} if comment else {}
    definition["StartAt"] = start
    if timeout is not None:
        definition["TimeoutSeconds"] = int(timeout.total_seconds())
    definition["States"] = states
    return Rendered(
        definition,
        required=tuple(sorted(machine.required - machine.tested)),
        inputs=None if machine.reads_any else tuple(sorted(machine.inputs)),
        results=machine.results.get_tasks(),
    )


def _render_defaults(defaults: Mapping[str, Any], following: str) -> JsonObject:
    return {
        "Type": "Pass",
        "Result": dict(defaults),
        "ResultPath": None,
        "Assign": {f"{_INPUT}.$": "States.JsonMerge($, $$.Execution.Input, false)"},
        "Next": following,
    }


def _render_scheduled_time(following: str) -> JsonObject:
    """Return the state that reads the time for which the execution was scheduled; empty if it was not."""
    path = "$$.Execution.Input.scheduled_at"
    given = {"Variable": path, "IsPresent": True, "Assign": {f"{SCHEDULED_TIME}.$": path}, "Next": following}
    return {"Type": "Choice", "Choices": [given], "Assign": {SCHEDULED_TIME: ""}, "Default": following}


# The exits of a part of the machine: states, each with the field that must name the next state.
_Exits = list[tuple[JsonObject, str]]


@dataclass
class _Machine:
    """What all branches of a machine share: the names of states, and what the workflow reads.

    ``reads_any``: it reads the whole input, or paths that are not values of the builder.
    """

    retry: Retry | None
    results: Results
    names: set[str] = field(default_factory=set)
    inputs: dict[str, Any] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    tested: set[str] = field(default_factory=set)
    reads_any: bool = False

    def make_unique(self, name: str) -> str:
        candidate, n = name, 1
        while candidate in self.names:
            n += 1
            candidate = f"{name} {n}"
        self.names.add(candidate)
        return candidate

    def read_input(self, value: Input, *, always: bool) -> str:
        """Return the path of a part of the input. ``always``: each execution reads it."""
        if not value.members:
            self.reads_any = True
            return "$$.Execution.Input"
        name = value.members[0]
        default = value.default
        known = self.inputs.setdefault(name, default)
        if known is not default and known != default:
            raise ValueError(
                f"Input({name!r}) has a default in one place and none, or another one, elsewhere. Create it once, as "
                f"{name.replace('-', '_')} = Input({name!r}, default=…), and use it everywhere."
            )
        if default is REQUIRED and always:
            self.required.add(name)
        return format_path("$$.Execution.Input" if default is REQUIRED else f"${_INPUT}", value.members)


@dataclass
class _Scope:
    """The states of one branch that is being rendered.

    ``finished`` are the results of the steps that have ended before the next one. ``each`` is the name of the ForEach
    around the branch. ``always`` is False in a branch of a Choose.
    """

    machine: _Machine
    finished: list[Result] = field(default_factory=list)
    each: str | None = None
    always: bool = True
    states: JsonObject = field(default_factory=dict)

    def render_branch(self, body: Body) -> str:
        """Render ``body`` as the whole branch; return the first state's name."""
        start, exits = self.render(body)
        if any(key == "Default" for _, key in exits):
            done = self.machine.make_unique("done")
            self.states[done] = {"Type": "Succeed"}
            _link(exits, done)
        else:
            for state, _ in exits:
                state["End"] = True
        return start

    def render(self, body: Body) -> tuple[str, _Exits]:
        """Add the states of ``body``; return the first state's name and the exits."""
        match body:
            case Steps(steps=steps):
                return self._render_steps(steps)
            case RunTask():
                return self._render_run_task(body)
            case Wait():
                seconds = int(body.duration.total_seconds())
                return self._add(body.name or f"wait {seconds} s", {"Type": "Wait", "Seconds": seconds})
            case Notify():
                return self._add(body.name or f"notify {body.topic.name}", render_publish(body, self._find_path))
            case ForEach():
                return self._render_for_each(body)
            case Parallel():
                return self._render_parallel(body)
            case Choose():
                return self._render_choose(body)

    def _render_steps(self, steps: Sequence[Body]) -> tuple[str, _Exits]:
        if not steps:
            raise ValueError("Steps must have at least one step.")
        first, exits = self.render(steps[0])
        for step in steps[1:]:
            start, following = self.render(step)
            _link(exits, start)
            exits = following
        return first, exits

    def _add(self, name: str, state: JsonObject) -> tuple[str, _Exits]:
        name = self.machine.make_unique(name)
        self.states[name] = state
        return name, [(state, "Next")]

    def _render_run_task(self, step: RunTask) -> tuple[str, _Exits]:
        state = render_run_task(step, self._find_path, self.machine.retry)
        name, exits = self._add(step.name or step.task.name, state)
        self.finished.append(self.machine.results.add(step, name, state))
        return name, exits

    def _render_nested(self, body: Body, *, each: str | None, place: str) -> tuple[JsonObject, list[Result]]:
        """Return the states of a branch or iteration, and the results that are known at its end."""
        scope = _Scope(self.machine, list(self.finished), each, self.always)
        start = scope.render_branch(body)
        results = scope.finished[len(self.finished) :]
        self.machine.results.hide(results, place)
        return {"StartAt": start, "States": scope.states}, results

    def _render_for_each(self, step: ForEach) -> tuple[str, _Exits]:
        task = next(runs(step.body), None)
        name = step.name or (f"each {task.task.name}" if task else "each")
        state: JsonObject = {"Type": "Map", "MaxConcurrency": step.concurrency}
        start: str | None = None
        exits: _Exits = []
        if isinstance(step.items, Value):
            state["ItemsPath"] = self._find_path(step.items)
        else:
            variable = self.machine.results.make_variable(f"{name} items")
            items = {"Type": "Pass", "Result": render_items(step.items, name), "ResultPath": None}
            start, exits = self._add(f"{name}: items", items | {"Assign": {f"{variable}.$": "$"}})
            state["ItemsPath"] = f"${variable}"
        each, following = self._add(name, state)
        processor, _ = self._render_nested(step.body, each=each, place=f"once for each item of '{each}'")
        state["ItemProcessor"] = {"ProcessorConfig": {"Mode": "INLINE"}, **processor}
        state["ResultPath"] = None
        _link(exits, each)
        return start or each, following

    def _render_parallel(self, step: Parallel) -> tuple[str, _Exits]:
        place = f"in a branch of '{step.name}'"
        rendered = [self._render_nested(branch, each=self.each, place=place) for branch in step.branches]
        state = {"Type": "Parallel", "Branches": [branch for branch, _ in rendered], "ResultPath": None}
        for index, (_, results) in enumerate(rendered):
            self.finished += self.machine.results.lift(results, state, index)
        return self._add(step.name, state)

    def _render_choose(self, step: Choose) -> tuple[str, _Exits]:
        choices: list[JsonObject] = []
        state: JsonObject = {"Type": "Choice", "Choices": choices}
        name, _ = self._add(step.name, state)
        exits: _Exits = []
        rules = [self._render_rule(case.condition) for case in step.cases]
        for case, rule in zip(step.cases, rules, strict=True):
            start, following = self._render_alternative(case.then, name)
            choices.append({**rule, "Next": start})
            exits += following
        if step.otherwise is None:
            exits.append((state, "Default"))
        else:
            state["Default"], following = self._render_alternative(step.otherwise, name)
            exits += following
        return name, exits

    def _render_alternative(self, body: Body, choose: str) -> tuple[str, _Exits]:
        """Render a branch of a Choose. Its results are not known after the Choose, which may take another branch."""
        before, always = list(self.finished), self.always
        self.always = False
        rendered = self.render(body)
        self.machine.results.hide(self.finished[len(before) :], f"only in one case of '{choose}'")
        self.finished, self.always = before, always
        return rendered

    def _render_rule(self, condition: Condition | Mapping[str, Any]) -> JsonObject:
        if not isinstance(condition, Condition):
            self.machine.reads_any = True
            return dict(condition)
        for test in iterate_tests(condition):
            if isinstance(test, Presence) and isinstance(test.value, Input):
                self.machine.tested.update(test.value.members[:1])
        return render_condition(condition, self._find_path)

    def _find_path(self, value: Value) -> str:
        match value:
            case Input():
                return self.machine.read_input(value, always=self.always)
            case Output():
                return self.machine.results.find_path(value, self.finished)
            case Item() if self.each is None:
                raise ValueError(f"{value!r} is used outside ForEach. Only the steps of ForEach have an item.")
            case Item():
                return format_path("$", value.members)
        raise ValueError(f"{value!r} cannot be used here. Use Input, Output or Item.")


def _link(exits: _Exits, following: str) -> None:
    for state, key in exits:
        state[key] = following
