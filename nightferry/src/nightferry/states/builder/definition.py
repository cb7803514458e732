"""Python → Amazon States Language, for workflows of tasks.

A workflow is written as nested steps and rendered once::

    definition = render(
        Sequence(
            RunTask(import_orders),
            ForEach([["load", f"--process-id={n}"] for n in (1, 2, 3)], RunTask(load_orders)),
            RunTask(export_orders, env={"EXPORT_MODE": "updates"}),
        ),
        retry=Retry(attempts=2), timeout=timedelta(hours=8), on_failure=Notify(task_failures),
    )

The result is the JSON document that Step Functions gets and that the local engine interprets. What only an
environment knows stands in it as a reference such as ``${cluster}`` or ``${task:import-orders}``
(see :mod:`nightferry.catalog.references`). Every task gets the execution's id as ``SFN_EXECUTION_ID``.

With ``on_failure``, a step that fails for good goes to a state that names it, from there to the notification and
to a Fail state with the step's own error and cause: a workflow that failed never looks successful.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
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
    Sequence,
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
    on_failure: Notify | None = None,
) -> JsonObject:
    """The state machine's definition.

    ``retry`` holds for every task that has none of its own, ``timeout`` for the whole execution. The same steps
    always render to the same document.
    """
    scope = _Scope(retry=retry, on_failure=on_failure, names={_NOTIFY, _FAIL} if on_failure else set())
    start = scope.whole(body)
    if scope.failures:
        scope.states |= _notification(on_failure)
    definition: JsonObject = {"Comment": comment} if comment else {}
    definition["StartAt"] = start
    if timeout is not None:
        definition["TimeoutSeconds"] = int(timeout.total_seconds())
    definition["States"] = scope.states
    return definition


_NOTIFY = "notify of failure"
_FAIL = "failed"

# Where a piece of the machine goes on: the states, and the field of each that is to name what comes next.
_Exits = list[tuple[JsonObject, str]]


@dataclass
class _Scope:
    """The states of one branch being rendered; names are shared by the whole machine, where they must be unique."""

    retry: Retry | None
    on_failure: Notify | None
    names: set[str]
    item_is_command: bool = False
    states: JsonObject = field(default_factory=dict)
    failures: bool = False

    def whole(self, body: Body) -> str:
        """Render ``body`` as all there is in this branch; answer the first state's name."""
        start, exits = self.render(body)
        if any(key == "Default" for _, key in exits):
            done = self._unique("done")
            self.states[done] = {"Type": "Succeed"}
            _link(exits, done)
        else:
            for state, _ in exits:
                state["End"] = True
        return start

    def render(self, body: Body) -> tuple[str, _Exits]:
        """Add the states of ``body``; answer the first one's name and where it goes on."""
        match body:
            case Sequence(steps=steps):
                return self._sequence(steps)
            case RunTask():
                return self._add(body.name or body.task.name, self._run_task(body), catch=True)
            case Wait():
                seconds = int(body.duration.total_seconds())
                return self._add(body.name or f"wait {seconds} s", {"Type": "Wait", "Seconds": seconds})
            case Notify():
                return self._add(body.name or f"notify {body.topic.name}", _publish(body), catch=True)
            case ForEach():
                return self._for_each(body)
            case Parallel():
                return self._parallel(body)
            case Choose():
                return self._choose(body)

    def _sequence(self, steps: Items[Body]) -> tuple[str, _Exits]:
        if not steps:
            raise ValueError("A Sequence needs at least one step.")
        first, exits = self.render(steps[0])
        for step in steps[1:]:
            start, following = self.render(step)
            _link(exits, start)
            exits = following
        return first, exits

    def _add(self, name: str, state: JsonObject, *, catch: bool = False) -> tuple[str, _Exits]:
        name = self._unique(name)
        self.states[name] = state
        if catch and self.on_failure is not None:
            failed = self._unique(f"{name} failed")
            state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": failed}]
            # JSONata, because a cause may be missing, which a JSONPath cannot express.
            self.states[failed] = {
                "Type": "Pass",
                "QueryLanguage": "JSONata",
                "Output": {
                    "step": name,
                    "error": "{% $states.input.Error %}",
                    "cause": "{% $exists($states.input.Cause) ? $states.input.Cause : '' %}",
                },
                "Next": _NOTIFY,
            }
            self.failures = True
        return name, [(state, "Next")]

    def _unique(self, name: str) -> str:
        candidate, n = name, 1
        while candidate in self.names:
            n += 1
            candidate = f"{name} {n}"
        self.names.add(candidate)
        return candidate

    def _run_task(self, step: RunTask) -> JsonObject:
        override: JsonObject = {"Name": step.task.name}
        if step.command is not None:
            override["Command"] = list(step.command)
        elif self.item_is_command:
            override["Command.$"] = "$"
        override["Environment"] = [
            {"Name": EXECUTION_VARIABLE, "Value.$": "$$.Execution.Id"},
            *({"Name": name, "Value": _text(value)} for name, value in (step.env or {}).items()),
        ]
        state: JsonObject = {
            "Type": "Task",
            "Resource": RUN_TASK,
            "Parameters": {
                "Cluster": "${cluster}",
                "TaskDefinition": f"${{task:{step.task.name}}}",
                "LaunchType": "FARGATE",
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
        if retry is not None:
            state["Retry"] = [_retrier(retry)]
        return state

    def _inner(self, body: Body, *, item_is_command: bool) -> JsonObject:
        """A branch of its own. Its failures belong to the state around it, which has the Catch."""
        scope = _Scope(self.retry, None, self.names, item_is_command)
        start = scope.whole(body)
        return {"StartAt": start, "States": scope.states}

    def _for_each(self, step: ForEach) -> tuple[str, _Exits]:
        task = next(runs(step.body), None)
        name = step.name or (f"each {task.task.name}" if task else "each")
        items, exits = self._add(
            f"{name}: items", {"Type": "Pass", "Result": list(step.items), "ResultPath": "$.items"}
        )
        state: JsonObject = {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": step.concurrency,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                **self._inner(step.body, item_is_command=True),
            },
            "ResultPath": None,
        }
        each, following = self._add(name, state, catch=True)
        _link(exits, each)
        return items, following

    def _parallel(self, step: Parallel) -> tuple[str, _Exits]:
        branches = [self._inner(branch, item_is_command=self.item_is_command) for branch in step.branches]
        return self._add(step.name, {"Type": "Parallel", "Branches": branches, "ResultPath": None}, catch=True)

    def _choose(self, step: Choose) -> tuple[str, _Exits]:
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


def _notification(notify: Notify | None) -> JsonObject:
    assert notify is not None
    message: JsonObject = {
        "workflow.$": "$$.StateMachine.Name",
        "environment": "${environment}",
        "execution.$": "$$.Execution.Id",
        "step.$": "$.step",
        "error.$": "$.error",
        "cause.$": "$.cause",
    }
    return {
        _NOTIFY: {
            "Type": "Task",
            "Resource": PUBLISH,
            "Parameters": {
                "TopicArn": f"${{topic:{notify.topic.name}}}",
                "Subject": notify.subject or "A workflow failed in ${environment}",
                "Message": notify.message if notify.message is not None else message,
            },
            "ResultPath": None,
            "Retry": [_retrier(Retry(attempts=3, interval=2, errors=("States.ALL",)))],
            # The workflow's failure must not be hidden by a topic that cannot be reached.
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.notification", "Next": _FAIL}],
            "Next": _FAIL,
        },
        _FAIL: {"Type": "Fail", "ErrorPath": "$.error", "CausePath": "$.cause"},
    }


def _publish(step: Notify) -> JsonObject:
    parameters: JsonObject = {"TopicArn": f"${{topic:{step.topic.name}}}", "Message": step.message or ""}
    if step.message is None:
        parameters = {"TopicArn": parameters["TopicArn"], "Message.$": "$"}
    if step.subject is not None:
        parameters["Subject"] = step.subject
    return {"Type": "Task", "Resource": PUBLISH, "Parameters": parameters, "ResultPath": None}


def _retrier(retry: Retry) -> JsonObject:
    return {
        "ErrorEquals": list(retry.errors),
        "IntervalSeconds": retry.interval,
        "MaxAttempts": retry.attempts,
        "BackoffRate": retry.backoff,
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
