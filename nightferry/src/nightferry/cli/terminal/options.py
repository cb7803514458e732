"""Options that several verbs share, and what they stand for."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from nightferry.backend.interface import Backend
from nightferry.cli.terminal.completion import environment_names
from nightferry.environments.project import Project

Env = Annotated[
    str,
    typer.Option(
        "--env", help="Environment: a file of environments/.", metavar="ENV", autocompletion=environment_names
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines instead of text for people.")]


def backend(project: Project, name: str) -> Backend:
    """The backend of an environment."""
    environment = project.environment(name)
    if environment.backend == "aws":
        from nightferry.aws.backend import AwsBackend

        return AwsBackend(project, environment, tell=tell)
    from nightferry.local.backend import LocalBackend

    return LocalBackend(project, environment)


def at(env: str) -> str:
    """What a command that is offered needs for this environment."""
    return "" if env == "local" else f" --env {env}"


def tell(sentence: str) -> None:
    """Tell the person at the terminal what goes on, beside what a command prints."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """Print a value for machines; times in ISO 8601."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def author() -> str:
    """Who is at the terminal, as the one who started a run."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
