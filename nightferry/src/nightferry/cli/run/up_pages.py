"""The pages on the port of ``nightferry up``: the dashboard, ``/health`` and ``/metrics`` behind one gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from nightferry.cli.terminal.options import current_user
from nightferry.local.backend import LocalBackend
from nightferry.local.up import RunningEngine


def create_app(up: RunningEngine, routes: Sequence[BaseRoute], announce: Callable[[str], None]) -> ASGIApp:
    """Return the dashboard of a running engine. ``announce`` receives the URL with a login code.

    Its threads read the store with connections of their own, so that a page cannot delay the engine. Actions use the
    engine's services.
    """
    from nightferry.dashboard import app  # slow to import
    from nightferry.dashboard.access import Access, make_code, read_token
    from nightferry.dashboard.site import Site

    token = read_token(up.project.state)
    port = urlsplit(up.address).port
    assert port is not None
    site = Site(
        up.project,
        up.environment,
        Access.on_loopback(token, port),
        lambda: LocalBackend(up.project, up.environment, up.services, read_only=True),
        open_for_actions=lambda: LocalBackend(up.project, up.environment, up.services),
        author=current_user(),
        actions=not up.environment.production,
    )
    announce(f"{up.address}/login?code={make_code(token, port)}")
    return app.create_app(site, routes)
