"""A journal of calls to AWS, written before each call, so that a crash neither loses nor repeats a start.

One file describes one call: the token that makes it idempotent, and a digest of its request. The file is deleted when
the response arrives. A later call with the same request finds the file within 24 hours and reuses its token, so that
AWS returns the task or execution that the first call started. ECS may have forgotten the token after an hour;
:class:`nightferry.aws.runs.tasks.Tasks` then searches the log of task state changes. A locked file belongs to a call in
progress, perhaps in another terminal, and is not reused.
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

from nightferry.backend.errors import Refused
from nightferry.clock import Clock
from nightferry.environments.private_paths import create_private_folder, open_private
from nightferry.environments.state_folder import create_state_folder
from nightferry.storage.files import sync_to_disk

TOKEN_LENGTH = 32
_RECORD_LIFETIME = timedelta(hours=24)


@dataclass
class JournaledCall:
    """A call that is about to be made.

    ``first_made`` is the time of an earlier call with the same token whose response is unknown. The caller sets
    ``uncertain`` if AWS may have executed the call although no response arrived.
    """

    token: str
    first_made: datetime | None
    uncertain: bool = False


class Journal:
    """The journal of one environment: a folder in the project's state directory."""

    def __init__(self, state: Path, environment: str, clock: Clock) -> None:
        self._state = state
        self.folder = state / "aws" / environment
        self._clock = clock

    @contextlib.contextmanager
    def record(self, request: Any) -> Iterator[JournaledCall]:
        """Record the call that is made in the context. Success and certain refusals delete the record."""
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        create_private_folder(create_state_folder(self._state) / "aws")
        create_private_folder(self.folder)
        found = self._find_unanswered(digest)
        token, first_made = found or (uuid.uuid4().hex, None)
        file = self.folder / f"{token}.json"
        with open_private(file, "a+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if found is None:
                json.dump({"digest": digest, "at": self._clock.now().isoformat()}, handle)
                handle.flush()
                os.fsync(handle.fileno())
                sync_to_disk(self.folder)
            call = JournaledCall(token, first_made)
            try:
                yield call
            except Refused:
                if call.first_made is None and not call.uncertain:
                    file.unlink(missing_ok=True)
                raise
            file.unlink(missing_ok=True)

    def _find_unanswered(self, digest: str) -> tuple[str, datetime] | None:
        """Return the token and time of an earlier call with the same request and no response.

        Records that expired are deleted.
        """
        for file in sorted(self.folder.glob("*.json")):
            try:
                with file.open() as handle:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    entry = json.load(handle)
                    made = datetime.fromisoformat(entry["at"])
                    if self._clock.now() - made > _RECORD_LIFETIME:
                        file.unlink(missing_ok=True)
                    elif entry["digest"] == digest:
                        return file.stem, made
            except (BlockingIOError, FileNotFoundError):
                continue
            except (ValueError, KeyError, TypeError, RecursionError):
                # The process was killed while it wrote the file, which is before the call.
                file.unlink(missing_ok=True)
        return None
