"""The steps of a workflow; :mod:`nightferry.states.builder` renders them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from nightferry.arguments import check_type, check_variables, describe
from nightferry.states.builder.values import (
    Comparison,
    Condition,
    Format,
    Match,
    NamedTask,
    Presence,
    TypeTest,
    Value,
    iterate_tests,
)

_DURATION = "a duration, as in timedelta(minutes=5)"
_OPTIONAL_DURATION = (timedelta, type(None))


class NamedTopic(Protocol):
    """A topic of the catalog, as required by the builder."""

    @property
    def name(self) -> str:
        """The topic's name."""


@dataclass(frozen=True)
class Retry:
    """Start a failed task again.

    By default, a timeout is not retried, because a task that hung once would probably hang again for as long. A start
    that ECS refused before the task existed, for example without capacity, is repeated by every :class:`RunTask`.

    Attributes:
        attempts: the number of attempts after the first one.
        interval: the seconds before the first of them.
        backoff: the factor by which each further delay is longer.
        errors: the errors after which a step of a workflow is retried, by their names in Amazon States Language. The
            ``retry`` of ``catalog.task`` must not set them.
    """

    attempts: int = 2
    interval: int = 1
    backoff: float = 2.0
    errors: tuple[str, ...] = ("States.TaskFailed",)

    def __post_init__(self) -> None:
        check_type("Retry", "attempts", self.attempts, int, "a number, as in attempts=2")
        check_type("Retry", "interval", self.interval, int, "seconds, as in interval=60")
        check_type("Retry", "backoff", self.backoff, (int, float), "a factor, as in backoff=2.0")
        form = 'names of errors, as in errors=("States.TaskFailed",)'
        check_type("Retry", "errors", self.errors, (list, tuple), form)
        for error in self.errors:
            check_type("Retry", "errors", error, str, form)


@dataclass(frozen=True, eq=False)
class RunTask:
    """Run a task as an ECS task and wait for its end; a non-zero exit code is a failure.

    ``args`` and ``env`` may contain values that are known when the workflow runs. A list or an object needs
    ``as_json()``.

    Attributes:
        task: the declared task.
        args: arguments that are added to the task's program: a list, or a value that is one, such as ``Item()``.
        env: variables that are added to the task's environment.
        name: the state's name. Default: the task's.
        timeout: the longest duration of this step.
        retry: the retry of this step. Default: that of the workflow.
    """

    task: NamedTask
    args: Sequence[object] | Value = ()
    env: Mapping[str, object] | None = None
    name: str | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None

    def __post_init__(self) -> None:
        _check_named("RunTask", "task", self.task)
        place = f"RunTask of '{self.task.name}'"
        words = 'a list of words, as in ["--region", "eu"]'
        check_type(place, "args", self.args, (Sequence, Value), words)
        check_variables(place, "env", self.env)
        _check_state_name(place, self.name)
        check_type(place, "timeout", self.timeout, _OPTIONAL_DURATION, _DURATION)
        check_type(place, "retry", self.retry, (Retry, type(None)), "Retry(attempts=…)")

    @property
    def words(self) -> Sequence[object]:
        """The arguments, or a value that is the list of them."""
        return (self.args,) if isinstance(self.args, Value) else self.args


@dataclass(frozen=True)
class Wait:
    """Wait for a time before the next step.

    Attributes:
        duration: the time to wait.
        name: the state's name. Default: ``wait`` and the seconds.
    """

    duration: timedelta
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.duration, timedelta):
            raise TypeError(f"Wait({describe(self.duration)}) needs a duration, as in Wait(timedelta(minutes=5)).")
        _check_state_name("Wait", self.name)


