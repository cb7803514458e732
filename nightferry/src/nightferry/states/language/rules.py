"""Rules that look at several states together: names, transitions, reachability, variables."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.states.data.errors import Problem
from nightferry.states.data.expressions import Constant, ObjectTemplate
from nightferry.states.language import model
from nightferry.states.language.fields import member


def check(program: model.Program, path: str, problems: list[Problem]) -> None:
    """Note what is wrong between the states of a machine."""
    seen: dict[str, str] = {}
    whole = not problems  # a state that could not be read may have led anywhere
    for place, branch in programs(program, path):
        _check_targets(place, branch, problems, whole=whole)
        for name in branch.states:
            if name in seen:
                problems.append(
                    Problem(
                        f"{place}.States{member(name)}",
                        f"The name is taken by {seen[name]}. Names are unique in the whole state machine, branches and "
                        "Map states included.",
                    )
                )
            seen.setdefault(name, f"{place}.States{member(name)}")
    _check_variables(program, path, set(), problems)


def programs(program: model.Program, path: str) -> Iterator[tuple[str, model.Program]]:
    """A machine and the branches and processors within it, each with its path."""
    yield path, program
    for name, state in program.states.items():
        place = f"{path}.States{member(name)}"
        if isinstance(state, model.ParallelState):
            for index, branch in enumerate(state.branches):
                yield from programs(branch, f"{place}.Branches[{index}]")
        elif isinstance(state, model.MapState):
            yield from programs(state.processor, f"{place}.ItemProcessor")


def targets(state: model.State) -> Iterator[tuple[str, str]]:
    """Where a state may lead: the field that says so and the name in it."""
    if state.next is not None:
        yield "Next", state.next
    for index, catcher in enumerate(state.catch):
        yield f"Catch[{index}].Next", catcher.next
    if isinstance(state, model.ChoiceState):
        for index, branch in enumerate(state.choices):
            yield f"Choices[{index}].Next", branch.next
        if state.default is not None:
            yield "Default", state.default


def resources(program: model.Program) -> Iterator[tuple[str, str]]:
    """The path of each Task's resource, and the resource."""
    for place, branch in programs(program, "$"):
        for name, state in branch.states.items():
            if isinstance(state, model.TaskState):
                yield f"{place}.States{member(name)}.Resource", state.resource


def _ends(state: model.State) -> bool:
    """Whether an execution (or branch) may end with the state."""
    return state.next is None and not isinstance(state, model.ChoiceState)


def _check_targets(place: str, program: model.Program, problems: list[Problem], *, whole: bool) -> None:
    if not program.states:
        return
    if program.start and program.start not in program.states:
        problems.append(Problem(f"{place}.StartAt", f"There is no state {program.start!r} here."))
    reachable: set[str] = set()
    waiting = [program.start]
    while waiting:
        name = waiting.pop()
        if name in reachable or name not in program.states:
            continue
        reachable.add(name)
        waiting += [target for _, target in targets(program.states[name])]
    lost = False
    for name, state in program.states.items():
        for field, target in targets(state):
            if target and target not in program.states:
                lost = True
                problems.append(Problem(f"{place}.States{member(name)}.{field}", f"There is no state {target!r} here."))
        if whole and program.start in program.states and name not in reachable:
            problems.append(
                Problem(f"{place}.States{member(name)}", "No other state leads here, so that it never runs.")
            )
    if whole and not lost and not any(_ends(state) for state in program.states.values()):
        problems.append(Problem(f"{place}.States", 'No state ends: one must be Succeed or Fail, or have "End": true.'))


def _check_variables(program: model.Program, place: str, outer: set[str], problems: list[Problem]) -> None:
    """A branch may read the variables of the states around it, but not assign them."""
    own: set[str] = set()
    for name, state in program.states.items():
        for variable in _assigned(state):
            if variable in outer:
                problems.append(
                    Problem(
                        f"{place}.States{member(name)}.Assign",
                        f"The variable '{variable}' is assigned outside of this Parallel or Map state too; "
                        "within it, it can be read, not assigned. Give one of them another name.",
                    )
                )
            own.add(variable)
    for name, state in program.states.items():
        at = f"{place}.States{member(name)}"
        if isinstance(state, model.ParallelState):
            for index, branch in enumerate(state.branches):
                _check_variables(branch, f"{at}.Branches[{index}]", outer | own, problems)
        elif isinstance(state, model.MapState):
            known = set() if state.distributed else outer | own
            _check_variables(state.processor, f"{at}.ItemProcessor", known, problems)


def _assigned(state: model.State) -> Iterator[str]:
    expressions = [state.assign, *(catcher.assign for catcher in state.catch)]
    if isinstance(state, model.ChoiceState):
        expressions += [branch.assign for branch in state.choices]
    for expression in expressions:
        match expression:
            case Constant(value=dict(names)):
                yield from names
            case ObjectTemplate(members=members):
                yield from (name for name, _, _ in members)
