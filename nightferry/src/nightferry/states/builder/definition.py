"""Rendering of workflows from Python to Amazon States Language.

A workflow is declared as nested steps and rendered once::

    definition = render(
        Steps(
            RunTask(import_orders),
            ForEach([["load", f"--process-id={n}"] for n in (1, 2, 3)], RunTask(load_orders)),
            RunTask(export_orders, env={"EXPORT_MODE": "updates"}),
        ),
        retry=Retry(attempts=2), timeout=timedelta(hours=8),
    )

The result is the JSON document that Step Functions receives and that the local engine interprets. Values that depend on
the environment are references such as ``${cluster}`` or ``${task:import-orders}``
(see :mod:`nightferry.catalog.references`). Every task receives the execution's ID as ``SFN_EXECUTION_ID``.

The definition has no Catch: the step that fails permanently is the last one of the execution, so that a redrive runs it
again. The notice of a failure is sent after the execution's end (:mod:`nightferry.lambdas.failure_notice`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nightferry.contract import EXECUTION_VARIABLE
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
from nightferry.states.language.resources import PUBLISH, RUN_TASK

JsonObject = dict[str, Any]


def render(
    body: Body,
    *,
    comment: str = "",
    retry: Retry | None = None,
    timeout: timedelta | None = None,
) -> JsonObject:
    """Render steps to a state machine's definition. The same steps always produce the same document.

    ``retry`` applies to every task without its own, and ``timeout`` to the whole execution.
    """
    scope = _Scope(retry=retry, names=set())
    start = scope.render_branch(body)
    definition: JsonObject = {"Comment": comment} if comment else {}
    definition["StartAt"] = start
    if timeout is not None:
        definition["TimeoutSeconds"] = int(timeout.total_seconds())
    definition["States"] = scope.states
    return definition


# A start that failed before its task existed is repeated for about two minutes, whatever the retry of the job's
# failures is: no capacity (AmazonECS.Unknown: RunTask returned failures; ECS.AmazonECSException), throttling of ECS
# (ECS.AmazonECSException) or of a service behind it (ECS.InvalidParameterException, in AllenInstitute/neuron_morphology
# pull request 155), and a role that IAM has not yet distributed (ECS.ClientException). A permanent error fails after
# the same retries. ECS.ServerException is not in the list, because its task may have started.
_START_RETRIER: JsonObject = {
    "ErrorEquals": [
        "AmazonECS.Unknown",
        "ECS.AmazonECSException",
        "ECS.InvalidParameterException",
        "ECS.ClientException",
    ],
    "IntervalSeconds": 4,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}

# The exits of a part of the machine: states, each with the field that must name the next state.
_Exits = list[tuple[JsonObject, str]]


@dataclass
class _Scope:
    """The states of one branch that is being rendered. ``names`` are unique in the whole machine and shared."""

    retry: Retry | None
    names: set[str]
    item_is_command: bool = False
    states: JsonObject = field(default_factory=dict)

    def render_branch(self, body: Body) -> str:
        """Render ``body`` as the whole branch; return the first state's name."""
        start, exits = self.render(body)
        if any(key == "Default" for _, key in exits):
            done = self._make_unique("done")
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
                return self._add(body.name or body.task.name, self._render_run_task(body))
            case Wait():
                seconds = int(body.duration.total_seconds())
                return self._add(body.name or f"wait {seconds} s", {"Type": "Wait", "Seconds": seconds})
            case Notify():
                return self._add(body.name or f"notify {body.topic.name}", _render_publish(body))
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
        name = self._make_unique(name)
        self.states[name] = state
        return name, [(state, "Next")]

    def _make_unique(self, name: str) -> str:
        candidate, n = name, 1
        while candidate in self.names:
            n += 1
            candidate = f"{name} {n}"
        self.names.add(candidate)
        return candidate

    def _render_run_task(self, step: RunTask) -> JsonObject:
        override: JsonObject = {"Name": step.task.name}
        if step.command is not None:
            override["Command"] = list(step.command)
        elif self.item_is_command:
            override["Command.$"] = "$"
        override["Environment"] = [
            {"Name": EXECUTION_VARIABLE, "Value.$": "$$.Execution.Id"},
            *({"Name": name, "Value": _format_value(value)} for name, value in (step.env or {}).items()),
        ]
        state: JsonObject = {
            "Type": "Task",
            "Resource": RUN_TASK,
            "Parameters": {
                "Cluster": "${cluster}",
                "TaskDefinition": f"${{task:{step.task.name}}}",
                "LaunchType": "FARGATE",
                "PropagateTags": "TASK_DEFINITION",
                "NetworkConfiguration": {
                    "AwsvpcConfiguration": {
                        "Subnets": "${subnets}",
                        "SecurityGroups": "${security_groups}",
                        "AssignPublicIp": "DISABLED",
                    }
                },
                "Overrides": {"ContainerOverrides": [override]},
            },
            "ResultPath": None,
        }
        if step.timeout is not None:
            state["TimeoutSeconds"] = int(step.timeout.total_seconds())
        retry = step.retry or self.retry
        state["Retry"] = [dict(_START_RETRIER)] + ([] if retry is None else [_render_retrier(retry)])
        return state

    def _render_nested(self, body: Body, *, item_is_command: bool) -> JsonObject:
        scope = _Scope(self.retry, self.names, item_is_command)
        start = scope.render_branch(body)
        return {"StartAt": start, "States": scope.states}

    def _render_for_each(self, step: ForEach) -> tuple[str, _Exits]:
        task = next(runs(step.body), None)
        name = step.name or (f"each {task.task.name}" if task else "each")
        _check_items(step, name)
        items, exits = self._add(
            f"{name}: items", {"Type": "Pass", "Result": list(step.items), "ResultPath": "$.items"}
        )
        state: JsonObject = {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": step.concurrency,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                **self._render_nested(step.body, item_is_command=True),
            },
            "ResultPath": None,
        }
        each, following = self._add(name, state)
        _link(exits, each)
        return items, following

    def _render_parallel(self, step: Parallel) -> tuple[str, _Exits]:
        branches = [self._render_nested(branch, item_is_command=self.item_is_command) for branch in step.branches]
        return self._add(step.name, {"Type": "Parallel", "Branches": branches, "ResultPath": None})

    def _render_choose(self, step: Choose) -> tuple[str, _Exits]:
        choices: list[JsonObject] = []
        state: JsonObject = {"Type": "Choice", "Choices": choices}
        name, _ = self._add(step.name, state)
        exits: _Exits = []
        for case in step.cases:
            start, following = self.render(case.then)
            choices.append({**case.rule, "Next": start})
            exits += following
        if step.otherwise is None:
            exits.append((state, "Default"))
        else:
            state["Default"], following = self.render(step.otherwise)
            exits += following
        return name, exits