@dataclass(frozen=True)
class Notify:
    """Publish a message to a topic, as a step or as ``on_failure`` of a workflow.

    Raises ValueError for a ``subject`` that SNS rejects (API reference, Publish).

    Attributes:
        topic: the declared topic.
        subject: at most 100 printable ASCII characters. As ``on_failure``, a sentence with the workflow and the
            environment replaces a missing one.
        message: a text, or a value such as ``Format("{} rows", Output(load, "rows"))``. As ``on_failure``, the message
            also names the failed step, its error and cause.
        name: the state's name. Default: ``notify`` and the topic's name.
    """

    topic: NamedTopic
    subject: str | None = None
    message: str | Value | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check_named("Notify", "topic", self.topic)
        place = f"Notify of '{self.topic.name}'"
        check_type(place, "subject", self.subject, (str, type(None)), "a text")
        check_type(place, "message", self.message, (str, Value, type(None)), 'a text, or Format("{} rows", …)')
        _check_state_name(place, self.name)
        subject = self.subject
        if subject is not None and not (subject.isascii() and subject.isprintable() and len(subject) <= 100):
            raise ValueError(f"SNS accepts a subject of at most 100 printable ASCII characters, not {subject!r}.")


@dataclass(frozen=True)
class ForEach:
    """Run a step for each item of a list.

    Attributes:
        items: a list, or a value that is one when the workflow runs.
        body: the step, in which ``Item()`` is the item.
        concurrency: the number of items that are processed at once. With 0, which is unlimited, Step Functions
            processes about 40 at once.
        name: the state's name. Default: ``each`` and the name of the task in ``body``.
    """

    items: Iterable[Any] | Value
    body: Body
    concurrency: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        _check_steps("ForEach", self.body)
        check_type("ForEach", "concurrency", self.concurrency, int, "a number, as in concurrency=2")
        _check_state_name("ForEach", self.name)


@dataclass(frozen=True)
class When:
    """A case of :class:`Choose`.

    Attributes:
        condition: a comparison such as ``Input("count") > 0``, or a Choice rule of Amazon States Language without
            ``Next``.
        then: the step that runs if the condition holds.
    """

    condition: Condition | Mapping[str, Any]
    then: Body

    def __post_init__(self) -> None:
        if not isinstance(self.condition, Condition | Mapping):
            raise TypeError(f"When({describe(self.condition)}, …) needs a condition. Compare a value: Input(NAME) > 0.")
        _check_steps("When", self.then)


@dataclass(frozen=True, init=False)
class Choose:
    """Run the step of the first case whose condition holds.

    Attributes:
        cases: the cases, each a :class:`When`, in order.
        otherwise: the step that runs if no condition holds. Default: none.
        name: the state's name.
    """

    cases: tuple[When, ...]
    otherwise: Body | None
    name: str

    def __init__(self, *cases: When, otherwise: Body | None = None, name: str = "choose") -> None:
        for case in cases:
            if not isinstance(case, When):
                raise TypeError(f"Choose has {describe(case)}. Use Choose(When(condition, step), …, otherwise=step).")
        if otherwise is not None:
            _check_steps("Choose", otherwise)
        _check_state_name("Choose", name, required=True)
        object.__setattr__(self, "cases", cases)
        object.__setattr__(self, "otherwise", otherwise)
        object.__setattr__(self, "name", name)


@dataclass(frozen=True, init=False)
class Steps:
    """Run steps in order.

    Attributes:
        steps: the steps.
    """

    steps: tuple[Body, ...]

    def __init__(self, *steps: Body) -> None:
        _check_steps("Steps", *steps)
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, init=False)
class Parallel:
    """Run steps in parallel. It ends when all steps have ended, and fails when one fails.

    Attributes:
        branches: the steps.
        name: the state's name.
    """

    branches: tuple[Body, ...]
    name: str

    def __init__(self, *branches: Body, name: str = "parallel") -> None:
        _check_steps("Parallel", *branches)
        _check_state_name("Parallel", name, required=True)
        object.__setattr__(self, "branches", branches)
        object.__setattr__(self, "name", name)


