"""Check that a person may start a task: its declaration can refuse starts by hand, or require a confirmation."""

from __future__ import annotations

from collections.abc import Iterable

from nightferry.catalog.declarations import ByHand, Task
from nightferry.errors import NightferryError


class NotByHand(NightferryError):
    """The task is declared with by_hand="never": only schedules, triggers and workflows start it."""


class NotConfirmed(NightferryError):
    """The task is declared with by_hand="confirm", and the name of the environment was not given, or another one."""


def find_rule(tasks: Iterable[Task]) -> ByHand:
    """Return the strictest rule of the tasks that an action starts."""
    rules = {task.by_hand for task in tasks}
    return "never" if "never" in rules else "confirm" if "confirm" in rules else "allow"


def check_by_hand(tasks: Iterable[Task], environment: str, confirmation: str) -> None:
    """Raise NotByHand or NotConfirmed unless a person may start the tasks in the environment."""
    for task in tasks:
        if task.by_hand == "never":
            raise NotByHand(
                f"Task '{task.name}' ({task.declared_in}) is declared with by_hand=\"never\". Only schedules, triggers "
                "and workflows start it."
            )
        if task.by_hand == "confirm" and confirmation != environment:
            raise NotConfirmed(
                f"Task '{task.name}' starts by hand only after a confirmation. Give the name of the environment, "
                f"{environment}, to confirm it: --confirm {environment}"
            )
