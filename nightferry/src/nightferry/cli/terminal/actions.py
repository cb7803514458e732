"""What the verbs that act share: the record of the action, its reason, and the confirmation that a task requires."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nightferry.audit.recording import Recorder
from nightferry.backend.actions import ActionLog
from nightferry.backend.by_hand import check_by_hand, find_rule
from nightferry.catalog.declarations import Task
from nightferry.cli.terminal.output import ask
from nightferry.clock import get_clock
from nightferry.environments.project import Project

Reason = Annotated[str, typer.Option("--reason", help="Reason, for the record of actions.", metavar="TEXT")]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm", help="The environment's name, which confirms the start of a task with by_hand.", metavar="ENV"
    ),
]


def make_recorder(project: Project, log: ActionLog, author: str) -> Recorder:
    """Return the recorder of what a person does with the command line."""
    return Recorder(log, author, "cli", project.catalog.privacy, get_clock())


def confirm_by_hand(tasks: Sequence[Task], env: str, confirmation: str) -> None:
    """Check that a person may start the tasks, and ask for the confirmation on a terminal.

    Raises NotByHand and NotConfirmed.
    """
    if find_rule(tasks) == "confirm" and not confirmation and sys.stdin.isatty():
        names = ", ".join(task.name for task in tasks if task.by_hand == "confirm")
        confirmation = ask(f"To start {names}, type the name of the environment ({env})")
    check_by_hand(tasks, env, confirmation)
