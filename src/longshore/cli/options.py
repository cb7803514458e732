"""Options that several verbs share, and what they stand for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longshore.errors import LongshoreError
from longshore.project import Project

if TYPE_CHECKING:
    from longshore.local.backend import LocalBackend

Env = Annotated[str, typer.Option("--env", help="Environment: a file of environments/.", metavar="ENV")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines instead of text for people.")]


class NoBackend(LongshoreError):
    """Tasks of an environment on AWS cannot be run from here yet."""


def backend(project: Project, name: str) -> LocalBackend:
    """The backend of an environment."""
    environment = project.environment(name)
    if environment.backend != "local":
        raise NoBackend(
            f"Environment '{name}' is on AWS. This version runs tasks on this machine only: use --env local. "
            f"longshore synth --env {name} writes its Terraform."
        )
    from longshore.local.backend import LocalBackend

    return LocalBackend(project, environment)


def print_json(value: Any) -> None:
    """Print a value for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def author() -> str:
    """Who is at the terminal, as the one who started a run."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
