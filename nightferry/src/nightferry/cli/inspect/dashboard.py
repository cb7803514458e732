"""``nightferry dashboard``: web pages on an environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nightferry.backend.freshness import Freshness
from nightferry.backend.interface import Backend
from nightferry.cli.terminal.options import Env, current_user, open_backend, print_status
from nightferry.cli.terminal.streams import echo
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project

DEFAULT_PORT = 8471


def dashboard(
    env: Env = "local",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help=f"Port; 0 selects a free port. Default: {DEFAULT_PORT}.", show_default=False
        ),
    ] = None,
    actions: Annotated[bool, typer.Option("--actions", help="Allow starts, stops and redrives on production.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than loopback require TLS or --behind-proxy.")
    ] = "127.0.0.1",
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM), with --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key (PEM) of the certificate.")] = None,
    behind_proxy: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of a proxy that terminates TLS: https://jobs.example.gov"),
    ] = None,
) -> None:
    """Serve web pages on the runs, executions and schedules of an environment until Ctrl-C.

    The command prints an address with a login code, which is valid once, for one minute. If nightferry up is running,
    its address is printed, unless --port requests another server.
    """
    from nightferry.dashboard import server  # slow to import

    project = Project.find()
    environment = project.environment(env)
    if environment.backend == "local" and port is None and (running := server.make_engine_login(project.state)):
        echo(f"The engine that is running serves the dashboard. Log in within one minute: {running}")
        if open_page:
            server.open_browser(project.state, running)
        return
    port = DEFAULT_PORT if port is None else port
    place = server.check_place(host, port, tls_certificate, tls_key, behind_proxy)

    def announce(login: str) -> None:
        echo(f"Dashboard of {project.catalog.name}, {env}: {place.format_url()}")
        echo(f"Log in within one minute: {login}")
        echo("For another login code, run the command again. Press Ctrl-C to exit.")
        if open_page:
            server.open_browser(project.state, login)

    freshness = Freshness()
    open_for_reading, open_for_actions = _choose_backends(project, environment, freshness)
    with place.listen() as listener:
        server.serve(
            project,
            environment,
            place,
            listener,
            open_for_reading,
            open_for_actions=open_for_actions,
            freshness=freshness,
            author=current_user() if environment.backend == "local" else "",
            actions=actions or not environment.production,
            announce=announce,
        )


def _choose_backends(
    project: Project, environment: Environment, freshness: Freshness
) -> tuple[Callable[[], Backend], Callable[[], Backend]]:
    """Return what opens the backend of a thread for pages, and for actions. On AWS, all threads share one."""
    if environment.aws is None:
        local = partial(open_backend, project, environment.name)
        return partial(local, read_only=True), local
    from nightferry.aws.backend import AwsBackend
    from nightferry.aws.shared_calls import SharedAws

    aws = SharedAws(environment.aws.region, environment.aws.account, freshness)
    shared = AwsBackend(project, environment, aws=aws, report=print_status)
    return lambda: shared, lambda: shared
