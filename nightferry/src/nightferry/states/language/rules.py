"""Rules that concern several states: unique names, transitions, reachability and variables."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.states.data.errors import Problem
from nightferry.states.data.expressions import Constant, ObjectTemplate
from nightferry.states.language import model
from nightferry.states.language.fields import format_member


def check(program: model.Program, path: str, problems: list[Problem]) -> None:
    """Add the problems that concern several states of a machine to ``problems``."""
    seen: dict[str, str] = {}
    whole = not problems  # reachability is unknown if a state could not be parsed
    for place, branch in iterate_programs(program, path):
        _check_targets(place, branch, problems, whole=whole)
        for name in branch.states:
            if name in seen:
                problems.append(
                    Problem(
                        f"{place}.States{format_member(name)}",
                        f"The name is already used by {seen[name]}. Names must be unique in the whole state machine, "
                        "including branches and Map states.",
                    )
                )
            seen.setdefault(name, f"{place}.States{format_member(name)}")
    _check_variables(program, path, set(), problems)


def iterate_programs(program: model.Program, path: str) -> Iterator[tuple[str, model.Program]]:
    """Yield a machine and all branches and processors in it, each with its path."""
    yield path, program
    for name, state in program.states.items():
        place = f"{path}.States{format_member(name)}"
        if isinstance(state, model.ParallelState):
            for index, branch in enumerate(state.branches):
                yield from iterate_programs(branch, f"{place}.Branches[{index}]")
        elif isinstance(state, model.MapState):
            yield from iterate_programs(state.processor, f"{place}.ItemProcessor")


def find_targets(state: model.State) -> Iterator[tuple[str, str]]:
    """Yield the fields that name a state's successors, each with the successor's name."""
    if state.next is not None:
        yield "Next", state.next
    for index, catcher in enumerate(state.catch):
        yield f"Catch[{index}].Next", catcher.next
    if isinstance(state, model.ChoiceState):
        for index, branch in enumerate(state.choices):
            yield f"Choices[{index}].Next", branch.next
        if state.default is not None:
            yield "Default", state.default


def find_resources(program: model.Program) -> Iterator[tuple[str, str]]:
    """Yield the path and the resource of each Task state."""
    for place, branch in iterate_programs(program, "$"):
        for name, state in branch.states.items():
            if isinstance(state, model.TaskState):
                yield f"{place}.States{format_member(name)}.Resource", state.resource


def _can_end(state: model.State) -> bool:
    """Return True if an execution or branch can end with the state."""
    return state.next is None and not isinstance(state, model.ChoiceState)


def _check_targets(place: str, program: model.Program, problems: list[Problem], *, whole: bool) -> None:
    if not program.states:
        return
    if program.start and program.start not in program.states:
        problems.append(Problem(f"{place}.StartAt", f"State {program.start!r} not found in this machine or branch."))
    reachable: set[str] = set()
    waiting = [program.start]
    while waiting:
        name = waiting.pop()
        if name in reachable or name not in program.states:
            continue
        reachable.add(name)
        waiting += [target for _, target in find_targets(program.states[name])]
    lost = False
    for name, state in program.states.items():
        for field, target in find_targets(state):
            if target and target not in program.states:
                lost = True
                problems.append(
                    Problem(
                        f"{place}.States{format_member(name)}.{field}",
                        f"State {target!r} not found in this machine or branch.",
                    )
                )
        if whole and program.start in program.states and name not in reachable:
            problems.append(
                Problem(f"{place}.States{format_member(name)}", "The state is unreachable: no other state leads to it.")
            )
    if whole and not lost and not any(_can_end(state) for state in program.states.values()):
        problems.append(
            Problem(
                f"{place}.States", 'No state ends the machine or branch. Add a Succeed or Fail state, or "End": true.'
            )
        )


def _check_variables(program: model.Program, place: str, outer: set[str], problems: list[Problem]) -> None:
    """Check that no branch assigns a variable of an enclosing branch or machine, which it may only read."""
    own: set[str] = set()
    for name, state in program.states.items():
        for variable in _find_assigned(state):
            if variable in outer:
                problems.append(
                    Problem(
                        f"{place}.States{format_member(name)}.Assign",
                        f"The variable '{variable}' is also assigned outside this Parallel or Map state, so it is "
                        "read-only here. Rename one of them.",
                    )
                )
            own.add(variable)
    for name, state in program.states.items():
        at = f"{place}.States{format_member(name)}"
        if isinstance(state, model.ParallelState):
            for index, branch in enumerate(state.branches):
                _check_variables(branch, f"{at}.Branches[{index}]", outer | own, problems)
        elif isinstance(state, model.MapState):
            known = set() if state.distributed else outer | own
            _check_variables(state.processor, f"{at}.ItemProcessor", known, problems)


def _find_assigned(state: model.State) -> Iterator[str]:
    expressions = [state.assign, *(catcher.assign for catcher in state.catch)]
    if isinstance(state, model.ChoiceState):
        expressions += [branch.assign for branch in state.choices]
    for expression in expressions:
        match expression:
            case Constant(value=dict(names)):
                yield from names
            case ObjectTemplate(members=members):
                yield from (name for name, _, _ in members)
