"""The web server of ``nightferry dashboard``: where it listens, and under which URLs browsers may reach it."""

from __future__ import annotations

import ipaddress
import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nightferry.backend.freshness import Freshness
from nightferry.backend.interface import Backend
from nightferry.dashboard.access import Access, make_code, read_token
from nightferry.dashboard.app import create_app
from nightferry.dashboard.site import Site
from nightferry.environments.environment import Environment
from nightferry.environments.private_paths import open_private
from nightferry.environments.project import Project
from nightferry.environments.state_folder import create_state_folder
from nightferry.errors import NightferryError
from nightferry.http_server import Server, listen
from nightferry.local.engine.engine_lock import read_address
from nightferry.local.monitoring.engine_log import write_server_log

LOGIN_FILE = "dashboard-login.html"
"""The file in the state directory through which a browser is opened."""


class PlaceNotAllowed(NightferryError):
    """The options would serve pages without TLS to other machines, or are not complete. The message has the fix."""


@dataclass
class Place:
    """An address to listen on, with its certificate or the URL of the proxy in front of it."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None

    def listen(self) -> socket.socket:
        """Return a listening socket, and keep the port that was chosen; raises PortTaken."""
        listener = listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        return listener

    def list_origins(self) -> list[str]:
        """Return the origins of all URLs under which browsers may reach the server."""
        if self.proxy is not None:
            return [self.proxy]
        scheme = "http" if self.certificate is None else "https"
        names = ["127.0.0.1", "localhost", "[::1]"] if _is_loopback(self.host) else [_format_host(self.host)]
        if self.certificate is not None and not _is_loopback(self.host):
            names.append(socket.getfqdn())
        return [f"{scheme}://{name}:{self.port}" for name in names]

    def format_url(self) -> str:
        """Return the URL of the first page."""
        return f"{self.list_origins()[0]}/"


def check_place(host: str, port: int, certificate: Path | None, key: Path | None, proxy: str | None) -> Place:
    """Return the place that the options of the command describe; raises PlaceNotAllowed."""
    if (certificate is None) != (key is None):
        raise PlaceNotAllowed("--tls-certificate and --tls-key require each other. Give both files.")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise PlaceNotAllowed(f"{file} is not a file. Give the PEM file of the certificate and of its key.")
    if proxy is not None:
        parts = urlsplit(proxy)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise PlaceNotAllowed(
                "--behind-proxy must be the URL of the proxy without a path: https://jobs.example.gov"
            )
        proxy = f"https://{parts.netloc.lower()}"
    if not _is_loopback(host) and certificate is None and proxy is None:
        raise PlaceNotAllowed(
            f"--host {host} is reachable from other machines, which could read the pages and the session. Add "
            "--tls-certificate and --tls-key, or --behind-proxy with the URL of a proxy that terminates TLS."
        )
    return Place(host, port, certificate, key, proxy)


def serve(
    project: Project,
    environment: Environment,
    place: Place,
    listener: socket.socket,
    open_backend: Callable[[], Backend],
    *,
    open_for_actions: Callable[[], Backend],
    freshness: Freshness,
    author: str,
    actions: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve the dashboard until SIGINT or SIGTERM. ``announce`` receives the URL with a login code."""
    token = read_token(project.state)
    site = Site(
        project, environment, Access(token, place.list_origins()), open_backend,
        author=author, actions=actions, open_for_actions=open_for_actions, freshness=freshness,
    )  # fmt: skip
    server = Server(create_app(site), handle_signals=True, certificate=place.certificate, key=place.key)
    announce(f"{place.format_url()}login?code={make_code(token, site.access.port)}")
    with write_server_log(project.catalog.privacy):
        server.run(sockets=[listener])


def make_engine_login(state: Path) -> str | None:
    """Return a URL with a login code for the dashboard of the running engine; None if no engine serves one."""
    url = read_address(state)
    return None if url is None else f"{url}/login?code={make_code(read_token(state), urlsplit(url).port or 80)}"


def open_browser(state: Path, login: str) -> None:
    """Open the URL with a login code in a browser.

    The browser is given a file that leads to it: other accounts can read the arguments of a process.
    """
    file = create_state_folder(state) / LOGIN_FILE
    with open_private(file, "w") as page:
        page.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={login}"><title>Log in</title>\n')
    webbrowser.open(file.resolve().as_uri())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _format_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
