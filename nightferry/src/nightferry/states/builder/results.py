"""The results of the tasks of a workflow: which step reads which one, and the states that read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.states.builder.expressions import format_path
from nightferry.states.builder.steps import Body, RunTask, runs
from nightferry.states.builder.task_states import render_read_result, store_result
from nightferry.states.builder.values import Output

JsonObject = dict[str, Any]

_VARIABLE_LIMIT = 70  # of AWS's 80 characters, without the endings below
# JSONata's variable, that of the input with its defaults, and that of the check of the overlap policy on AWS.
_RESERVED = ("states", "input", "overlap_earlier")
_FOLDER = re.compile(r"(\$\{bucket:[^{}]+\})/(.+)")


@dataclass
class Result:
    """The result of one step. ``variable`` is set when a later step reads it.

    ``state`` is the step's state. After a Parallel, it is the Parallel's, and ``inner`` is the result in the branch
    with the index ``branch``, whose variables exist only there.
    """

    step: RunTask
    name: str
    state: JsonObject
    variable: str | None = None
    inner: Result | None = None
    branch: int = 0


class Results:
    """The results of a workflow's tasks. ``folder`` is where tasks store them: ``${bucket:NAME}/FOLDER``."""

    def __init__(self, body: Body, folder: str | None) -> None:
        self._steps = list(runs(body))
        self._folder = None if folder is None else _FOLDER.fullmatch(folder.rstrip("/"))
        self._results: list[Result] = []
        self._lifted: list[Result] = []
        self._hidden: list[tuple[Result, str]] = []
        self._variables = set(_RESERVED)

    def add(self, step: RunTask, name: str, state: JsonObject) -> Result:
        """Return the result of a step whose state is rendered."""
        result = Result(step, name, state)
        self._results.append(result)
        return result

    def lift(self, results: Sequence[Result], parallel: JsonObject, branch: int) -> list[Result]:
        """Return the results of a branch for the steps after its Parallel state."""
        lifted = [Result(one.step, one.name, parallel, inner=one, branch=branch) for one in results]
        self._lifted += lifted
        return lifted

    def hide(self, results: Sequence[Result], place: str) -> None:
        """Note that steps ran in a ``place`` whose results later steps cannot read."""
        self._hidden += [(result, place) for result in results]

    def get_tasks(self) -> tuple[str, ...]:
        """Return the names of the tasks whose results are read."""
        return tuple(sorted({result.step.task.name for result in self._results if result.variable}))

    def make_variable(self, text: str) -> str:
        """Return a name for a variable that no other one has."""
        name = re.sub(r"[^a-zA-Z0-9]+", "_", text).strip("_")[:_VARIABLE_LIMIT]
        name = name if name[:1].isalpha() else f"step_{name}"
        candidate, n = name, 1
        while candidate in self._variables:
            n += 1
            candidate = f"{name}_{n}"
        self._variables.add(candidate)
        return candidate

    def find_path(self, output: Output, finished: Sequence[Result]) -> str:
        """Return the path of a value in the result of one of the steps that have ended. Raises ValueError."""
        found = [result for result in finished if _is_of(output, result.step)]
        if len(found) > 1:
            raise ValueError(
                f"{output!r}: {len(found)} earlier steps run this task. Assign one of them to a name, as "
                "load = RunTask(…), and use Output(load, …)."
            )
        if not found:
            raise ValueError(f"{output!r}: {self._explain_absence(output)}")
        (result,) = found
        if self._folder is None:
            raise ValueError(
                f"{output!r}: the catalog has no folder for results. Add one: "
                'Catalog(…, results=Bucket(NAME) / "results").'
            )
        return format_path(f"${self._require_variable(result)}", output.members)

    def _require_variable(self, result: Result) -> str:
        if result.inner is not None:
            self._require_variable(result.inner)
        if result.variable is None:
            result.variable = self.make_variable(result.name)
        return result.variable

    def add_reading_states(self, states: JsonObject) -> JsonObject:
        """Return ``states`` with a state after each task whose result is read, at any depth."""
        read = {id(result.state): result for result in self._results if result.variable}
        found: JsonObject = {}
        for name, state in states.items():
            found[name] = state
            for part in [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
                part["States"] = self.add_reading_states(part["States"])
            if state["Type"] == "Parallel":
                self._pass_on(name, state)
            if (result := read.get(id(state))) is not None:
                reading = f"{name}: result"
                found[reading] = self._split(result, reading)
        return found

    def _pass_on(self, name: str, parallel: JsonObject) -> None:
        """Add a last state to each branch of a Parallel whose results are read after it, and assign them there."""
        passed = [one for one in self._lifted if one.state is parallel and one.variable]
        for index in sorted({one.branch for one in passed}):
            states, last = parallel["Branches"][index]["States"], f"{name}: results of branch {index + 1}"
            for state in states.values():
                if state.pop("End", False) or state["Type"] == "Succeed":
                    state |= {"Type": "Pass" if state["Type"] == "Succeed" else state["Type"], "Next": last}
            found = {
                f"{one.variable}.$": f"${one.inner.variable}" for one in passed if one.inner and one.branch == index
            }
            states[last] = {"Type": "Pass", "Parameters": found, "End": True}
        if passed:
            parallel["Assign"] = {f"{one.variable}.$": f"$[{one.branch}].{one.variable}" for one in passed}

    def _split(self, result: Result, reading: str) -> JsonObject:
        """Return the state that follows the task's and reads its result."""
        assert self._folder is not None
        assert result.variable is not None
        bucket, folder = self._folder[1], f"{self._folder[2]}/{result.step.task.name}"
        run = f"{result.variable}_run"
        state = render_read_result(bucket, folder, run, result.variable)
        state |= {key: result.state.pop(key) for key in ("Next", "End") if key in result.state}
        store_result(result.state, f"{bucket}/{folder}", run)
        result.state["Next"] = reading
        return state

    def _explain_absence(self, output: Output) -> str:
        if place := next((place for result, place in self._hidden if _is_of(output, result.step)), None):
            return f"the task runs {place}, where this step cannot read its result. Use the result there."
        if any(_is_of(output, step) for step in self._steps):
            return "the task runs in or after the step that uses its result. Use it in a later step."
        tasks = ", ".join(sorted({step.task.name for step in self._steps})) or "none"
        return f"no step of this workflow runs the task. Tasks of the workflow: {tasks}."


def _is_of(output: Output, step: RunTask) -> bool:
    return step is output.of if isinstance(output.of, RunTask) else step.task.name == output.task.name
