"""Random workflows: their definitions are valid, and data arrives where an obvious interpretation of the steps says."""

from __future__ import annotations

import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import pytest

from nightferry.states.builder import (
    Body,
    Choose,
    Condition,
    ForEach,
    Format,
    Input,
    Item,
    Output,
    Parallel,
    RunTask,
    Steps,
    Value,
    When,
)
from nightferry.states.builder.values import AllOf, AnyOf, Comparison, JsonText, Match, Not, Presence, TypeTest
from nightferry.testing.tiers import SEED, examples
from tests.states.builder.world import Named, World, make_result

TASKS = [Named("a"), Named("b"), Named("c")]
SCALARS = ("n", "flag", "text")
DEFAULT = Input("later", default="a default")
ORDERS = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


# ── the obvious interpretation ────────────────────────────────────────────────────────────────────────────────


@dataclass
class Interpretation:
    """The runs of a workflow, by walking through its steps. ``results`` are those of the steps so far."""

    input: Mapping[str, Any]
    runs: list[Any]
    results: list[tuple[RunTask, Any]]
    item: Any = None

    def walk(self, body: Body) -> None:
        match body:
            case RunTask():
                self.run(body)
            case Steps(steps=steps):
                for step in steps:
                    self.walk(step)
            case Parallel(branches=branches):
                before = list(self.results)
                for branch in branches:
                    inner = replace(self, results=list(before))
                    inner.walk(branch)
                    self.results += inner.results[len(before) :]
            case ForEach(items=items):
                for item in self.read(items) if isinstance(items, Value) else items:
                    replace(self, results=list(self.results), item=item).walk(body.body)
            case Choose(cases=cases, otherwise=otherwise):
                found = [case.then for case in cases if self.holds(cast(Condition, case.condition))]
                for chosen in (found or ([otherwise] if otherwise else []))[:1]:
                    replace(self, results=list(self.results)).walk(chosen)

    def run(self, step: RunTask) -> None:
        env = {name: self.text(value) for name, value in (step.env or {}).items()}
        arguments = [self.text(word) for word in step.args]
        self.runs.append((step.task.name, env, arguments))
        self.results.append((step, make_result(step.task.name, env, arguments)))

    def read(self, value: Value) -> Any:
        match value:
            case Input(members=members, default=default):
                found: Any = {"later": default, **self.input}
            case Item(members=members):
                found = self.item
            case Output(members=members, of=of):
                (found,) = [result for step, result in self.results if of is step or of is step.task]
            case _:
                raise AssertionError(value)
        for member in members:
            found = found[member]
        return found

    def text(self, value: Any) -> str:
        if isinstance(value, JsonText):
            return str(self.read(value.value)).replace("'", '"').replace(" ", "")
        if isinstance(value, Format):
            parts = value.template.split("{}")
            values = [*map(self.text, value.values), ""]
            return "".join(part + text for part, text in zip(parts, values, strict=True))
        found = self.read(value) if isinstance(value, Value) else value
        return str(found).lower() if isinstance(found, bool) else str(found)

    def holds(self, condition: Condition) -> bool:
        match condition:
            case AllOf(conditions=parts):
                return all(self.holds(part) for part in parts)
            case AnyOf(conditions=parts):
                return any(self.holds(part) for part in parts)
            case Not(condition=inner):
                return not self.holds(inner)
            case Presence(value=Input(members=(name,))):
                return name in self.input
            case TypeTest(value=value, kind=kind):
                return {"Numeric": int, "String": str, "Boolean": bool}[kind] is type(self.read(value))
            case Match(value=value, pattern=pattern):
                return str(self.read(value)).startswith(pattern.rstrip("*"))
            case Comparison(value=value, order=order, other=other):
                one, two = self.read(value), self.read(other) if isinstance(other, Value) else other
                return type(one) is type(two) and ORDERS[order](one, two)
        raise AssertionError(condition)


# ── random workflows ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Place:
    """Where a step stands: the results that it can read, and the members of its item (None: outside ForEach)."""

    visible: list[RunTask]
    item: Sequence[str] | None = None

    def copy(self) -> Place:
        return replace(self, visible=list(self.visible))

    def scalars(self) -> list[Value]:
        """Return the values that are a text, a number or a Boolean."""
        found: list[Value] = [*map(Input, SCALARS), Input("nested", "n"), DEFAULT]
        found += [Output(self.name(step), member) for step in self.visible for member in SCALARS]
        if self.item is not None:
            found += [Item(member) for member in self.item if member in SCALARS] if self.item else [Item()]
        return found

    def lists(self) -> list[Value]:
        found: list[Value] = [Input("items")]
        found += [Output(self.name(step), "items") for step in self.visible]
        return [*found, Item("items")] if self.item else found

    def name(self, step: RunTask) -> Any:
        """Return the task of a step if no other step runs it, else the step."""
        return step.task if [one.task for one in self.visible].count(step.task) == 1 else step


