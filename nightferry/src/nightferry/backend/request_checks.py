"""Checks of requests to start a task or workflow, shared by the backends."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.backend.errors import CannotRedrive
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.catalog import checks, start_values
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule, Secret, Task, Workflow
from nightferry.catalog.fargate import Size
from nightferry.contract import OBJECT_MEMBERS, SCHEDULE_MEMBERS, format_option
from nightferry.errors import NightferryError, UnknownName
from nightferry.overrides import (
    PERSONAL_VARIABLES,
    STARTER_VARIABLES,
    find_argument_problem,
    find_variable_problems,
    is_protected,
)

_SHOWN = 5  # unknown members in a message


class InvalidInput(NightferryError):
    """The input is not an object, lacks members that the workflow reads, or has others. The message names them."""


@dataclass(frozen=True)
class RequestProblem:
    """A problem of a request, with the parts of the request that it is about: variables, :data:`ARGUMENTS`, or sizes.

    Without any part, it is about the whole request.
    """

    message: str
    parts: tuple[str, ...] = ()


ARGUMENTS = "args"
SIZE = ("cpu", "memory")


class ImpossibleOverride(NightferryError):
    """The request sets what the task does not allow, or an invalid value or size. The message names it."""

    def __init__(self, *problems: RequestProblem | str) -> None:
        self.problems = [one if isinstance(one, RequestProblem) else RequestProblem(one) for one in problems]
        super().__init__("\n".join(problem.message for problem in self.problems))


def get_task(catalog: Catalog, name: str) -> Task:
    """Return the task with this name; raises UnknownName."""
    if name not in catalog.tasks:
        hint = f"It is a workflow. Start it with nightferry start {name}." if name in catalog.workflows else ""
        raise UnknownName("task", name, catalog.tasks, hint)
    return catalog.tasks[name]


def get_workflow(catalog: Catalog, name: str) -> Workflow:
    """Return the workflow with this name; raises UnknownName."""
    if name not in catalog.workflows:
        hint = f"It is a task. Run it with nightferry run {name}." if name in catalog.tasks else ""
        raise UnknownName("workflow", name, catalog.workflows, hint)
    return catalog.workflows[name]


def get_schedule(catalog: Catalog, name: str) -> Schedule:
    """Return the schedule with this name; raises UnknownName."""
    if name not in catalog.schedules:
        raise UnknownName("schedule", name, catalog.schedules)
    return catalog.schedules[name]


def check_input(workflow: Workflow, input: Any) -> None:
    """Check that an input has the members that each execution of the workflow reads, and no unknown ones.

    A schedule and a trigger pass their members to any workflow, so a person may pass them too. Raises InvalidInput.
    """
    given = input if isinstance(input, Mapping) else {}
    if missing := [name for name in workflow.required if name not in given]:
        members = ", ".join(f'"{name}": …' for name in workflow.required)
        raise InvalidInput(
            f"Workflow '{workflow.name}' reads {', '.join(missing)} of its input. Pass it with --input '{{{members}}}'."
        )
    if workflow.inputs is None:
        return
    if not isinstance(input, Mapping):
        raise InvalidInput(f"The input of workflow '{workflow.name}' is not an object, as in --input '{{}}'.")
    if unknown := sorted(input.keys() - {*workflow.inputs, *SCHEDULE_MEMBERS, *OBJECT_MEMBERS}):
        near = difflib.get_close_matches(unknown[0], workflow.inputs, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It reads: {', '.join(workflow.inputs) or 'nothing'}."
        raise InvalidInput(
            f"Workflow '{workflow.name}' does not read {', '.join(map(repr, unknown[:_SHOWN]))} of its input. {hint}"
        )


def check_redrivable(catalog: Catalog, run: TaskRun, repeat: str | None) -> None:
    """Check that a run can be repeated. ``repeat`` is the run that already repeats it, if any.

    Raises UnknownName and CannotRedrive.
    """
    task = get_task(catalog, run.task)
    if run.execution is not None:
        raise CannotRedrive(
            f"Cannot redrive run {run.id}: it is a step of execution {run.execution}. Redrive the execution: "
            f"nightferry redrive {run.execution}"
        )
    if run.status != "STOPPED" or run.succeeded:
        status = "it succeeded" if run.succeeded else f"it is {run.status}"
        raise CannotRedrive(f"Cannot redrive run {run.id}: {status}, and only failed runs can be redriven.")
    if repeat is not None:
        raise CannotRedrive(
            f"Run {run.id} was already started again, as run {repeat}. If that one failed too, redrive it: nightferry "
            f"redrive {repeat}"
        )
    if problem := find_start_problem(task, run.env, run.args):
        raise ImpossibleOverride(f"Cannot repeat run {run.id} with the same inputs. {problem}")


def check_alone(catalog: Catalog, execution: WorkflowExecution, running: Iterable[str]) -> None:
    """Check that the overlap policy allows to redrive an execution. ``running`` are those of its workflow.

    Raises CannotRedrive.
    """
    workflow = catalog.workflows.get(execution.workflow)
    others = [id for id in running if id != execution.id] if workflow and workflow.overlap != "allow" else []
    if others:
        raise CannotRedrive(
            f"Execution {others[0]} of {execution.workflow} is running, and the overlap policy does not allow two at "
            f"once. Wait for it to end, or stop it: nightferry stop {others[0]}"
        )


def check(catalog: Catalog, request: RunRequest, secret_hint: Callable[[Secret], str]) -> Task:
    """Return the requested task; raises UnknownName or ImpossibleOverride.

    ``secret_hint`` returns the reason why a request must not contain a secret's value, and where to store it.
    """
    task = get_task(catalog, request.task)
    secrets = {**catalog.secrets, **task.secrets}
    if given := sorted(request.env.keys() & secrets.keys()):
        message = f"{given[0]} is a secret of task '{task.name}' and cannot be overridden. "
        raise ImpossibleOverride(RequestProblem(message + secret_hint(secrets[given[0]]), (given[0],)))
    if problems := [*_find_problems(catalog, task, request)]:
        raise ImpossibleOverride(*problems)
    return task


def _find_problems(catalog: Catalog, task: Task, request: RunRequest) -> Iterator[RequestProblem]:
    yield from _find_override_problems(catalog, task, request)
    for names, message in start_values.locate_value_problems(task, request.env):
        yield RequestProblem(message, names)
    supplied = {name: value for name, value in request.env.items() if value}
    if missing := start_values.find_missing(task, supplied, request.args):
        options = " ".join(f"{format_option(name)}=…" for name in missing)
        yield RequestProblem(
            f"Task '{task.name}' requires {', '.join(missing)} at each start. Add {options}; see: nightferry run "
            f"{task.name} --help",
            tuple(missing),
        )
    if request.cpu or request.memory:
        size = Size(request.cpu or task.size.cpu, request.memory or task.size.memory)
        if problem := size.find_problem():
            yield RequestProblem(problem, SIZE)


def _find_override_problems(catalog: Catalog, task: Task, request: RunRequest) -> Iterator[RequestProblem]:
    """Yield why a person may not set the variables and arguments of a request."""
    allowed = task.overridable | PERSONAL_VARIABLES
    for name in request.env:
        unknown = None if is_protected(name) else checks.find_name_problem(task, (*catalog.env, *catalog.secrets), name)
        for message in [unknown] if unknown else find_variable_problems(task.name, allowed, [name]):
            yield RequestProblem(message, (name,))
        if "\0" in request.env[name]:
            yield RequestProblem(f"{name} contains a NUL character. Remove it.", (name,))
    if problem := find_argument_problem(task.name, task.args, task.overridable, request.args):
        yield RequestProblem(problem, (ARGUMENTS,))
    if any("\0" in word for word in request.args):
        yield RequestProblem("An argument contains a NUL character. Remove it.", (ARGUMENTS,))


def find_start_problem(task: Task, env: Iterable[str], args: Iterable[str]) -> str | None:
    """Return why a start, which may come from a workflow or a repeat, violates the rules of its task, or None.

    In a container on AWS, :mod:`nightferry.container` applies the same rules.
    """
    found = [*find_variable_problems(task.name, task.overridable | STARTER_VARIABLES, env)]
    if problem := find_argument_problem(task.name, task.args, task.overridable, args):
        found.append(problem)
    return "\n".join(found) or None
