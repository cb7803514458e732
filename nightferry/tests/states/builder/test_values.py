"""Values that a workflow passes to its steps: input, items, results, and conditions on them."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from nightferry.contract import RESULTS_VARIABLE
from nightferry.states import StatesError
from nightferry.states.builder import (
    Body,
    Choose,
    Condition,
    ForEach,
    Format,
    Input,
    Item,
    Notify,
    Output,
    Parallel,
    RunTask,
    Steps,
    Wait,
    When,
    render,
    render_workflow,
)
from tests.states.builder.world import FOLDER, Job, Named, World

A, B, C = Named("a"), Named("b"), Named("c")


def execute(body: Body, data: Any = None, **tasks: Job) -> list[Any]:
    """Return the runs of a workflow that succeeds: name, variables, arguments."""
    world = World(tasks)
    result = world.execute(body, data)
    assert result.status == "SUCCEEDED", result.cause
    return world.ran


def test_the_input_reaches_variables_and_arguments_as_text() -> None:
    step = RunTask(
        A,
        env={"KEY": Input("key"), "ID": Input("order", "id"), "FULL": Input("full"), "ALL": Input("order").as_json()},
        args=["--count", Input("count"), Format("--uri=s3://{}/{}", Input("bucket"), Input("key")), "it's {x} \\"],
    )
    data = {"key": "in/a b.csv", "order": {"id": 7}, "full": True, "count": 3, "bucket": "files"}
    expected = {"KEY": "in/a b.csv", "ID": "7", "FULL": "true", "ALL": '{"id":7}'}
    arguments = ["--count", "3", "--uri=s3://files/in/a b.csv", "it's {x} \\"]
    assert execute(step, data) == [("a", expected, arguments)]


def test_a_default_is_the_value_of_an_absent_member() -> None:
    region = Input("region", default="eu")
    body = Steps(
        RunTask(A, env={"REGION": region, "N": Input("n", default=[1]).as_json()}),
        ForEach([1], Parallel(RunTask(B, args=[region]))),
    )
    assert execute(body) == [("a", {"REGION": "eu", "N": "[1]"}, []), ("b", {}, ["eu"])]
    assert execute(body, {"region": "us", "n": 2})[0] == ("a", {"REGION": "us", "N": "2"}, [])
    assert render_workflow(body).required == ()


def test_the_members_that_every_execution_needs() -> None:
    body = Steps(
        Choose(When(Input("key").is_present() & (Input("kind") == "x"), RunTask(A, env={"KEY": Input("key")}))),
        ForEach(Input("regions"), RunTask(A, args=[Item()])),
        Choose(When(Input("kind") == "y", RunTask(B, args=[Input("only-y")]))),
    )
    assert render_workflow(body).required == ("kind", "regions")


def test_items_of_every_kind_and_nested_items() -> None:
    inner = ForEach(Item("years"), RunTask(A, env={"YEAR": Item()}), concurrency=1)
    body = ForEach(Input("regions"), Steps(RunTask(B, args=["--region", Item("name")]), inner), concurrency=1)
    data = {"regions": [{"name": "eu", "years": [1, 2]}, {"name": "us", "years": []}]}
    runs = execute(body, data)
    assert [(name, env.get("YEAR"), args) for name, env, args in runs] == [
        ("b", None, ["--region", "eu"]),
        ("a", "1", []),
        ("a", "2", []),
        ("b", None, ["--region", "us"]),
    ]


def test_static_items_may_be_objects_with_any_member() -> None:
    body = ForEach([{"x.$": "$.y", "z": [1]}], RunTask(A, env={"X": Item("x.$"), "Z": Item("z").as_json()}))
    assert execute(body) == [("a", {"X": "$.y", "Z": "[1]"}, [])]


def test_the_result_of_a_task_reaches_variables_items_and_conditions() -> None:
    load = RunTask(A)
    body = Steps(
        load,
        Choose(
            When(
                Output(A, "rows") >= 2,
                ForEach(
                    Output(load, "keys"), RunTask(B, args=[Item()], env={"ROWS": Output(A, "rows")}), concurrency=1
                ),
            ),
            otherwise=RunTask(C),
        ),
    )
    many = execute(body, a=lambda *_: {"rows": 2, "keys": ["k1", "k2"]})
    assert many[1:] == [("b", {"ROWS": "2"}, ["k1"]), ("b", {"ROWS": "2"}, ["k2"])]
    assert [name for name, *_ in execute(body, a=lambda *_: {"rows": 1, "keys": []})] == ["a", "c"]


def test_each_iteration_and_each_step_reads_its_own_result() -> None:
    twice = lambda env, arguments: {"n": int((arguments or [env["N"]])[0]) * 2}  # noqa: E731
    one, two = RunTask(A, args=["1"]), RunTask(A, args=["5"])
    body = Steps(
        one,
        two,
        ForEach([10, 20], Steps(RunTask(B, args=[Item()]), RunTask(C, args=[Output(B, "n"), Output(two, "n")]))),
    )
    runs = execute(body, a=twice, b=twice)
    assert sorted(args for name, _, args in runs if name == "c") == [["20", "10"], ["40", "10"]]


def test_a_retried_task_supplies_the_result_of_the_attempt_that_succeeded() -> None:
    attempts = iter([StatesError("AmazonECS.Unknown", ""), {"n": 2}])

    def load(*_: Any) -> Any:
        outcome = next(attempts)
        if isinstance(outcome, StatesError):
            raise outcome
        return outcome

    assert execute(Steps(RunTask(A), RunTask(B, args=[Output(A, "n")])), a=load)[-1] == ("b", {}, ["2"])


def test_a_missing_result_fails_the_step_that_reads_it() -> None:
    world = World({"a": lambda *_: {"n": 1}})
    world.objects = type("Lost", (dict,), {"__setitem__": lambda *_: None})()
    result = world.execute(Steps(RunTask(A), RunTask(B, args=[Output(A, "n")])))
    assert (result.status, result.error) == ("FAILED", "S3.S3Exception")
    assert len(world.ran) == 1
    assert len(world.reads) == 3, "the error of a missing result is also that of throttling, so it is retried twice"


def test_results_of_parallel_branches_are_known_after_them() -> None:
    first = RunTask(A, args=["x"])
    body = Steps(
        ForEach(
            ["item"],
            Steps(
                Parallel(
                    Steps(first, Parallel(RunTask(B, args=[Output(A, "n")]), name="inner")),
                    Choose(When(Input("n") > 0, RunTask(C))),
                    Steps(RunTask(A), Choose(When(Input("n") > 0, RunTask(C)))),
                ),
                RunTask(C, args=[Output(first, "n"), Output(B, "n"), Item(), Format("{}", Output(first, "n"))]),
            ),
        ),
    )
    for n in (0, 1):
        runs = execute(body, {"n": n}, a=lambda *_: {"n": 1}, b=lambda _, arguments: {"n": arguments[0] + "b"})
        assert runs[-1] == ("c", {}, ["1", "1b", "item", "1"])


def test_a_branch_that_ends_with_a_choice_passes_its_result_on() -> None:
    branch = Steps(RunTask(A), Choose(When(Input("n") > 0, RunTask(C))))
    body = Steps(Parallel(branch), RunTask(B, args=[Output(A, "n")]))
    for n, names in ((0, ["a", "b"]), (1, ["a", "c", "b"])):
        runs = execute(body, {"n": n}, a=lambda *_: {"n": 1})
        assert [name for name, *_ in runs] == names
        assert runs[-1] == ("b", {}, ["1"])


def test_only_a_result_that_is_read_is_stored() -> None:
    rendered = render_workflow(Steps(RunTask(A), RunTask(B), RunTask(C, args=[Output(B, "n")])), results=FOLDER)
    assert rendered.results == ("b",)
    assert [name for name in rendered.definition["States"] if name.endswith("result")] == ["b: result"]
    assert json.dumps(rendered.definition).count(RESULTS_VARIABLE) == 1


def test_a_message_with_values() -> None:
    world = World({"a": lambda *_: {"rows": 3}})
    notify = Notify(Named("topic"), message=Format("{} rows of {}", Output(A, "rows"), Input("day")))
    assert world.execute(Steps(RunTask(A), notify), {"day": "Monday"}).status == "SUCCEEDED"
    assert world.messages == ["3 rows of Monday"]


given, other = Input("x"), Input("y")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("condition", "data", "holds"),
    [
        *(
            (order(given, 2), {"x": n}, order(n, 2))
            for n in (1, 2, 3)
            for order in (operator.gt, operator.ge, operator.lt)
        ),
        *((order(given, "b"), {"x": t}, order(t, "b")) for t in "abc" for order in (operator.le, operator.gt)),
        *((given == 2, {"x": value}, value == 2) for value in (2, "2", True, None)),
        *((given != "a", {"x": value}, value != "a") for value in ("a", "b", 1, None)),
        (given == True, {"x": True}, True),  # noqa: E712
        (given == True, {"x": 1}, False),  # noqa: E712
        (given == None, {"x": None}, True),  # noqa: E711
        (given != None, {"x": 0}, True),  # noqa: E711
        (given < NOON, {"x": "2026-11-24T11:59:59Z"}, True),
        (given < NOON, {"x": "2026-11-24T14:00:00+01:00"}, False),
        *((order(given, other), {"x": 1, "y": 2}, order(1, 2)) for order in (operator.lt, operator.eq, operator.ne)),
        (given < other, {"x": "a", "y": "b"}, True),
        (given == other, {"x": True, "y": True}, True),
        (given == other, {"x": 1, "y": "1"}, False),
        (given.is_present(), {}, False),
        (given.is_present(), {"x": None}, True),
        (~given.is_present() | (given > 1), {}, True),
        (given.is_present() & (given > 1), {}, False),
        ((given > 1) & ((other == "a") | ~(other == "b")), {"x": 2, "y": "c"}, True),
        ((given > 1) & (other == "a"), {"x": 1, "y": "a"}, False),
        (given.is_in(["a", 2]), {"x": 2}, True),
        (given.is_in(["a", 2]), {"x": "2"}, False),
        (given.matches("in/*.csv"), {"x": "in/a.csv"}, True),
        (given.is_null(), {"x": 0}, False),
        (given.is_text(), {"x": "0"}, True),
        (given.is_number(), {"x": True}, False),
        (given.is_boolean(), {"x": True}, True),
        (given.is_timestamp(), {"x": "2026-11-24"}, False),
    ],
)
def test_a_condition(condition: Condition, data: Any, holds: bool) -> None:
    body = Choose(When(condition, RunTask(A)), otherwise=RunTask(B))
    assert [name for name, *_ in execute(body, data)] == ["a" if holds else "b"]


def test_python_cannot_decide_a_condition() -> None:
    for decide in (
        lambda: bool(given),
        lambda: 0 < given < 5,
        lambda: (given > 1) and (other > 1),
        lambda: not (given > 1),
        lambda: f"region {given}",
        lambda: str(given),
    ):  # type: ignore[operator]
        with pytest.raises(TypeError, match="known only when the workflow runs"):
            decide()


LOAD = RunTask(A)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunTask(A, args=[Item()]), r"Item\(\) is used outside ForEach"),
        (lambda: Steps(ForEach([1], RunTask(A)), RunTask(B, args=[Item("x")])), r"Item\('x'\) is used outside ForEach"),
        (
            lambda: RunTask(B, args=[Output(A, "n")]),
            r"Output\('a', 'n'\): no step of this workflow runs the task. .*: b",
        ),
        (lambda: RunTask(A, args=[Output(A, "n")]), "runs in or after the step that uses its result"),
        (lambda: Steps(RunTask(B, args=[Output(A)]), RunTask(A)), "runs in or after the step that uses its result"),
        (
            lambda: Parallel(RunTask(A), RunTask(B, args=[Output(A)])),
            "the task runs in a branch of 'parallel', where this step cannot read its result",
        ),
        (
            lambda: Steps(Parallel(RunTask(A), RunTask(A)), RunTask(B, args=[Output(A)])),
            "2 earlier steps run this task",
        ),
        (
            lambda: Steps(Parallel(ForEach([1], RunTask(A), name="all")), RunTask(B, args=[Output(A)])),
            "the task runs once for each item of 'all'",
        ),
        (
            lambda: Steps(ForEach([1], RunTask(A), name="all"), RunTask(B, args=[Output(A)])),
            "the task runs once for each item of 'all'",
        ),
        (
            lambda: Steps(Choose(When(given > 1, RunTask(A)), name="full?"), RunTask(B, args=[Output(A)])),
            r"the task runs only in one case of 'full\?'",
        ),
        (
            lambda: Choose(When(given > 1, RunTask(A)), otherwise=RunTask(B, args=[Output(A)])),
            "the task runs only in one case of 'choose'",
        ),
        (
            lambda: Steps(RunTask(A), RunTask(A), RunTask(B, args=[Output(A)])),
            "2 earlier steps run this task. Assign one",
        ),
        (lambda: Steps(LOAD, LOAD, RunTask(B, args=[Output(LOAD)])), "2 earlier steps run this task"),
        (
            lambda: Steps(RunTask(A, args=[given]), RunTask(B, args=[Input("x", default=1)])),
            "has a default in one place",
        ),
        (lambda: Input("order", "id", default=1), "only a member of the input itself can have a default"),
        (lambda: Input("a'b"), "is not the name of a member"),
        (lambda: given < datetime(2026, 1, 1), "needs a time zone"),
        (lambda: given < True, "cannot be compared with True"),
        (lambda: given == [1], "cannot be compared with"),
        (lambda: given.is_in([]), "would never hold"),
        (lambda: given.as_json() == "1", "cannot be compared. Compare the values"),
        (lambda: Format("{} {x}", 1), "needs one value for each"),
        (lambda: Format("{}"), "needs one value for each"),
        (lambda: ForEach(Format("{}", 1), RunTask(A)), "cannot be used here"),
    ],
)
def test_a_value_that_cannot_exist_is_refused(make: Callable[[], Body], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(make(), results=FOLDER)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Steps(A, B), r"^Steps has the .* 'a', which is not a step. Run a task with RunTask\(task\)\.$"),
        (lambda: given["id"], r"For a member of it, use Input\(…, 'id'\)\.$"),
        (lambda: given > 1 & other > 2, r"Put each comparison in parentheses: \(a > 1\) & \(b > 2\)"),
        (lambda: Parallel([RunTask(A)]), r"^Parallel has a list, which is not a step. Pass the steps as arguments"),
        (lambda: ForEach(["eu"], "a"), "^ForEach has 'a', which is not a step. Use RunTask, ForEach"),
        (lambda: Choose(given > 1, RunTask(A)), r"Use Choose\(When\(condition, step\), …"),
        (lambda: When(given, RunTask(A)), r"^When\(Input\('x'\), …\) needs a condition. Compare a value"),
        (lambda: When(given > 1, A), "^When has the .* 'a', which is not a step"),
        (lambda: Choose(When(given > 1, RunTask(A)), otherwise=A), "^Choose has the .* 'a', which is not a step"),
        (lambda: RunTask("a"), r"^RunTask\('a'\) needs the task itself, as in task = catalog.task"),
        (lambda: RunTask(A, retry=3), r"^RunTask of 'a' has retry=3. Use Retry"),
        (lambda: Output("a", "n"), r"^Output\('a', …\) needs the task instead of its name"),
        (lambda: Notify("failures"), r"^Notify\('failures'\) needs the topic itself"),
        (lambda: Wait(5), r"^Wait\(5\) needs a duration, as in Wait\(timedelta"),
    ],
)
def test_an_argument_of_another_type_is_refused_with_the_right_form(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_a_result_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="the catalog has no folder for results"):
        render(Steps(RunTask(A), RunTask(B, args=[Output(A)])))