def _link(exits: _Exits, following: str) -> None:
    for state, key in exits:
        state[key] = following


def _check_items(step: ForEach, name: str) -> None:
    """Check that the items are a list, and commands if a task of the body receives them. Raises ValueError."""
    if isinstance(step.items, str | bytes | Mapping) or not isinstance(step.items, Iterable):
        raise ValueError(
            f"{name}: the items of ForEach are {step.items!r}, which is not a list. Use a list of commands, such as "
            '[["load", "--region=eu"], ["load", "--region=us"]]. A path to the input requires a definition with a Map.'
        )
    task = next((run.task.name for run in _find_receivers(step.body)), None)
    for item in step.items if task is not None else ():
        if isinstance(item, str) or not (
            isinstance(item, Sequence) and item and all(isinstance(word, str) for word in item)
        ):
            raise ValueError(
                f"{name}: the item {item!r} of ForEach is not a command of task '{task}'. Each item is a command, "
                f'a list of words such as ["{task}", "--region=eu"].'
            )


def _find_receivers(body: Body) -> Iterator[RunTask]:
    """Yield the steps that receive an item of the innermost ForEach as their command."""
    match body:
        case RunTask(command=None):
            yield body
        case Steps(steps=parts) | Parallel(branches=parts):
            for part in parts:
                yield from _find_receivers(part)
        case Choose(cases=cases, otherwise=otherwise):
            for part in (*(case.then for case in cases), *([otherwise] if otherwise is not None else [])):
                yield from _find_receivers(part)
        case _:
            return


def _render_publish(step: Notify) -> JsonObject:
    parameters: JsonObject = {"TopicArn": f"${{topic:{step.topic.name}}}", "Message": step.message or ""}
    if step.message is None:
        parameters = {"TopicArn": parameters["TopicArn"], "Message.$": "$"}
    if step.subject is not None:
        parameters["Subject"] = step.subject
    return {"Type": "Task", "Resource": PUBLISH, "Parameters": parameters, "ResultPath": None}


def _render_retrier(retry: Retry) -> JsonObject:
    return {
        "ErrorEquals": list(retry.errors),
        "IntervalSeconds": retry.interval,
        "MaxAttempts": retry.attempts,
        "BackoffRate": retry.backoff,
    }


def _format_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
