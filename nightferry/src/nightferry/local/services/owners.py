"""The owners of local services: the process that started a service stops it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import psutil

from nightferry.environments.private_paths import write_durably
from nightferry.environments.state_folder import create_state_folder


class Owners:
    """The owners of the services of one state directory, in files ``services/NAME.json``.

    ``owned`` are the services of this process, in the order of their starts.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self.owned: list[str] = []

    def claim(self, name: str) -> None:
        """Make this process the owner unless another living process is."""
        if name in self.owned or self.find(name) is not None:
            return
        create_state_folder(self._state)
        self._get_file(name).parent.mkdir(exist_ok=True, mode=0o700)
        record = {"pid": os.getpid(), "created": psutil.Process().create_time()}
        write_durably(self._get_file(name), json.dumps(record))
        self.owned.append(name)

    def find(self, name: str) -> int | None:
        """Return the ID of the living process that owns the service, if it is another process."""
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            record = json.loads(self._get_file(name).read_text())
            if psutil.Process(record["pid"]).create_time() == record["created"] and record["pid"] != os.getpid():
                return int(record["pid"])
        return None

    def release(self, name: str) -> None:
        """Give up a service that this process has stopped."""
        self.owned.remove(name)
        self._get_file(name).unlink(missing_ok=True)

    def _get_file(self, name: str) -> Path:
        return self._state / "services" / f"{name}.json"
