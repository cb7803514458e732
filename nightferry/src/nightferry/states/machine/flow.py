"""The way of the data through a state: from its input to its work, and from the result to its output.

JSONPath: InputPath → Parameters → (work) → ResultSelector → Assign → ResultPath → OutputPath.
JSONata: Arguments → (work) → Assign, Output. Source: Amazon States Language specification, "Input and Output".
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import TYPE_CHECKING

from nightferry.states.data import paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.expressions import Constant, Expression, PathExpression
from nightferry.states.data.payload import Json, Payload, dumps
from nightferry.states.data.scope import Scope
from nightferry.states.machine.context import context_object
from nightferry.states.machine.frames import Frame

if TYPE_CHECKING:
    from nightferry.states.language.model import State
    from nightferry.states.machine.interpreter import Execution

DATA_LIMIT = 262_144
"""Bytes of a state's input or output, as UTF-8 (service quota)."""


def where(frame: Frame) -> str:
    """How the causes of a state's failures begin."""
    name = frame.current.name
    return f"An error occurred while executing the state '{name}' (entered at the event id #{frame.entered}). "


def scope(
    execution: Execution,
    frame: Frame,
    data: Json,
    *,
    salt: str = "",
    token: str = "",
    item: tuple[int, Json] | None = None,
    **states: Json,
) -> Scope:
    """What the frame's current state may read, with ``data`` as ``$`` and ``states`` as members of ``$states``.

    ``salt`` tells the evaluations of one state apart, so that each draws other random numbers.
    """

    def dice() -> Random:
        return execution.dice(frame, salt)

    def now() -> datetime:
        return execution.now

    return Scope(
        data=data,
        variables=frame.variables,
        context=lambda: context_object(execution.info, frame, token, item, execution.redrives),
        where=where(frame),
        states={"input": frame.input.value, **states},
        randomness=dice,
        now=now,
    )


def selected(execution: Execution, frame: Frame, path: Expression, data: Json) -> Json:
    """The value of InputPath, OutputPath or ItemsPath."""
    if isinstance(path, Constant):
        return path.value
    assert isinstance(path, PathExpression)
    here = scope(execution, frame, data)
    try:
        return path.path.find(here.root(path.path.root))
    except paths.PathNotFound:
        why = paths.why_not_found(path.path, here.root(path.path.root))
        raise here.runtime_error(f"Invalid path '{path.path.text}' : {why}") from None


def effective_input(execution: Execution, frame: Frame) -> Payload:
    """The state's input after InputPath."""
    path = frame.current.input_path
    if path is None:
        return frame.input
    return Payload(selected(execution, frame, path, frame.input.value))


def arguments(execution: Execution, frame: Frame, *, token: str = "") -> Payload:
    """The state's input after InputPath and Parameters (JSONata: Arguments, or the input without them)."""
    state = frame.current
    data = effective_input(execution, frame)
    if state.parameters is None:
        return data
    name = "Parameters" if state.language == "JSONPath" else "Arguments"
    return Payload(state.parameters.evaluate(scope(execution, frame, data.value, token=token, salt="arguments"), name))


def leave(
    execution: Execution,
    frame: Frame,
    result: Payload,
    following: str | None,
    *,
    assign: Expression | None = None,
    output: Expression | None = None,
    rule: str = "",
) -> None:
    """Leave the state: from its ``result`` to its output and its variables.

    ``assign`` and ``output`` are those of the chosen ``rule`` of a Choice state (``"Choices[0]/"``); without a rule
    the state's own ones count.
    """
    state = frame.current
    if not rule:
        assign, output = state.assign, state.output
    assigned: dict[str, Json] | None = None
    if state.language == "JSONata":
        if assign is not None or output is not None:
            here = scope(execution, frame, frame.input.value, result=result.value, salt="output")
            assigned = None if assign is None else assign.evaluate(here, f"{rule}Assign")
            if output is not None:
                result = Payload(output.evaluate(here, f"{rule}Output"))
    else:
        if state.result_selector is not None:
            result = Payload(
                state.result_selector.evaluate(scope(execution, frame, result.value, salt="selector"), "ResultSelector")
            )
        if assign is not None:
            assigned = assign.evaluate(scope(execution, frame, result.value, salt="assign"), f"{rule}Assign")
        result = _placed(frame, state, result)
        if state.output_path is not None:
            result = Payload(selected(execution, frame, state.output_path, result.value))
    exit_state(execution, frame, result, following, assigned)


def _placed(frame: Frame, state: State, result: Payload) -> Payload:
    """The result where ResultPath puts it into the state's input."""
    if state.result_path == ():
        return result
    if state.result_path is None:
        return frame.input
    try:
        return Payload(paths.put(frame.input.value, state.result_path, result.value))
    except paths.PathNotFound:
        raise StatesError(
            "States.ResultPathMatchFailure",
            f"{where(frame)}Unable to apply step \"{state.result_path[-1]}\" of '{state.result_path_text}' to input "
            f"{frame.input.text}",
        ) from None


def leave_caught(execution: Execution, frame: Frame, index: int) -> None:
    """Leave the state by its catcher ``index``, with the error output of the failure that it met."""
    catcher = frame.current.catch[index]
    error, cause = frame.error, frame.cause
    told = {"Error": error or "", "Cause": cause or ""}
    assigned: dict[str, Json] | None = None
    if frame.current.language == "JSONata":
        here = scope(execution, frame, frame.input.value, errorOutput=told)
        output = Payload(told if catcher.output is None else catcher.output.evaluate(here, f"Catch[{index}]/Output"))
        assigned = None if catcher.assign is None else catcher.assign.evaluate(here, f"Catch[{index}]/Assign")
    else:
        if catcher.assign is not None:
            assigned = catcher.assign.evaluate(scope(execution, frame, told), f"Catch[{index}]/Assign")
        if catcher.result_path is None:
            output = frame.input
        else:
            try:
                output = Payload(paths.put(frame.input.value, catcher.result_path, told))
            except paths.PathNotFound:
                raise StatesError(
                    "States.ResultPathMatchFailure",
                    f"{where(frame)}Unable to put the error output into the input {frame.input.text}",
                ) from None
    exit_state(execution, frame, output, catcher.next, assigned)


def exit_state(
    execution: Execution, frame: Frame, output: Payload, following: str | None, assigned: dict[str, Json] | None
) -> None:
    """Record that the state was left."""
    state = frame.current
    check_size(state.name, output)
    details: Json = {"name": state.name, "output": output.text, "outputDetails": {"truncated": False}}
    if assigned:
        details["assignedVariables"] = {name: dumps(value) for name, value in assigned.items()}
        details["assignedVariablesDetails"] = {"truncated": False}
    execution.emit(frame, f"{state.type}StateExited", details, payload=output, engine={"next": following})


def check_size(name: str, payload: Payload) -> None:
    """Raises StatesError ``States.DataLimitExceeded`` for more data than a state may have."""
    text = payload.text
    if len(text) * 4 > DATA_LIMIT and len(text.encode()) > DATA_LIMIT:
        raise StatesError(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service "
            "limit.",
        )
