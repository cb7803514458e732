"""The file ``actions.jsonl`` in the state directory: a line for each request and each result, in all environments.

Lines are only appended, each by one write while the file is locked, and reach the disk before an action begins. A line
that a power failure cut is skipped. The engine's retention does not apply to the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from nightferry.backend.actions import (
    ACTION_NAMES,
    ALL_ACTIONS,
    Action,
    ActionFilter,
    ActionResult,
    make_page,
)
from nightferry.backend.queries import Cursor, Page
from nightferry.environments.private_paths import open_private
from nightferry.environments.state_folder import create_state_folder

FILE = "actions.jsonl"
EXAMINED_BYTES = 16 << 20  # of the end of the file, which a query reads at most
_BLOCK = 64 << 10


class ActionJournal:
    """The actions of one environment in the file."""

    def __init__(self, state: Path, environment: str) -> None:
        self._state = state
        self._environment = environment
        self.file = state / FILE

    def add_action(self, action: Action) -> None:
        """Append a request, durably."""
        self._append(
            {
                "request": action.id,
                "time": action.time.isoformat(),
                "environment": self._environment,
                "author": action.author,
                "action": action.action,
                "target": action.target,
                "reason": action.reason,
                "via": action.via,
            }
        )

    def add_action_result(self, result: ActionResult) -> None:
        """Append the result of a request, durably."""
        self._append(
            {
                "result": result.action,
                "time": result.time.isoformat(),
                "environment": self._environment,
                "failed": result.failed,
                "text": result.text,
                "ids": result.ids,
            }
        )

    def _append(self, entry: Mapping[str, Any]) -> None:
        create_state_folder(self._state)
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        with open_private(self.file, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(file.fileno(), line if _ends_with_line(file) else b"\n" + line)
            os.fsync(file.fileno())

    def actions(
        self, wanted: ActionFilter = ALL_ACTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Action]:
        """Return the next ``limit`` actions after the cursor ``before``, newest first."""
        found = [
            action
            for action in self._read()
            if wanted.matches(action) and (before is None or Cursor(action.time, action.id) < before)
        ]
        found.sort(key=lambda action: Cursor(action.time, action.id), reverse=True)
        return make_page(found, limit)

    def _read(self) -> Iterator[Action]:
        """Yield the actions of the last part of the file, newest first."""
        results: dict[str, ActionResult] = {}
        for line in _read_backwards(self.file):
            try:
                entry = json.loads(line)
                if entry["environment"] != self._environment:
                    continue
                time = datetime.fromisoformat(entry["time"])
                if "result" in entry:
                    ids = tuple(map(str, entry["ids"]))
                    result = ActionResult(entry["result"], time, bool(entry["failed"]), str(entry["text"]), ids)
                    results[result.action] = result
                elif entry["action"] in ACTION_NAMES:
                    id, name, via = str(entry["request"]), entry["action"], entry["via"]
                    author, target, reason = (str(entry[name]) for name in ("author", "target", "reason"))
                    yield Action(id, time, author, name, target, reason, via, results.pop(id, None))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # a power failure cut the line


def _ends_with_line(file: IO[bytes]) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _read_backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines at the end of a file, the last one first."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        end = file.seek(0, os.SEEK_END)
        first = max(0, end - EXAMINED_BYTES)
        rest = b""
        while end > first:
            start = max(first, end - _BLOCK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            rest, end = lines[0], start
            yield from reversed(lines[1:])
        if first == 0:
            yield rest
