"""A dashboard on the toy project: in the process with a client, and over HTTP for a browser."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from nightferry.contract import Privacy
from nightferry.dashboard.app import create_app
from nightferry.dashboard.batches.batch import Batches
from nightferry.dashboard.site import Site
from nightferry.environments.state_folder import create_state_folder
from nightferry.local.store import Store
from tests.dashboard.dashboards import make_client, make_site
from tests.dashboard.night import make_night
from tests.local import toy

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools.chromium import MISSING, find_chromium, open_chromium  # noqa: E402


@pytest.fixture
def project_root(tmp_path: Path) -> Path:
    """Return the root of a toy project in a folder with a space."""
    return toy.make_project(tmp_path / "a project")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store without rows. To copy it takes a tenth of the time that its tables take."""
    file = tmp_path_factory.mktemp("store") / "engine.sqlite"
    Store(file).close()
    return file


@pytest.fixture
def site(project_root: Path, empty_store: Path) -> Site:
    """Return a site that allows actions."""
    site = make_site(project_root)
    shutil.copy(empty_store, create_state_folder(site.project.state))
    return site


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """Return a client that is logged in."""
    client = make_client(site)
    yield client
    client.close()


@pytest.fixture
def strict_site(site: Site) -> Site:
    """Return a site whose catalog hides personal data."""
    site.redactor.privacy = Privacy.STRICT
    object.__setattr__(site.catalog, "privacy", Privacy.STRICT)
    return site


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a project on which a night has run. Do not change it; see copy_night."""
    return make_night(tmp_path_factory.mktemp("night") / "a project")


@pytest.fixture(scope="session")
def night_site(night: Path) -> Site:
    """Return the site of the night."""
    return make_site(night)


@pytest.fixture(scope="session")
def night_client(night_site: Site) -> Iterator[httpx.Client]:
    """Return a client of the night's site."""
    client = make_client(night_site)
    yield client
    client.close()


# ── a real browser ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def chromium(night: Path) -> Iterator[Any]:
    """Return Chromium. Without it, tests are skipped, but fail where CI=true."""
    if find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        warnings.warn(MISSING, pytest.PytestWarning, stacklevel=1)
        pytest.skip(MISSING)
    with open_chromium("--force-color-profile=srgb") as browser:
        yield browser


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Return a function that serves a project over HTTP, and returns its address."""
    with _Servers() as servers:
        yield servers.serve


@pytest.fixture(scope="session")
def serve_night() -> Iterator[Callable[..., str]]:
    """Return such a function whose servers live as long as the session."""
    with _Servers() as servers:
        yield servers.serve


class _Servers:
    """Servers of dashboards in threads."""

    def __init__(self) -> None:
        self._running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(self, root: Path, *, batches: Batches | None = None, **options: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        site = make_site(root, port=port, **options)
        site.batches = batches or site.batches
        # The loop and the parser of nightferry.http_server; uvicorn prefers others if they are installed.
        config = uvicorn.Config(create_app(site), loop="asyncio", http="h11", ws="none", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        self._running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> _Servers:
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in self._running:
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def serve_process() -> Iterator[Callable[[Path], tuple[str, Callable[[], None]]]]:
    """Return a function that runs ``nightferry dashboard``, and returns the login's URL and a function to kill it."""
    processes: list[subprocess.Popen[str]] = []

    def serve(root: Path) -> tuple[str, Callable[[], None]]:
        command = [sys.executable, "-c", "from nightferry.cli import main; main()", "dashboard", "--port", "0"]
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+/login\?code=\S+", line):
                return found[0], process.kill
        raise AssertionError("nightferry dashboard ended without an address")

    yield serve
    for process in processes:
        process.kill()
        process.communicate()