class Drawing(random.Random):
    """Draws workflows and their input."""

    def text(self) -> str:
        return "".join(self.choices("aB'\\{} é\"\n,()", k=self.randint(0, 5)))

    def scalar(self) -> Any:
        return self.choice((self.text(), self.randint(-9, 9), self.random() < 0.5))

    def word(self, place: Place) -> object:
        value = self.choice(place.scalars())
        match self.choice(("value", "value", "constant", "format", "json")):
            case "constant":
                return self.scalar()
            case "json":
                return self.choice(place.lists()).as_json()
            case "format":
                template = self.text().replace("{", "<").replace("}", ">")
                return Format(template + "{}|{}", value, self.choice((self.scalar(), self.choice(place.scalars()))))
        return value

    def condition(self, place: Place, depth: int = 2) -> Condition:
        value = self.choice(place.scalars())
        simple = ("constant", "constant", "values", "type", "match", "present")
        match self.choice((*simple, "and", "or", "not") if depth else simple):
            case "and":
                return self.condition(place, depth - 1) & self.condition(place, depth - 1)
            case "or":
                return self.condition(place, depth - 1) | self.condition(place, depth - 1)
            case "not":
                return ~self.condition(place, depth - 1)
            case "present":
                return Input(self.choice(("n", "maybe"))).is_present()
            case "type":
                return self.choice((value.is_number, value.is_text, value.is_boolean))()
            case "match":
                return self.choice([value for value in place.scalars() if "text" in value.members]).matches("a*")
            case "values":
                return Comparison(value, self.choice(tuple(ORDERS)), self.choice(place.scalars()))
        order = self.choice(tuple(ORDERS))
        return Comparison(value, order, self.scalar() if order == "Equals" else self.choice((self.text(), 0, 3)))

    def body(self, place: Place, depth: int) -> Body:
        match self.choice(("run", "steps", "steps", "steps", "parallel", "each", "choose") if depth else ("run",)):
            case "steps":
                return Steps(*(self.body(place, depth - 1) for _ in range(self.randint(1, 4))))
            case "parallel":
                before, places = len(place.visible), [place.copy() for _ in range(self.randint(1, 2))]
                parallel = Parallel(*(self.body(inner, depth - 1) for inner in places))
                place.visible += [step for inner in places for step in inner.visible[before:]]
                return parallel
            case "each":
                items: Any = self.choice([*place.lists(), None])
                inner = Place(list(place.visible), ())
                if items is None:
                    items = [make_result("item", {}, [self.text()]) for _ in range(self.randint(0, 2))]
                    inner.item = (*SCALARS, "items")
                return ForEach(items, self.body(inner, depth - 1), concurrency=self.randint(0, 2))
            case "choose":
                cases = [
                    When(self.condition(place), self.body(place.copy(), depth - 1)) for _ in range(self.randint(1, 2))
                ]
                return Choose(*cases, otherwise=self.choice((None, self.body(place.copy(), depth - 1))))
        step = RunTask(
            self.choice(TASKS),
            env={name: self.word(place) for name in self.sample("XY", self.randint(0, 2))},
            args=[self.word(place) for _ in range(self.randint(0, 2))],
        )
        place.visible.append(step)
        return step

    def input(self) -> dict[str, Any]:
        found = {"n": self.randint(-9, 9), "flag": self.random() < 0.5, "text": self.text(), "nested": {"n": 3}}
        optional = {name: self.text() for name in ("later", "maybe") if self.random() < 0.5}
        return found | {"items": [self.randint(0, 9) for _ in range(self.randint(0, 2))]} | optional


@pytest.mark.parametrize("seed", range(SEED, SEED + examples(4)))
def test_data_arrives_where_an_obvious_interpretation_says(seed: int) -> None:
    drawing = Drawing(seed)
    for _ in range(10):
        body, input = drawing.body(Place([]), 4), drawing.input()
        expected = Interpretation(input, [], [])
        expected.walk(body)
        world = World({task.name: partial(make_result, task.name) for task in TASKS})
        result = world.execute(body, input)
        assert result.status == "SUCCEEDED", result.cause
        assert sorted(world.ran, key=repr) == sorted(expected.runs, key=repr), body
