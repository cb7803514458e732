"""Input and output processing of a state.

JSONPath: InputPath → Parameters → (work) → ResultSelector → Assign → ResultPath → OutputPath.
JSONata: Arguments → (work) → Assign, Output. Source: Amazon States Language specification, "Input and Output".
"""

from __future__ import annotations

from datetime import datetime
from random import Random

from nightferry.states.data import paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.expressions import Constant, Expression, PathExpression
from nightferry.states.data.payload import Json, Payload, dumps
from nightferry.states.data.scope import Scope
from nightferry.states.language.model import State
from nightferry.states.machine.commands import Item
from nightferry.states.machine.context import make_context_object
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.memory.containers import Failure
from nightferry.states.machine.memory.frames import Frame

DATA_LIMIT_BYTES = 262_144
"""Maximum size of a state's input or output in UTF-8 (service quota)."""


def make_cause_prefix(frame: Frame) -> str:
    """Return the prefix of the causes of a state's failures."""
    name = frame.current.name
    return f"An error occurred while executing the state '{name}' (entered at the event id #{frame.entered}). "


def make_scope(
    machine: Machine,
    frame: Frame,
    data: Json,
    *,
    salt: str = "",
    token: str = "",
    item: tuple[int, Item] | None = None,
    now: datetime | None = None,
    **states: Json,
) -> Scope:
    """Return the scope of the frame's current state, with ``data`` as ``$`` and ``states`` as members of ``$states``.

    ``salt`` distinguishes the evaluations of one state, so that each draws different random numbers. ``now`` fixes the
    time of expressions that a replay may evaluate again.
    """

    def rng() -> Random:
        return machine.memory.make_rng(frame, salt)

    return Scope(
        data=data,
        variables=frame.variables,
        context=lambda: make_context_object(machine.info, frame, token, item),
        cause_prefix=make_cause_prefix(frame),
        states={"input": frame.input.value, **states},
        new_rng=rng,
        now=lambda: now or machine.now,
    )


def select_path(machine: Machine, frame: Frame, path: Expression, data: Json) -> Json:
    """Return the value of InputPath, OutputPath or ItemsPath."""
    if isinstance(path, Constant):
        return path.value
    assert isinstance(path, PathExpression)
    scope = make_scope(machine, frame, data)
    try:
        return path.path.find(scope.get_root(path.path.root))
    except paths.PathNotFound:
        reason = paths.explain_not_found(path.path, scope.get_root(path.path.root))
        raise scope.make_runtime_error(f"Invalid path '{path.path.text}' : {reason}") from None


def apply_input_path(machine: Machine, frame: Frame) -> Payload:
    """Return the state's input after InputPath."""
    path = frame.current.input_path
    if path is None:
        return frame.input
    return Payload(select_path(machine, frame, path, frame.input.value))


def evaluate_arguments(machine: Machine, frame: Frame, *, token: str = "", now: datetime | None = None) -> Payload:
    """Return the state's input after InputPath and Parameters (JSONata: Arguments, or the input without them)."""
    state = frame.current
    data = apply_input_path(machine, frame)
    if state.parameters is None:
        return data
    name = "Parameters" if state.language == "JSONPath" else "Arguments"
    return Payload(
        state.parameters.evaluate(make_scope(machine, frame, data.value, token=token, salt="arguments", now=now), name)
    )


def leave(
    machine: Machine,
    frame: Frame,
    result: Payload,
    following: str | None,
    *,
    assign: Expression | None = None,
    output: Expression | None = None,
    rule: str = "",
) -> None:
    """Leave the state: compute its output and variables from its ``result``.

    ``assign`` and ``output`` belong to the chosen ``rule`` of a Choice state (``"Choices[0]/"``). Without a rule, the
    state's own Assign and Output apply.
    """
    state = frame.current
    if not rule:
        assign, output = state.assign, state.output
    assigned: dict[str, Json] | None = None
    if state.language == "JSONata":
        if assign is not None or output is not None:
            scope = make_scope(machine, frame, frame.input.value, result=result.value, salt="output")
            assigned = None if assign is None else assign.evaluate(scope, f"{rule}Assign")
            if output is not None:
                result = Payload(output.evaluate(scope, f"{rule}Output"))
    else:
        if state.result_selector is not None:
            result = Payload(
                state.result_selector.evaluate(
                    make_scope(machine, frame, result.value, salt="selector"), "ResultSelector"
                )
            )
        if assign is not None:
            assigned = assign.evaluate(make_scope(machine, frame, result.value, salt="assign"), f"{rule}Assign")
        result = _apply_result_path(frame, state, result)
        if state.output_path is not None:
            result = Payload(select_path(machine, frame, state.output_path, result.value))
    exit_state(machine, frame, result, following, assigned)


def _apply_result_path(frame: Frame, state: State, result: Payload) -> Payload:
    """Return the state's input with the result at ResultPath."""
    if state.result_path == ():
        return result
    if state.result_path is None:
        return frame.input
    try:
        return Payload(paths.put(frame.input.value, state.result_path, result.value))
    except paths.PathNotFound:
        raise StatesError(
            "States.ResultPathMatchFailure",
            f"{make_cause_prefix(frame)}Unable to apply step \"{state.result_path[-1]}\" of '{state.result_path_text}' "
            f"to input {frame.input.text}",
        ) from None


def leave_by_catcher(machine: Machine, frame: Frame, failure: Failure, index: int) -> None:
    """Leave the state through its catcher ``index``, with the error output of the failure."""
    catcher = frame.current.catch[index]
    error_output = {"Error": failure.error or "", "Cause": failure.cause or ""}
    assigned: dict[str, Json] | None = None
    if frame.current.language == "JSONata":
        scope = make_scope(machine, frame, frame.input.value, errorOutput=error_output)
        output = Payload(
            error_output if catcher.output is None else catcher.output.evaluate(scope, f"Catch[{index}]/Output")
        )
        assigned = None if catcher.assign is None else catcher.assign.evaluate(scope, f"Catch[{index}]/Assign")
    else:
        if catcher.assign is not None:
            assigned = catcher.assign.evaluate(make_scope(machine, frame, error_output), f"Catch[{index}]/Assign")
        if catcher.result_path is None:
            output = frame.input
        else:
            try:
                output = Payload(paths.put(frame.input.value, catcher.result_path, error_output))
            except paths.PathNotFound:
                raise StatesError(
                    "States.ResultPathMatchFailure",
                    f"{make_cause_prefix(frame)}Unable to put the error output into the input {frame.input.text}",
                ) from None
    exit_state(machine, frame, output, catcher.next, assigned)


def exit_state(
    machine: Machine, frame: Frame, output: Payload, following: str | None, assigned: dict[str, Json] | None
) -> None:
    """Record the exit from the state."""
    state = frame.current
    check_size(state.name, output)
    details: Json = {"name": state.name, "output": output.text, "outputDetails": {"truncated": False}}
    if assigned:
        details["assignedVariables"] = {name: dumps(value) for name, value in assigned.items()}
        details["assignedVariablesDetails"] = {"truncated": False}
    machine.emit(frame, f"{state.type}StateExited", details, payload=output, engine={"next": following})


def check_size(name: str, payload: Payload) -> None:
    """Raise StatesError ``States.DataLimitExceeded`` if a payload exceeds the size limit."""
    text = payload.text
    if len(text) * 4 > DATA_LIMIT_BYTES and len(text.encode()) > DATA_LIMIT_BYTES:
        raise StatesError(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service "
            "limit.",
        )
