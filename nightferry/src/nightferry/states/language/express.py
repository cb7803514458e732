"""The rules of Express workflows and of the Express children of a distributed Map.

Source: developer guide, "Choosing workflow type in Step Functions".
"""

from __future__ import annotations

from nightferry.states.data.errors import Problem
from nightferry.states.language import model, resources
from nightferry.states.language.fields import format_member

EXPRESS_LIMIT_SECONDS = 300
"""Longest execution of an Express workflow (service quota)."""


def check(program: model.Program, path: str, problems: list[Problem], *, express: bool) -> None:
    """Add the states that an Express workflow cannot have; without ``express``, those of Express children only."""
    for name, state in program.states.items():
        place = f"{path}.States{format_member(name)}"
        match state:
            case model.TaskState() if express and (reason := _find_wait(state.resource)):
                problems.append(Problem(f"{place}.Resource", f"An Express execution cannot {reason}"))
            case model.ParallelState():
                for index, branch in enumerate(state.branches):
                    check(branch, f"{place}.Branches[{index}]", problems, express=express)
            case model.MapState():
                if express and state.distributed:
                    problems.append(
                        Problem(place, "An Express execution cannot run a distributed Map. Use Mode INLINE.")
                    )
                check(state.processor, f"{place}.ItemProcessor", problems, express=express or state.express)


def _find_wait(arn: str) -> str | None:
    resource = resources.parse(arn)
    if resource.kind == "activity":
        return "wait for an activity. Call a function, or use type STANDARD."
    if resource.waits:
        pattern = resource.action.partition(".")[2]
        return f"wait for a task (.{pattern}). Use the resource without .{pattern}, or type STANDARD."
    return None
