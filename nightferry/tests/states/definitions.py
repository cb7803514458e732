"""Hypothesis strategies for valid definitions with every state type, which always end."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st

TASKS = "arn:aws:states:::test:"

_FAILING_DATA: dict[str, list[dict[str, Any]]] = {
    "JSONPath": [
        {"ResultPath": "$.x.y"},  # fails without an event, because $.x is not an object in these tests
        {"OutputPath": "$.no.such"},  # cannot be caught
        {"Parameters": {"n.$": "States.MathRandom(1, 3)", "bad.$": "States.StringToJson('{')"}},
    ],
    "JSONata": [
        {"Arguments": {"n": "{% $random() > 0.3 ? 1 : $nope %}"}},
        {"Output": "{% $random() > 0.3 ? $states.input : $nope %}"},
    ],
}
_SELECTORS: dict[str, dict[str, Any]] = {
    "JSONPath": {"id.$": "States.UUID()", "item.$": "$$.Map.Item.Value"},
    "JSONata": {"id": "{% $uuid() %}", "item": "{% $states.context.Map.Item.Value %}"},
}

ERRORS = ["Boom", "States.TaskFailed", "States.Timeout", "States.ALL", "States.Runtime"]


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Generate a definition. Its Task resources start with ``TASKS``."""
    names = (f"S{n}" for n in count())
    language = draw(st.sampled_from(["JSONPath", "JSONPath", "JSONata"]))
    program = draw(_program(names, language, depth=2))
    if not draw(st.integers(0, 4)):
        program["TimeoutSeconds"] = draw(st.integers(1, 20))
    return {"QueryLanguage": language, **program} if language == "JSONata" or draw(st.booleans()) else program


@st.composite
def _program(draw: st.DrawFn, names: Any, language: str, depth: int, *, mapped: bool = False) -> dict[str, Any]:
    length = draw(st.integers(1, 3))
    chain = [next(names) for _ in range(length)]
    states: dict[str, Any] = {}
    for index, name in enumerate(chain):
        following = chain[index + 1] if index + 1 < length else None
        kinds = ["Pass", "Wait", "Task", "Task", "Choice"]
        if depth:
            kinds += ["Parallel", "Map", "Map"]
        if following is None:
            kinds += ["Fail", "Succeed"]
        state, more = draw(_state(draw(st.sampled_from(kinds)), names, language, following, depth, mapped))
        states[name] = state
        states |= more
    return {"StartAt": chain[0], "States": states}


@st.composite
def _state(
    draw: st.DrawFn, kind: str, names: Any, language: str, following: str | None, depth: int, mapped: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    jsonata = language == "JSONata"
    state: dict[str, Any] = {"Type": kind}
    more: dict[str, Any] = {}
    if kind not in ("Choice", "Fail", "Succeed"):
        state |= {"End": True} if following is None else {"Next": following}
    if kind not in ("Fail", "Succeed") and draw(st.booleans()):
        variable = next(names)  # a branch must not assign the variables of enclosing states
        state["Assign"] = {variable: "{% $random() %}"} if jsonata else {f"{variable}.$": "States.UUID()"}
    match kind:
        case "Pass" if mapped and draw(st.booleans()):
            if jsonata:
                state["Output"] = "{% $states.context.Map.Item %}"
            else:
                state["Parameters"] = {"item.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"}
        case "Pass":
            if jsonata:
                state["Output"] = draw(st.sampled_from([{"a": "{% $uuid() %}"}, "{% $states.input %}", "{% $nope %}"]))
            else:
                state |= draw(
                    st.sampled_from(
                        [
                            {},
                            {"Parameters": {"id.$": "States.UUID()", "n.$": "States.MathRandom(1, 100)"}},
                            {"Result": {"x": [1, 2]}, "ResultPath": "$.r"},
                            {"Parameters": {"missing.$": "$.no.such"}},
                            {"Parameters": {"bad.$": "States.StringToJson('{')"}},
                        ]
                    )
                )
        case "Wait":
            if jsonata and draw(st.booleans()):
                state["Timestamp"] = "{% $fromMillis($millis() + 2500) %}"
            else:
                state["Seconds"] = draw(st.integers(0, 5))
        case "Fail":
            state |= {"Error": draw(st.sampled_from(["Boom", "Other"])), "Cause": "because"}
        case "Choice":
            end = next(names)
            more[end] = {"Type": "Succeed"}
            target = following or end
            rule = {"Condition": "{% $random() > 0.5 %}"} if jsonata else {"Variable": "$.x", "IsPresent": True}
            state["Choices"] = [{**rule, "Next": target}]
            state["Default"] = end
        case "Task":
            action = draw(st.sampled_from(["ok", "ok", "boom", "flaky", "slow", "work.sync"]))
            state["Resource"] = TASKS + action
            state["TimeoutSeconds"] = 10
            if draw(st.booleans()):
                state |= draw(st.sampled_from(_FAILING_DATA[language]))
            draw(_handlers(state, more, names, language))
        case "Parallel":
            inner = [draw(_program(names, language, depth - 1, mapped=mapped)) for _ in range(draw(st.integers(1, 3)))]
            state["Branches"] = inner
            draw(_handlers(state, more, names, language))
        case "Map":
            distributed, batched = draw(st.booleans()), draw(st.booleans())
            processor = draw(_program(names, language, depth - 1, mapped=not (distributed and batched)))
            if not distributed:
                state["ItemProcessor"] = processor
            else:
                config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
                state["ItemProcessor"] = {"ProcessorConfig": config, **processor}
                state["ToleratedFailureCount"] = draw(st.integers(0, 2))
                if batched:
                    state["ItemBatcher"] = {"MaxItemsPerBatch": 2}
            if draw(st.booleans()):
                state["ItemSelector"] = _SELECTORS[language]
            state["MaxConcurrency"] = draw(st.integers(0, 2))
            if jsonata:
                state["Items"] = draw(st.sampled_from([[1, 2, 3], "{% [0..$millis() / 1000 % 3] %}"]))
            else:
                state["ItemsPath"] = "$$.Execution.Input.items"
            draw(_handlers(state, more, names, language))
    return state, more


@st.composite
def _handlers(draw: st.DrawFn, state: dict[str, Any], more: dict[str, Any], names: Any, language: str) -> None:
    if draw(st.booleans()):
        retrier: dict[str, Any] = {
            "ErrorEquals": [draw(st.sampled_from(ERRORS))],
            "MaxAttempts": draw(st.integers(0, 2)),
        }
        if draw(st.booleans()):
            retrier |= {"IntervalSeconds": 2, "MaxDelaySeconds": 3, "JitterStrategy": "FULL"}
        state["Retry"] = [retrier]
    if draw(st.booleans()):
        caught = next(names)
        more[caught] = {"Type": "Pass", "End": True}
        state["Catch"] = [{"ErrorEquals": [draw(st.sampled_from(ERRORS))], "Next": caught}]
        if language == "JSONPath" and draw(st.booleans()):
            state["Catch"][0]["ResultPath"] = None
