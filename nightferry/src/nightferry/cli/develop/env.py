"""``nightferry env``: the variables of a task, for a debugger, a shell or a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nightferry.backend.request_checks import get_task
from nightferry.catalog.declarations import Task
from nightferry.cli.develop.quoting import quote
from nightferry.cli.terminal.completion import complete_task
from nightferry.cli.terminal.options import AsJson, Env, print_status
from nightferry.cli.terminal.streams import echo_data
from nightferry.contract import PARAMETER_PATH, TIME_LIMIT_VARIABLE
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError


class SecretsWouldBeShown(NightferryError):
    """The values of secrets would be printed. Write them to a file, which only this user can read."""


class UnwritableFile(NightferryError):
    """The file of ``--output`` cannot be written."""


@dataclass(frozen=True)
class _Variables:
    """A task's variables without its secrets, and the place of each secret by variable."""

    values: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, Any]]


def env(
    task: Annotated[str, typer.Argument(help="Name of the task.", metavar="TASK", autocompletion=complete_task)],
    env: Env = "local",
    output: Annotated[
        Path | None, typer.Option(help="Write the variables to this file, which only you can read.", metavar="FILE")
    ] = None,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="With --output, in a local environment: include secrets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the variables of a task for a debugger, in a form that a shell and dotenv read.

    The values of secrets are not printed. --output FILE --show-secrets writes them to a file with mode 600. On AWS, the
    job reads them itself with your permissions, from the parameters in the variables NAME_SSM_PATH. The time limit is
    left out, because it would end a job in a debugger.
    """
    project = Project.find()
    declared = get_task(project.catalog, task)
    environment = project.environment(env)
    if show_secrets and output is None:
        raise SecretsWouldBeShown(
            "--show-secrets would print secrets to the terminal. Add --output FILE, for example "
            f"--output {Path(os.path.relpath(project.state / f'{task}.env'))}, which Git ignores."
        )
    if show_secrets and environment.backend == "aws":
        raise SecretsWouldBeShown(
            f"Secrets of '{env}' stay in the parameter store. Omit --show-secrets; the job reads them itself, with "
            f"your permissions, from the parameters in the variables that end with {PARAMETER_PATH}."
        )
    find = _find_on_aws if environment.backend == "aws" else _find_locally
    found = find(project, environment, declared)
    secrets = _read_secrets(project, declared) if show_secrets else {}
    later = [name for name in declared.required_at_start if name not in found.values]
    if as_json:
        text = _format_json(task, env, found, secrets, later)
    else:
        text = "".join([*_format_lines(found, secrets), *(f"# {name}: required at each start\n" for name in later)])
    if output is not None:
        _write_private(output, text)
        print_status(f"Wrote {output} (mode 600).")
    else:
        echo_data(text)


def _find_locally(project: Project, environment: Environment, task: Task) -> _Variables:
    from nightferry.local.runs.variables import build_declared_variables, build_supplied_variables
    from nightferry.local.services import secrets
    from nightferry.local.services.resolution import Resolution
    from nightferry.local.services.services import Services

    services = Services(project.catalog, environment, project.state)
    resolve = Resolution(environment, project.state, services.peek_address)
    needed = services.resolve.find_services([dict(project.catalog.env), dict(task.env)])
    stopped = [one.service.name for one in services.describe() if one.service.name in needed and not one.running]
    if stopped:
        print_status(f"Not running: {', '.join(stopped)}. Start the services with: nightferry up")
    values = build_declared_variables(project.catalog, task, resolve)
    values |= build_supplied_variables(project.catalog, environment.name, task, resolve)
    places = {
        variable: {"name": secret.name, "set": secrets.exists(project.state, secret.name)}
        for variable, secret in {**project.catalog.secrets, **task.secrets}.items()
    }
    return _Variables(_sort(values), dict(sorted(places.items())))


def _find_on_aws(project: Project, environment: Environment, task: Task) -> _Variables:
    from nightferry.terraform import synthesize
    from nightferry.terraform.reading.container import find_variables

    resources = AwsResources(project.catalog, environment)
    values, parameters = find_variables(synthesize(project.catalog, environment), resources, task.name)
    names = {variable: f"/{arn.partition(':parameter/')[2]}" for variable, arn in parameters.items()}
    settings = {name.upper() for name in task.config.model_fields}  # Others are not read from the parameter store.
    values |= {f"{variable}{PARAMETER_PATH}": name for variable, name in names.items() if variable in settings}
    values.setdefault("AWS_DEFAULT_REGION", resources.aws.region)
    return _Variables(_sort(values), {variable: {"name": name} for variable, name in names.items()})


def _sort(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in sorted(values.items()) if name != TIME_LIMIT_VARIABLE}


def _read_secrets(project: Project, task: Task) -> dict[str, str]:
    from nightferry.local.services import secrets

    return secrets.read_values(project.state, {**project.catalog.secrets, **task.secrets}, f"task '{task.name}'")


def _format_json(
    task: str, env: str, found: _Variables, secrets: Mapping[str, str], required_at_start: Sequence[str]
) -> str:
    shown = {
        variable: {**place, **({"value": secrets[variable]} if variable in secrets else {})}
        for variable, place in found.secrets.items()
    }
    document = {
        "task": task,
        "environment": env,
        "variables": dict(found.values),
        "secrets": shown,
        "required_at_start": required_at_start,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _format_lines(found: _Variables, secrets: Mapping[str, str]) -> Iterator[str]:
    for name, value in {**found.values, **secrets}.items():
        text, for_dotenv = quote(value)
        if not for_dotenv:
            print_status(f"{name} has characters that only a shell reads as they are; dotenv changes them.")
        yield f"{name}={text}\n"
    for variable, place in found.secrets.items():
        if variable not in secrets and f"{variable}{PARAMETER_PATH}" not in found.values:
            missing = "" if place.get("set", True) else ", not set"
            yield f"# {variable}: secret {place['name']}{missing}\n"


def _write_private(file: Path, text: str) -> None:
    """Write a file that only this user can read, and replace one that others may have open."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write(text)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UnwritableFile(f"Cannot write {file}: {error.strerror}. Choose another --output.") from None
