"""Small definitions, and helpers that extract parts of results."""

from __future__ import annotations

from typing import Any

from nightferry.states import Result

RUN_TASK = "arn:aws:states:::ecs:runTask.sync"
INVOKE = "arn:aws:states:::lambda:invoke"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"


def one(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return a machine that starts with the state ``S``, which ends unless it has Next, and has ``others``."""
    if "Next" not in state and state["Type"] not in ("Succeed", "Fail", "Choice"):
        state = {**state, "End": True}
    return {"StartAt": "S", "States": {"S": state, **others}}


def types(result: Result) -> list[str]:
    """Return the types of the events."""
    return [event["type"] for event in result.history]


def details(result: Result, kind: str) -> list[dict[str, Any]]:
    """Return the details of all events of a type."""
    key = {"StateEntered": "stateEntered", "StateExited": "stateExited"}.get(kind, kind[0].lower() + kind[1:])
    return [event[f"{key}EventDetails"] for event in result.history if f"{key}EventDetails" in event]


def endless() -> dict[str, Any]:
    """Return a machine with an end that it never reaches."""
    leave = [{"Variable": "$.enough", "IsPresent": True, "Next": "E"}]
    return {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Choice", "Choices": leave, "Default": "B"},
            "B": {"Type": "Pass", "Next": "A"},
            "E": {"Type": "Succeed"},
        },
    }
