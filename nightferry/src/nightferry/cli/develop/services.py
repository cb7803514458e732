"""``nightferry services``: the addresses of the local services."""

from __future__ import annotations

import shlex

from nightferry.catalog.declarations import PostgresService
from nightferry.cli.terminal.options import AsJson, Env, format_env_option, print_json, print_status
from nightferry.cli.terminal.output import Terminal, print_log_line, print_table
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local.services.postgres import find_psql
from nightferry.local.services.services import Services, ServiceStatus


class NotLocal(NightferryError):
    """The environment is on AWS, where Nightferry runs no services."""


def services(env: Env = "local", as_json: AsJson = False) -> None:
    """List the local services with their addresses, whether they are running, and a psql command.

    No service is started. A database listens on a Unix socket that only this user can open, and has no password.
    """
    project = Project.find()
    environment = project.environment(env)
    if environment.backend != "local":
        raise NotLocal(
            f"Environment '{env}' is on AWS, where Nightferry runs no services. Read {environment.file} for addresses."
        )
    found = Services(project.catalog, environment, project.state).describe()
    if as_json:
        print_json(
            [
                {
                    "name": status.service.name,
                    "kind": _get_kind(status),
                    "running": status.running,
                    "addresses": dict(status.addresses),
                    "connect": _format_command(status),
                }
                for status in found
            ]
        )
        return
    console = Terminal()
    rows = [
        (status.service.name, _get_kind(status), "running" if status.running else "stopped", _format_address(status))
        for status in found
    ]
    if console.is_terminal:
        print_table(("Service", "Kind", "State", "Address"), rows)
        for command in filter(None, map(_format_command, found)):
            console.print(f"\n{command}", highlight=False, markup=False, soft_wrap=True)
    elif found:
        for row, status in zip(rows, found, strict=True):
            print_log_line(console, "\t".join((*row, _format_command(status) or "")))
    else:
        console.print("None declared.")
    if any(not status.running for status in found):
        print_status(f"Start the services with: nightferry up{format_env_option(env)}")


def _get_kind(status: ServiceStatus) -> str:
    return "postgres" if isinstance(status.service, PostgresService) else "command"


def _format_address(status: ServiceStatus) -> str:
    addresses = status.addresses
    return addresses["url"] if "url" in addresses else f"{addresses['host']} database {addresses['database']}"


def _format_command(status: ServiceStatus) -> str | None:
    """Return the command that opens a database. It contains no password, which other users could read in ``ps``."""
    if not isinstance(status.service, PostgresService):
        return None
    address = status.addresses
    conninfo = f"host={address['host']} port={address['port']} user={address['user']} dbname={address['database']}"
    return shlex.join((find_psql() or "psql", conninfo))
