"""Options that several verbs share, and related helpers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightferry.audit.people import get_user
from nightferry.cli.terminal.completion import complete_environment
from nightferry.cli.terminal.streams import echo, echo_block
from nightferry.contract import STATE_VARIABLE
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

if TYPE_CHECKING:
    from nightferry.backend.interface import Backend

Env = Annotated[
    str,
    typer.Option(
        "--env", help="Environment: a file in environments/.", metavar="ENV", autocompletion=complete_environment
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        STATE_VARIABLE: "The state directory of this machine. Default: .nightferry in the project.",
        "AWS_PROFILE": "The profile with the credentials for environments on AWS. All other ways of AWS's own tools to "
        "find credentials work too. The region is that of the environment's file.",
        "CI": "If it is set, run-ecs-task omits AUTHOR: the author of the run is ci.",
        "COLUMNS": "The width of tables and help texts in characters.",
        "NO_COLOR": "If it is set, the output has no colors.",
        "TERM": "The kind of terminal. If it is dumb, the output has no colors.",
        "XDG_CACHE_HOME": "The folder that contains the cache of the list of tasks in nightferry. Default: ~/.cache.",
        "XDG_STATE_HOME": "The folder that contains the databases of this machine in nightferry, unless root runs the "
        "engine. Default: ~/.local/state.",
    }
)
"""The environment variables that commands read, with their meaning."""


def open_backend(project: Project, name: str, *, read_only: bool = False) -> Backend:
    """Return the backend of an environment. A ``read_only`` one neither creates nor locks the store on this machine."""
    environment = project.environment(name)
    if environment.backend == "aws":
        from nightferry.aws.backend import AwsBackend

        return AwsBackend(project, environment, report=print_status)
    from nightferry.local.backend import LocalBackend

    return LocalBackend(project, environment, read_only=read_only)


def format_env_option(env: str) -> str:
    """Return the ``--env`` option for a suggested command; empty for the default environment."""
    return "" if env == "local" else f" --env {env}"


def print_status(message: str) -> None:
    """Print a message on standard error, which keeps standard output for the command's result."""
    echo(message, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, with times in ISO 8601."""
    echo_block(json.dumps(value, indent=2, default=_format_value, ensure_ascii=False))


def _format_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def current_user() -> str:
    """Return the name of the operating system's user, to record who started a run."""
    return get_user()


def parse_input(text: str) -> Any:
    """Return the JSON value of the option ``--input``; raises NightferryError."""
    from nightferry.states.data.payload import NotJson, loads  # slow to import

    try:
        return loads(text)
    except NotJson as error:
        raise NightferryError(
            f"--input is not JSON: {error}. Use single quotes, as in --input '{{\"id\": 7}}'. To pass a file's "
            'content, use --input "$(cat FILE)".'
        ) from None


def refuse_task_name(project: Project, id: str, env: str) -> None:
    """Raise NightferryError if ``id`` is the name of a task instead of the ID of one of its runs."""
    if id in project.catalog.tasks:
        command = f"nightferry status {id}{format_env_option(env)}"
        raise NightferryError(f"'{id}' is a task. Give the ID of one of its runs, which this command prints: {command}")
