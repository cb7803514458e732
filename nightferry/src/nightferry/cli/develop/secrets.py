"""``nightferry secrets``: store secrets, and list those that are missing."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.secret_users import SecretUse, find_secrets, format_set_command
from nightferry.cli.terminal.options import AsJson, Env, print_json, print_status
from nightferry.cli.terminal.output import print_table
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.environments.recipients import find_webhooks
from nightferry.errors import NightferryError, UnknownName

_LONGEST_VALUE = 100_000  # Linux limits a variable with its name to 131,072 bytes (execve(2), MAX_ARG_STRLEN)

app = typer.Typer(help="Store secrets, and list those that are missing.", no_args_is_help=True, add_completion=False)


class UnusableValue(NightferryError):
    """The value of a secret is empty, is not text, or was passed as an argument. It was not stored."""


@app.command(name="set", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def set_secret(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the secret, as the catalog declares it.", metavar="NAME")],
    env: Env = "local",
) -> None:
    """Store a secret: the value is read from a prompt or from standard input.

    On this machine, it is a file with mode 600 in the state directory. On AWS, it is a SecureString in the parameter
    store, encrypted with the key of the environment; your role needs ssm:PutParameter, and kms:Encrypt for a key of
    your own. An earlier value is replaced. Example for a file: nightferry secrets set NAME < FILE
    """
    if context.args:
        raise UnusableValue(
            "A value must not be an argument: other users can read it in the process list, and the shell stores it in "
            f"its history. Change this secret at its source, and run: {format_set_command(name, env)}"
        )
    project = Project.find()
    environment = project.environment(env)
    use = _find(project, environment).get(name)
    if use is None:
        raise UnknownName("secret", name, _find(project, environment))
    value = _read_value(name)
    if environment.backend == "aws":
        from nightferry.aws.parameters import store_secret

        resources = AwsResources(project.catalog, environment)
        version = store_secret(resources, use.secret, value)
        print_status(f"Stored version {version} of {resources.parameter(use.secret)}.")
    else:
        from nightferry.local.services import secrets

        secrets.write(project.state, name, value)
        print_status(f"Stored {name} in {secrets.get_path(project.state, name)} (mode 600).")


@app.command(name="list")
def list_secrets(env: Env = "local", as_json: AsJson = False) -> None:
    """List the secrets of an environment with their users, and whether they are set. No value is read.

    Exit with 1 if a required secret is missing.
    """
    project = Project.find()
    environment = project.environment(env)
    declared = _find(project, environment)
    if environment.backend == "aws":
        from nightferry.aws.parameters import find_parameters

        resources = AwsResources(project.catalog, environment)
        places = {name: resources.parameter(use.secret) for name, use in declared.items()}
        stored = find_parameters(resources, places.values())
        is_set = {name: place in stored for name, place in places.items()}
    else:
        from nightferry.local.services import secrets

        places = {name: str(secrets.get_path(project.state, name)) for name in declared}
        is_set = {name: secrets.exists(project.state, name) for name in declared}
    rows = [
        (name, _format_state(is_set[name], use.optional), _format_users(project.catalog, use), places[name])
        for name, use in declared.items()
    ]
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "set": is_set[name],
                    "optional": use.optional,
                    "users": list(use.users),
                    "place": places[name],
                }
                for name, use in declared.items()
            ]
        )
    else:
        print_table(("Secret", "State", "Used by", "Place"), rows)
    if any(not is_set[name] and not use.optional for name, use in declared.items()):
        raise typer.Exit(1)


def _find(project: Project, environment: Environment) -> dict[str, SecretUse]:
    """Return the secrets of an environment. Services are local; an optional secret may not exist on AWS.

    Webhooks are optional on this machine, where only test notices are sent.
    """
    if environment.aws is None:
        return find_secrets(project.catalog, services=True) | find_webhooks(environment.notices, optional=True)
    found = find_secrets(project.catalog, services=False)
    return {
        name: SecretUse(use.secret, use.users, use.optional and name not in environment.aws.secrets)
        for name, use in found.items()
    } | find_webhooks(environment.notices, optional=False)


def _format_users(catalog: Catalog, use: SecretUse) -> str:
    return "all tasks" if catalog.tasks.keys() == set(use.users) else ", ".join(use.users)


def _format_state(is_set: bool, optional: bool) -> str:
    return "set" if is_set else "not set, optional" if optional else "missing"


def _read_value(name: str) -> str:
    """Return the value that a person enters, or that another program writes to standard input."""
    try:
        value = getpass.getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.buffer.read().decode()
    except EOFError:
        value = ""
    except UnicodeDecodeError:
        raise UnusableValue(
            f"The value of {name} is not UTF-8 text. Encode it, for example with base64, and decode it in the job."
        ) from None
    value = value.strip("\r\n")
    if not value:
        raise UnusableValue(f"The value of {name} is empty. Enter it at the prompt, or redirect it: < FILE")
    if "\0" in value:
        raise UnusableValue(f"The value of {name} contains a NUL character, which no environment variable can hold.")
    if len(value.encode()) > _LONGEST_VALUE:
        raise UnusableValue(
            f"The value of {name} has more than {_LONGEST_VALUE:,} bytes, which no environment variable can hold. "
            "Store it as an object of a bucket that only the task may read."
        )
    return value
