"""The services of a local environment: a PostgreSQL server, and server processes such as a simulator.

A service starts when its address is first needed. The process that started it owns it and stops it. The next process
takes over a service that outlived its owner, such as a killed engine; ``services/NAME.json`` in the state directory
names the owner. A server process dies with its owner. PostgreSQL continues, because a database should not be killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import CommandService, PostgresService, Service
from nightferry.environments.environment import Environment
from nightferry.environments.private_paths import open_private, write_durably
from nightferry.environments.state_folder import read_identity
from nightferry.errors import NightferryError, ServiceFailed, UnknownName
from nightferry.local.processes.processes import build_base_environment, kill_group, kill_with_parent
from nightferry.local.services import secrets
from nightferry.local.services.data_folders import claim_state, find_folder
from nightferry.local.services.owners import Owners
from nightferry.local.services.postgres import PORT, USER, Postgres, PostgresFailed
from nightferry.local.services.resolution import Resolution

READY_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
CHECK_SECONDS = 1.0  # between two checks of all services
RETRY_SECONDS = 10.0  # until the next attempt to start a service that failed to start

_log = logging.getLogger("nightferry.engine")


@dataclass(frozen=True)
class ServiceStatus:
    """A service, whether it responds, and its addresses by attribute, such as ``url`` or ``host``."""

    service: Service
    running: bool
    addresses: Mapping[str, str]


class Services:
    """The services of one state directory. As a context manager, it stops the services that this process owns."""

    def __init__(self, catalog: Catalog, environment: Environment, state: Path) -> None:
        self._catalog = catalog
        self._state = state
        self._folder = state / "services"
        self.resolve = Resolution(environment, state, self.address)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._owners = Owners(state)
        self._token: str | None = None
        self._servers: dict[str, Postgres] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._wanted: set[str] = set()
        self._next_check = 0.0
        self.thread = ThreadPoolExecutor(1, "services")
        """The thread that restarts services. A child dies with the thread that started it, so it ends after them."""
        self.problems: dict[str, str] = {}
        """The problems of services that are not running, by name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def address(self, name: str, attribute: str) -> str:
        """Return an address of a service, and start the service if it is not running.

        Raises :class:`~nightferry.errors.ServiceFailed` or :class:`~nightferry.errors.UnknownName`.
        """
        if name not in self._catalog.services:
            raise UnknownName("service", name, self._catalog.services)
        service = self._catalog.services[name]
        if attribute == "port" and isinstance(service, CommandService):
            return str(self._get_port(name))  # The port is known before the start, and the service itself needs it.
        if name not in self._known:
            if name in self._wanted:  # A start is in progress; do not wait for it.
                raise ServiceFailed(self.problems.get(name, f"Service '{name}' is being started."))
            self._known[name] = self._ensure(service)
        addresses = self._known[name]
        if attribute not in addresses:
            raise UnknownName(f"address of service '{name}'", attribute, addresses)
        return addresses[attribute]

    def peek_address(self, name: str, attribute: str) -> str:
        """Return an address that a service has if it is running, and do not start it."""
        return self._get_addresses(self._catalog.services[name])[attribute]

    def describe(self) -> list[ServiceStatus]:
        """Return the state and the addresses of all services of the catalog, and start none."""
        return [
            ServiceStatus(service, self._is_responding(name), self._get_addresses(service))
            for name, service in self._catalog.services.items()
        ]

    def _get_addresses(self, service: Service) -> dict[str, str]:
        match service:
            case PostgresService():
                host = str(self._make_server(service).socket_directory)
                return {"host": host, "port": str(PORT), "user": USER, "database": service.database}
            case CommandService():
                port = self._get_port(service.name)
                return {"url": f"http://127.0.0.1:{port}", "port": str(port)}

    def start(self) -> None:
        """Start all services of the catalog."""
        for name, service in self._catalog.services.items():
            if name not in self._known:
                self._known[name] = self._ensure(service)

    def start_available(self) -> None:
        """Start all services of the catalog. Log the failures, which :meth:`check` retries."""
        for name in self._catalog.services:
            self._restart(name)
        self._wanted = set(self._catalog.services)

    def check(self) -> list[str]:
        """Restart the services that have ended, and return the names of those that are running again.

        A service that fails to start is retried periodically. Until then, tasks that need it fail, and others run.
        """
        if time.monotonic() < self._next_check:
            return []
        self._next_check = time.monotonic() + CHECK_SECONDS
        monitored = self._wanted | set(self._known)
        dead = [name for name in sorted(monitored) if name not in self._known or not self._is_alive(name)]
        return [name for name in dead if self._restart(name)]

    def _restart(self, name: str) -> bool:
        """Start a service. Log a failure and return False."""
        self._children.pop(name, None)
        self.problems.setdefault(name, f"Service '{name}' ended and is restarting.")
        try:
            self._known[name] = self._ensure(self._catalog.services[name])
        except (NightferryError, OSError) as error:
            if self.problems[name] != str(error):  # Log each problem once, not at every attempt.
                _log.error("%s", str(error), extra={"event": "service_failed", "service": name})
            self.problems[name] = str(error)
            self._next_check = time.monotonic() + RETRY_SECONDS
            return False
        del self.problems[name]
        return True

    def find_unresponsive(self) -> list[str]:
        """Return the services in use that do not respond."""
        return [name for name in list(self._known) if not self._is_responding(name)]

    def _is_responding(self, name: str) -> bool:
        service = self._catalog.services[name]
        if isinstance(service, PostgresService):
            return self._make_server(service).is_running()
        return _is_responding(f"http://127.0.0.1:{self._get_port(name)}{service.ready}")

    def _is_alive(self, name: str) -> bool:
        service = self._catalog.services[name]
        if isinstance(service, PostgresService):
            return self._make_server(service).is_alive()
        child = self._children.get(name)
        return child.poll() is None if child is not None else self._owners.find(name) is not None

    def stop(self) -> None:
        """Stop the services that this process owns in reverse order of their starts. Wait for starts in progress."""
        self.thread.submit(lambda: None).result()
        while self._owners.owned:
            name = self._owners.owned[-1]
            service = self._catalog.services[name]
            if isinstance(service, PostgresService):
                self._make_server(service).stop()
            elif child := self._children.pop(name, None):
                kill_group(child.pid, STOP_TIMEOUT_SECONDS)
                child.wait()
            self._owners.release(name)
        self._known.clear()
        self._wanted.clear()
        self.thread.shutdown()
        self.thread = ThreadPoolExecutor(1, "services")

    def _ensure(self, service: Service) -> dict[str, str]:
        self._claim_state()
        match service:
            case PostgresService():
                return self._ensure_postgres(service)
            case CommandService():
                return self._ensure_command(service)

    def _claim_state(self) -> None:
        """Check that the state directory owns its services, and is the one that this process has used so far."""
        if self._token is None:
            self._token = claim_state(self._state)
            return
        found = read_identity(self._state)
        if found is None or found.token != self._token:
            raise ServiceFailed(
                f"{self._state} was moved or replaced while its services were in use. Stop this command, and start it "
                "again in the folder to which it was moved."
            )

    # ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────────────

    def _make_server(self, service: PostgresService) -> Postgres:
        """Return the server, which stays the same if the state directory is moved in the meantime."""
        if service.name not in self._servers:
            self._servers[service.name] = Postgres(
                find_folder(service.name, self._state),
                settings={"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "200"},
            )
        return self._servers[service.name]

    def _ensure_postgres(self, service: PostgresService) -> dict[str, str]:
        server = self._make_server(service)
        try:
            self._owners.claim(service.name)  # Before the start, so that an interrupted start is stopped, too.
            server.start()
            server.create_database(service.database)
        except PostgresFailed as error:
            raise ServiceFailed(str(error)) from None
        return self._get_addresses(service)

    # ── server processes ──────────────────────────────────────────────────────────────────────────────────────

    def _ensure_command(self, service: CommandService) -> dict[str, str]:
        url = f"http://127.0.0.1:{self._get_port(service.name)}"
        if self._owners.find(service.name) is None or not _is_responding(url + service.ready):
            self._start_command(service, url)
        return self._get_addresses(service)

    def _start_command(self, service: CommandService, url: str) -> None:
        environment = {
            **build_base_environment(self._state),
            **{key: str(value) for key, value in self.resolve(dict(service.env)).items()},
            **secrets.read_values(self._state, service.secrets, f"service '{service.name}'"),
        }
        log = self._folder / f"{service.name}.log"
        if _is_port_used(self._get_port(service.name)):
            raise ServiceFailed(
                f"Service '{service.name}' did not start: another program is listening on its port "
                f"{self._get_port(service.name)}. Stop that program, or remove {self._folder / f'{service.name}.port'} "
                "to select another port."
            )
        self._create_folder()
        with open_private(log, "wb") as output:
            try:
                child = subprocess.Popen(
                    self.resolve(list(service.command)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    cwd=self._state,
                    start_new_session=True,
                    umask=0o077,
                    preexec_fn=kill_with_parent(os.getpid()),
                )
            except OSError as error:
                raise ServiceFailed(
                    f"Service '{service.name}' did not start: {service.command[0]}: {error.strerror}. Check that the "
                    "project is installed in this environment."
                ) from None
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while not _is_responding(url + service.ready):
            if child.poll() is not None or time.monotonic() > deadline:
                kill_group(child.pid, 0)
                child.wait()
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise ServiceFailed(
                    f"Service '{service.name}' did not become ready. Last lines of its log ({log}):\n{tail}"
                )
            time.sleep(0.02)
        self._children[service.name] = child
        self._owners.claim(service.name)

    def _get_port(self, name: str) -> int:
        """Return the service's port on the loopback interface. It never changes, because clients store it."""
        if self._token is None:
            self._claim_state()  # A copied directory has the port of its original.
        file = self._folder / f"{name}.port"
        if not file.exists():
            self._create_folder()
            with socket.socket() as probe, contextlib.suppress(FileExistsError):  # another process was first
                probe.bind(("127.0.0.1", 0))
                write_durably(file, str(probe.getsockname()[1]), replace=False)
        return int(file.read_text())

    def _create_folder(self) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o700)


def _is_port_used(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_responding(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # always http://127.0.0.1
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
