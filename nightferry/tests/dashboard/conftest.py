"""A dashboard on the toy project: in the process with a client, and over HTTP for a browser."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from nightferry.dashboard.access import Access, make_code
from nightferry.dashboard.app import create_app
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.dashboard.dashboards import TOKEN, make_client, make_site
from tests.local import toy


@pytest.fixture
def project_root(tmp_path: Path) -> Path:
    """Return the root of a toy project in a folder with a space."""
    return toy.make_project(tmp_path / "a project")


@pytest.fixture
def site(project_root: Path) -> Site:
    """Return a site that allows actions."""
    return make_site(project_root)


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """Return a client that is logged in."""
    client = make_client(site)
    yield client
    client.close()


# ── a real browser ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return Chromium. Without it, tests are skipped, but fail where CI=true."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        message = "Chromium not found. Install it (apt-get install chromium), or run make chromium as root."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        warnings.warn(message, pytest.PytestWarning, stacklevel=1)
        pytest.skip(message)
    arguments = ["--disable-background-networking", "--force-color-profile=srgb"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Return a function that serves a project over HTTP, and returns a URL that logs a browser in."""
    stops: list[Callable[[], None]] = []

    def serve(root: Path, *, actions: bool = True) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        project = Project.find(root)
        environment = project.environment("local")
        site = Site(
            project, environment, Access.on_loopback(TOKEN, port), lambda: LocalBackend(project, environment),
            author="anna", actions=actions,
        )  # fmt: skip
        server = uvicorn.Server(uvicorn.Config(create_app(site), log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)

        def stop() -> None:
            server.should_exit = True
            thread.join(10)

        stops.append(stop)
        return f"http://127.0.0.1:{port}/login?code={make_code(TOKEN)}"

    yield serve
    for stop in stops:
        stop()
