"""Every public name for catalogs and workflows, with arguments of every wrong type: a message about the argument.

An error of Python itself, such as AttributeError, would name neither the argument nor the right form.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from nightferry import (
    Bucket,
    Catalog,
    Choose,
    ForEach,
    Format,
    Image,
    Input,
    Item,
    Notify,
    Output,
    Parallel,
    PostgresService,
    Retry,
    RunTask,
    Secret,
    Size,
    Steps,
    Wait,
    When,
)
from nightferry.errors import NightferryError

Case = tuple[Callable[..., Any], dict[str, Any]]
"""A function that declares something, and correct arguments."""


class World:
    """A catalog with a task, a topic and a bucket."""

    def __init__(self) -> None:
        self.catalog = Catalog("acme", image=Image("acme"), results=Bucket("files") / "results")
        self.bucket = self.catalog.bucket("files")
        self.task = self.catalog.task("load", command=["load"], accepts_args=True, overridable=["X", "A"])
        self.topic = self.catalog.topic("failures")
        self.run = RunTask(self.task)

    def declare(self, *steps: Any, **options: Any) -> None:
        self.catalog.workflow("flow", Steps(*steps), **options)

    def pass_text(self, value: Any) -> Steps:
        return Steps(RunTask(self.task, env={"X": value}), RunTask(self.task, args=[value]))

    def values(self) -> Iterator[Any]:
        """Yield values, each of which is wrong in most places."""
        yield from (object(), None, 5, -1, 1.5, float("nan"), True, "", "x", "load", b"x", [], ["X"], [1, None], {})
        yield from ({1: 2}, {"X": object()}, {"X": {1}}, {"X": None}, set(), (), int, Retry, lambda: 1, range(3))
        yield from (timedelta(-1), timedelta(days=9999), datetime(2026, 1, 1), self.task, self.topic, self.bucket)
        yield from (Input("a"), Input("a") > 1, self.run, [self.task], [self.run], Item(), Item, RunTask, Secret("x"))
        yield from (When(Input("a") > 1, self.run), Size(), Notify(self.topic))

    def steps(self) -> Iterator[Case]:
        run, task = self.run, self.task
        step = {"task": task, "env": {}, "name": None, "timeout": None, "retry": None, "args": ()}
        yield lambda **k: self.declare(RunTask(**k)), step
        yield lambda **k: self.declare(Wait(**k)), {"duration": timedelta(1), "name": None}
        notice = {"topic": self.topic, "subject": "s", "message": "m"}
        yield lambda **k: self.declare(Notify(**k)), notice | {"name": None}
        yield lambda **k: self.declare(run, on_failure=Notify(**k)), notice
        each = {"items": ["a"], "body": run, "concurrency": 0, "name": None}
        yield lambda **k: self.declare(ForEach(**k)), each
        yield lambda **k: self.declare(Choose(When(**k))), {"condition": Input("a") > 1, "then": run}
        choose = {"case": When(Input("a") > 1, run), "otherwise": run, "name": "choose"}
        yield lambda case, **k: self.declare(Choose(case, **k)), choose
        yield lambda a, b, **k: self.declare(Parallel(a, b, **k)), {"a": run, "b": run, "name": "both"}
        yield lambda a, b: self.declare(a, b), {"a": run, "b": run}
        retry = {"attempts": 2, "interval": 1, "backoff": 2.0, "errors": ("States.TaskFailed",)}
        yield lambda **k: self.declare(RunTask(task, retry=Retry(**k))), retry
        flow = {"name": "flow", "body": run, "description": "", "retry": None, "timeout": None, "on_failure": None}
        yield partial(self.catalog.workflow), flow | {"overlap": "skip", "severity": "low"}

    def computed(self) -> Iterator[Case]:
        run, text = self.run, self.pass_text
        yield lambda a, **k: self.declare(text(Input(a, **k))), {"a": "day", "default": "x"}
        yield lambda of, a: self.declare(run, text(Output(of, a))), {"of": run, "a": "rows"}
        yield lambda a: self.declare(ForEach(["x"], text(Item(a)))), {"a": "id"}
        yield lambda t, v: self.declare(text(Format(t, v))), {"t": "{}", "v": Input("a")}
        for method in ("matches", "is_in", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
            right = ["a"] if method == "is_in" else "a"
            yield partial(self._choose, Input("a"), method), {"other": right}
        for method in ("__and__", "__or__"):
            yield partial(self._choose, Input("a") == 1, method), {"other": Input("b") == 1}

    def _choose(self, value: Any, method: str, other: Any) -> None:
        condition = getattr(value, method)(other)
        if condition is not NotImplemented:  # Python then raises a TypeError that names both types
            self.declare(Choose(When(condition, self.run)))

    def declarations(self) -> Iterator[Case]:
        catalog = self.catalog
        yield partial(Catalog), {"name": "acme", "image": Image("acme"), "env": {}, "secrets": {}, "results": None}
        yield catalog.bucket, {"name": "more"}
        yield catalog.topic, {"name": "more"}
        yield catalog.setting, {"name": "region", "default": "eu"}
        yield catalog.service, {"service": PostgresService("database", "acme")}
        task = {"name": "more", "main": None, "command": ["x"], "config": None, "description": "", "env": {}}
        task |= {"secrets": {}, "grants": [], "size": Size(), "time_limit": timedelta(1), "expected": None}
        task |= {"overlap": "allow", "severity": "low", "scratch": 0, "concurrency": None, "retry": None}
        yield catalog.task, task | {"required_at_start": (), "overridable": (), "accepts_args": True}
        schedule = {"name": "more", "target": self.task, "expression": "rate(1 day)", "timezone": "UTC", "args": ()}
        schedule |= {"env": {}, "enabled": True, "via": "scheduler", "catch_up": "all", "start": None, "end": None}
        yield catalog.schedule, schedule
        trigger = {"name": "more", "target": self.task, "bucket": self.bucket, "prefix": "in/", "suffix": ".csv"}
        yield catalog.object_trigger, trigger | {"enabled": True, "via": "lambda"}
        for grant in (self.bucket.read, self.bucket.write, self.bucket.read_write):
            yield (
                lambda pattern, grant=grant: catalog.task("more", command=["x"], grants=[grant(pattern)]),
                {"pattern": "a/*"},
            )


KINDS = ("steps", "computed", "declarations")
COUNTS = {kind: len(list(getattr(World(), kind)())) for kind in KINDS}


def is_deliberate(error: Exception) -> bool:
    """Return True if Nightferry raised the error with ``raise``."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0)
    expected = isinstance(error, TypeError | ValueError | NightferryError)
    return expected and "nightferry" in frame.filename and line.strip().startswith("raise ")


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("kind", "index"), [(kind, index) for kind in KINDS for index in range(COUNTS[kind])])
def test_a_wrong_argument_is_reported_with_a_message(kind: str, index: int) -> None:
    problems = []
    _, arguments = list(getattr(World(), kind)())[index]
    for name in arguments:
        for number in range(len(list(World().values()))):
            world = World()
            declare, right = list(getattr(world, kind)())[index]
            wrong = list(world.values())[number]
            try:
                declare(**{**right, name: wrong})
            except Exception as error:  # every kind of error is judged
                if not is_deliberate(error):
                    frame = traceback.extract_tb(error.__traceback__)[-1]
                    problems.append(
                        f"{name}={wrong!r:.60}: {type(error).__name__}: {error!s:.80} ({frame.filename}:{frame.lineno})"
                    )
    assert not problems, "\n".join(problems)


def test_correct_arguments_are_accepted() -> None:
    for kind in KINDS:
        for index in range(COUNTS[kind]):
            declare, right = list(getattr(World(), kind)())[index]
            if "of" not in right:  # a result needs a task with a main
                declare(**right)
