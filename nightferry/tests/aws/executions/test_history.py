"""The scopes derived from GetExecutionHistory equal those of the local engine's own history."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.aws.executions.history import add_scopes
from nightferry.backend.state_history import state_history
from nightferry.states.local_run import run
from nightferry.testing.tiers import examples
from tests.states.machines import FUNCTION

Body = list[Any]
leaves = st.sampled_from(["pass", "task", "fails", "caught", "retried"])
bodies = st.recursive(
    st.lists(leaves, min_size=1, max_size=3),
    lambda inner: st.lists(
        leaves
        | st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=3), st.booleans())
        | st.tuples(st.just("map"), st.integers(0, 3), st.integers(0, 2), inner, st.booleans()),
        min_size=1,
        max_size=3,
    ),
    max_leaves=12,
)
CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "caught"}]


def machine(body: Body, path: str = "s") -> dict[str, Any]:
    """Return a machine that passes through the states of a body. Caught errors lead to the state ``caught``."""
    states: dict[str, Any] = {}
    for number, kind in enumerate(body):
        name = f"{path}{number}"
        after = {"Next": f"{path}{number + 1}"} if number + 1 < len(body) else {"End": True}
        states[name] = {**state(kind, name), **after}
    if any("Catch" in one for one in states.values()):
        catching = f"{path} caught"
        states[catching] = {"Type": "Pass", "End": True}
        for one in states.values():
            if "Catch" in one:
                one["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": catching}]
    return {"StartAt": f"{path}0", "States": states}


def state(kind: Any, name: str) -> dict[str, Any]:
    match kind:
        case "pass":
            return {"Type": "Pass"}
        case "task":
            return {"Type": "Task", "Resource": f"{FUNCTION}-good"}
        case "fails":
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad"}
        case "caught":
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad", "Catch": CATCH}
        case "retried":
            retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad", "Retry": retry, "Catch": CATCH}
        case ("parallel", branches, caught):
            made = [machine(branch, f"{name}p{n}-") for n, branch in enumerate(branches)]
            return {"Type": "Parallel", "Branches": made, **({"Catch": CATCH} if caught else {})}
        case ("map", items, at_once, body, caught):
            return {
                "Type": "Map",
                "Items": list(range(items)),
                "QueryLanguage": "JSONata",
                "MaxConcurrency": at_once,
                "ItemProcessor": machine(body, f"{name}m-"),
                **({"Catch": CATCH} if caught else {}),
            }
    raise AssertionError(kind)


def bad(_: Any) -> Any:
    raise ValueError("bad")


@given(body=bodies)
@settings(max_examples=examples(150), deadline=None)
def test_scopes_that_aws_does_not_return_are_derived(body: Body) -> None:
    result = run(machine(body), {}, {f"{FUNCTION}-good": lambda value: value, f"{FUNCTION}-bad": bad})
    assert result.history
    assert state_history(add_scopes(result.history)) == state_history(result.events)
