"""The steps of a workflow; :mod:`nightferry.states.builder` renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol


class NamedTask(Protocol):
    """A task of the catalog, as required by the builder."""

    @property
    def name(self) -> str:
        """The task's name."""


class NamedTopic(Protocol):
    """A topic of the catalog, as required by the builder."""

    @property
    def name(self) -> str:
        """The topic's name."""


@dataclass(frozen=True)
class Retry:
    """Retry ``attempts`` times: first after ``interval`` seconds; each further delay is ``backoff`` times longer.

    By default, a timeout is not retried, because a task that hung once would probably hang again for as long. A start
    that ECS refused before the task existed, for example without capacity, is repeated by every :class:`RunTask`.
    """

    attempts: int = 2
    interval: int = 1
    backoff: float = 2.0
    errors: tuple[str, ...] = ("States.TaskFailed",)


@dataclass(frozen=True)
class RunTask:
    """Run a task as an ECS task and wait for its end; a non-zero exit code is a failure.

    ``command`` replaces the task's command; in :class:`ForEach`, it defaults to the item. ``env`` is added to the
    task's environment. ``timeout`` limits this step. ``name`` is the state's name; it defaults to the task's.
    """

    task: NamedTask
    command: Sequence[str] | None = None
    env: Mapping[str, object] | None = None
    name: str | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Wait:
    """Wait for ``duration``."""

    duration: timedelta
    name: str | None = None


@dataclass(frozen=True)
class Notify:
    """Publish a message to a topic; as ``on_failure``, the message names the failed step, its error and cause.

    Raises ValueError for a ``subject`` that SNS rejects (API reference, Publish).
    """

    topic: NamedTopic
    subject: str | None = None
    message: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        subject = self.subject
        if subject is not None and not (subject.isascii() and subject.isprintable() and len(subject) <= 100):
            raise ValueError(f"SNS accepts a subject of at most 100 printable ASCII characters, not {subject!r}.")


@dataclass(frozen=True)
class ForEach:
    """Run ``body`` for each item, at most ``concurrency`` at once (0: unlimited). The item is the task's command."""

    items: Sequence[Any]
    body: Body
    concurrency: int = 0
    name: str | None = None


@dataclass(frozen=True)
class When:
    """Run ``then`` if a Choice rule in ASL without Next holds, such as ``{"Variable": "$.x", "IsPresent": True}``."""

    rule: Mapping[str, Any]
    then: Body


@dataclass(frozen=True)
class Choose:
    """Run the first :class:`When` whose rule holds, else ``otherwise``, if it is set."""

    cases: Sequence[When]
    otherwise: Body | None = None
    name: str = "choose"


@dataclass(frozen=True, init=False)
class Steps:
    """Run steps in order."""

    steps: tuple[Body, ...]

    def __init__(self, *steps: Body) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, init=False)
class Parallel:
    """Run steps in parallel. It ends when all steps have ended, and fails when one fails."""

    branches: tuple[Body, ...]
    name: str

    def __init__(self, *branches: Body, name: str = "parallel") -> None:
        object.__setattr__(self, "branches", branches)
        object.__setattr__(self, "name", name)


Body = Steps | RunTask | ForEach | Choose | Wait | Parallel | Notify


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
