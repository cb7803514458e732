"""The steps of which a workflow is written; :mod:`nightferry.states.builder` renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol


class NamedTask(Protocol):
    """What the builder needs to know of a task of the catalogue."""

    @property
    def name(self) -> str:
        """Return the task's name."""


class NamedTopic(Protocol):
    """What the builder needs to know of a topic of the catalogue."""

    @property
    def name(self) -> str:
        """Return the topic's name."""


@dataclass(frozen=True)
class Retry:
    """``attempts`` more attempts after a failure, the first after ``interval`` seconds, then ``backoff`` times longer.

    A timeout is not retried: what hung once would hang for as long again.
    """

    attempts: int = 2
    interval: int = 1
    backoff: float = 2.0
    errors: tuple[str, ...] = ("States.TaskFailed",)


@dataclass(frozen=True)
class RunTask:
    """Run a task as an ECS task and wait for its end; a non-zero exit code is a failure.

    ``command`` replaces the task's own command; within :class:`ForEach` it is the item unless given. ``env`` adds to
    the task's environment. ``timeout`` bounds this step. ``name`` is the state's name: the task's, unless given.
    """

    task: NamedTask
    command: Items[str] | None = None
    env: Mapping[str, object] | None = None
    name: str | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while."""

    duration: timedelta
    name: str | None = None


@dataclass(frozen=True)
class Notify:
    """Publish a message to a topic; as ``on_failure``, what failed and why.

    SNS takes a ``subject`` of at most 100 printable ASCII characters (API reference, Publish): ValueError for others.
    """

    topic: NamedTopic
    subject: str | None = None
    message: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        subject = self.subject
        if subject is not None and not (subject.isascii() and subject.isprintable() and len(subject) <= 100):
            raise ValueError(f"SNS takes a subject of at most 100 printable ASCII characters, not {subject!r}.")


@dataclass(frozen=True)
class ForEach:
    """Run ``body`` for each item, at most ``concurrency`` at once (0: all). A task's command is the item."""

    items: Items[Any]
    body: Body
    concurrency: int = 0
    name: str | None = None


@dataclass(frozen=True)
class When:
    """``then`` if a Choice rule, written as in ASL without Next, holds: ``{"Variable": "$.x", "IsPresent": True}``."""

    rule: Mapping[str, Any]
    then: Body


@dataclass(frozen=True)
class Choose:
    """The first :class:`When` whose rule holds, else ``otherwise`` (nothing, when None)."""

    cases: Items[When]
    otherwise: Body | None = None
    name: str = "choose"


@dataclass(frozen=True, init=False)
class Sequence:
    """Steps one after the other."""

    steps: tuple[Body, ...]

    def __init__(self, *steps: Body) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, init=False)
class Parallel:
    """Steps side by side; it ends when all have ended, and fails when one fails."""

    branches: tuple[Body, ...]
    name: str

    def __init__(self, *branches: Body, name: str = "parallel") -> None:
        object.__setattr__(self, "branches", branches)
        object.__setattr__(self, "name", name)


Body = Sequence | RunTask | ForEach | Choose | Wait | Parallel | Notify


def runs(body: Body) -> Iterator[RunTask]:
    """Every task that a workflow may run, in the order in which they stand."""
    match body:
        case RunTask():
            yield body
        case Sequence(steps=parts) | Parallel(branches=parts):
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
