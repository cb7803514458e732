"""Read the state of the engine from outside: from the store, the files of the state folder, and ``/health``."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nightferry.backend.engine_status import EngineMessage, EngineStatus, ServiceState
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.local.engine.engine_lock import read_address, read_engine_pid
from nightferry.local.monitoring.engine_log import FILE
from nightferry.local.services.services import Services
from nightferry.local.store import Store

_HEALTH_SECONDS = 5.0
_TAIL_BYTES = 256 * 1024  # of the log
_MESSAGES = 20
_LEVELS = ("WARNING", "ERROR", "CRITICAL")


def read_engine_status(project: Project, environment: Environment, store: Store) -> EngineStatus:
    """Return the state of the engine. No service is started, and nothing is created."""
    state = project.state
    pid, address = read_engine_pid(state), read_address(state)
    return EngineStatus(
        pid=pid,
        since=None if pid is None else _read_start(state),
        address=address,
        problems=None if address is None else _read_problems(address),
        queue=tuple(store.queued_tasks()),
        running=store.count_begun(),
        open_executions=store.open_counts(),
        store_bytes=sum(_get_size(file) for file in state.glob(store.file.name + "*")),
        free_bytes=shutil.disk_usage(_find_existing(state)).free,
        required_free_bytes=environment.engine.free_megabytes * 1_000_000,
        services=tuple(_read_services(project, environment)),
        messages=tuple(_read_messages(state / FILE)),
        versions={
            "Nightferry": version("nightferry"),
            "Python": platform.python_version(),
            "SQLite": sqlite3.sqlite_version,
        },
    )


def _read_start(state: Path) -> datetime | None:
    """Return when the engine took its lock, and wrote its process ID into the file."""
    with suppress(OSError):
        return datetime.fromtimestamp((state / "engine.lock").stat().st_mtime, UTC)
    return None


def _read_problems(address: str) -> Mapping[str, str]:
    """Return the problems of ``/health``."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_HEALTH_SECONDS) as response:  # noqa: S310  # our own
            content = response.read()
    except urllib.error.HTTPError as error:  # 503 if there are problems
        content = error.read()
    except OSError:
        return {"engine": f"The engine does not respond within {_HEALTH_SECONDS:.0f} seconds."}
    try:
        return {str(part): str(problem) for part, problem in json.loads(content)["problems"].items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return {"engine": f"Another program responds at {address}."}


def _read_services(project: Project, environment: Environment) -> Iterator[ServiceState]:
    if not (project.state / "services").is_dir():  # none was ever started, and a port would be chosen for it
        for name in project.catalog.services:
            yield ServiceState(name, responds=False, addresses={})
        return
    for status in Services(project.catalog, environment, project.state).describe():
        yield ServiceState(status.service.name, status.running, status.addresses)


def _read_messages(file: Path) -> Iterator[EngineMessage]:
    """Yield the last warnings and errors of the log, the newest first."""
    found: list[EngineMessage] = []
    for one in (file.with_name(f"{file.name}.1"), file):
        with suppress(OSError), one.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            found += (message for line in log if (message := _parse_message(line)) is not None)
    yield from reversed(found[-_MESSAGES:])


def _parse_message(line: bytes) -> EngineMessage | None:
    try:
        record: Any = json.loads(line)
        if record["level"] not in _LEVELS:
            return None
        return EngineMessage(datetime.fromisoformat(record["time"]), record["level"], str(record["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # the rest of a line, or the frames of an internal error


def _get_size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0


def _find_existing(folder: Path) -> Path:
    return folder if folder.exists() else _find_existing(folder.parent)