Body = Steps | RunTask | ForEach | Choose | Wait | Parallel | Notify


def check_options(
    place: str, body: object, *, retry: object = None, timeout: object = None, on_failure: object = None
) -> None:
    """Check the types of a workflow's steps and options. Raises TypeError."""
    if not isinstance(body, Mapping):
        check_step(place, body)
    check_type(place, "retry", retry, (Retry, type(None)), "Retry(attempts=…)")
    check_type(place, "timeout", timeout, _OPTIONAL_DURATION, _DURATION)
    check_type(place, "on_failure", on_failure, (Notify, type(None)), "Notify(topic)")


def check_step(place: str, step: object) -> None:
    """Raise TypeError, with the correct form, for an object that is not a step."""
    if isinstance(step, Body):
        return
    if isinstance(step, list | tuple):
        cure = "Pass the steps as arguments, as Steps(a, b) or Steps(*steps)"
    elif hasattr(step, "name"):
        cure = "Run a task with RunTask(task)"
    else:
        cure = "Use RunTask, ForEach, Choose, Parallel, Wait, Notify or Steps"
    raise TypeError(f"{place} has {describe(step)}, which is not a step. {cure}.")


def _check_steps(place: str, *steps: object) -> None:
    for step in steps:
        check_step(place, step)


def _check_named(place: str, kind: str, value: object) -> None:
    if not isinstance(getattr(value, "name", None), str) or isinstance(value, Body):
        raise TypeError(f"{place}({describe(value)}) needs the {kind} itself, as in {kind} = catalog.{kind}(NAME, …).")


def _check_state_name(place: str, name: object, *, required: bool = False) -> None:
    """Check the name of a step's state."""
    check_type(place, "name", name, str if required else (str, type(None)), 'a text, as in name="load again"')


def runs(body: Body) -> Iterator[RunTask]:
    """Yield every RunTask of a workflow, in order of declaration."""
    match body:
        case RunTask():
            yield body
        case Steps(steps=parts) | Parallel(branches=parts):
            for part in parts:
                yield from runs(part)
        case ForEach(body=inner):
            yield from runs(inner)
        case Choose(cases=cases, otherwise=otherwise):
            for case in cases:
                yield from runs(case.then)
            if otherwise is not None:
                yield from runs(otherwise)
        case Wait() | Notify():
            return


Use = Literal["text", "list"] | Comparison | TypeTest | Presence | Match
"""Where a value is used: as a text, as a list (items or arguments), or in a condition."""


def iterate_values(body: Body) -> Iterator[tuple[Value, Use]]:
    """Yield the values of a workflow, and where each one is used. Those of a ``Format`` are texts too."""
    match body:
        case RunTask(args=args, env=env):
            if isinstance(args, Value):
                yield args, "list"
                args = ()
            for value in (*args, *(env or {}).values()):
                yield from _iterate_texts(value)
        case Notify(message=message):
            yield from _iterate_texts(message)
        case Steps(steps=parts) | Parallel(branches=parts):
            for part in parts:
                yield from iterate_values(part)
        case ForEach(items=items, body=inner):
            if isinstance(items, Value):
                yield items, "list"
            yield from iterate_values(inner)
        case Choose(cases=cases, otherwise=otherwise):
            for case in cases:
                if isinstance(case.condition, Condition):
                    yield from _iterate_tested(case.condition)
                yield from iterate_values(case.then)
            if otherwise is not None:
                yield from iterate_values(otherwise)


def _iterate_texts(value: object) -> Iterator[tuple[Value, Use]]:
    if isinstance(value, Format):
        for part in value.values:
            yield from _iterate_texts(part)
    elif isinstance(value, Value):
        yield value, "text"


def _iterate_tested(condition: Condition) -> Iterator[tuple[Value, Use]]:
    for test in iterate_tests(condition):
        yield test.value, test
        if isinstance(test, Comparison) and isinstance(test.other, Value):
            yield test.other, test
