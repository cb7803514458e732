"""What was asked of AWS and not answered yet, written down before the call: a crash neither loses nor doubles it.

One file holds one call: the token that makes it idempotent, and a digest of what it asked for. It goes when the answer
is there. A later call that asks for the same finds it and uses its token: AWS then answers with what it had started.
A file that is locked belongs to a call that goes on, perhaps in another terminal, and is nobody else's.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nightferry.backend.interface import Refused
from nightferry.clock import Clock
from nightferry.storage.files import sync_to_disk

_REMEMBERED = timedelta(hours=23)  # ECS remembers a client token for 24 hours


@dataclass
class JournaledCall:
    """A call that is about to be made. ``repeated``: it was made before, and its answer is not known.

    Whoever makes it says when it may have been carried out without an answer: it is ``uncertain`` then.
    """

    token: str
    repeated: bool
    uncertain: bool = False


class Journal:
    """The calls of one environment, in a folder of the project's state."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @contextlib.contextmanager
    def call(self, asked: Any) -> Iterator[JournaledCall]:
        """Write down a call before it is made. A clean end of the context forgets it, and so does a plain refusal."""
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = self._left_behind(digest)
        token = found or uuid.uuid4().hex
        file = self._folder / f"{token}.json"
        with file.open("a+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if found is None:
                json.dump({"digest": digest, "at": self._clock.now().isoformat()}, handle)
                handle.flush()
                os.fsync(handle.fileno())
                sync_to_disk(self._folder)
            call = JournaledCall(token, repeated=found is not None)
            try:
                yield call
            except Refused:
                if not (call.repeated or call.uncertain):
                    file.unlink(missing_ok=True)
                raise
            file.unlink(missing_ok=True)

    def _left_behind(self, digest: str) -> str | None:
        """The token of an earlier call for the same that has no answer. What AWS has forgotten meanwhile is removed."""
        for file in sorted(self._folder.glob("*.json")):
            try:
                with file.open() as handle:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    entry = json.load(handle)
                    if self._clock.now() - datetime.fromisoformat(entry["at"]) > _REMEMBERED:
                        file.unlink(missing_ok=True)
                    elif entry["digest"] == digest:
                        return file.stem
            except (BlockingIOError, FileNotFoundError):
                continue
            except (ValueError, KeyError, TypeError):  # killed while it was written, which is before the call
                file.unlink(missing_ok=True)
        return None
