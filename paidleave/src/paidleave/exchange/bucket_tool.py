"""``fineos-bucket-tool``: copies, moves and lists objects between our buckets and FINEOS's.

::

    choose (selection) → for each, several at once: is its copy there? → transfer, verified → a move deletes the source

Nothing is remembered between runs: what was copied shows by itself (``nightferry.storage.is_copy``). So a run
after a crash at any point goes on with the rest, and a second run copies nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from nightferry import storage
from nightferry.job import JobFailed, Run, background_task, get_logger
from nightferry.storage import Storage, StorageError, is_copy, transfer
from paidleave.exchange.selection import Chosen, choose
from paidleave.exchange.settings import BucketToolSettings
from paidleave.exchange.stamps import shown
from paidleave.exchange.storages import Storages

Outcome = Literal["copied", "there", "would be copied", "refused", "failed"]

_TOLD = 20
"""Failures that get a line of their own, and failures in a row after which the run ends."""

log = get_logger(__name__)


@background_task("fineos-bucket-tool", BucketToolSettings)
def main(settings: BucketToolSettings, run: Run) -> None:
    """Copy, move or list objects between our buckets and FINEOS's."""
    storages = Storages(settings)
    assert settings.from_path is not None  # the settings see to it
    origin = storages.storage_of(settings.from_path)
    if settings.action == "list":
        count = _list(settings, origin)
    else:
        count = Mover(settings, storages, origin, run).all(choose(settings, origin))
    if count < settings.expected_objects:
        raise JobFailed(
            f"{count} objects were found at {settings.from_path}, and {settings.expected_objects} are expected "
            "(EXPECTED_OBJECTS). Check FROM_PATH and FILE_PREFIXES, or whether they are late."
        )


def _list(settings: BucketToolSettings, origin: Storage) -> int:
    objects = size = 0
    for chosen in choose(settings, origin):
        found = chosen.source
        log.info(
            "%s",
            shown(found.name),
            extra={"event": "object", "size_bytes": found.size, "modified": found.modified.isoformat()},
        )
        objects += 1
        size += found.size
    log.info("listed", extra={"event": "summary", "objects": objects, "size_bytes": size})
    return objects


@dataclass
class MoveCounts:
    """Counts of what a run did."""

    objects: Counter[Outcome] = field(default_factory=Counter)
    bytes: int = 0
    deleted: int = 0
    failures_in_a_row: int = 0


class Mover:
    """Copies or moves what was chosen, several objects at once."""

    def __init__(self, settings: BucketToolSettings, storages: Storages, origin: Storage, run: Run) -> None:
        assert settings.to_path is not None  # the settings see to it
        self._settings = settings
        self._origin = origin
        self._target = storages.storage_of(settings.to_path)
        self._archive = storages.storage_of(settings.archive_path) if settings.archive_path else None
        self._run = run
        self._ending = threading.Event()
        self.counts = MoveCounts()

    def all(self, chosen: Iterable[Chosen]) -> int:
        """Do it; the answer is how many objects there were. Raises JobFailed when one could not be done."""
        with self._run.progress(self._settings.action, None, "bytes") as progress:

            def advance(count: int) -> None:
                if self._ending.is_set():
                    raise _Ending
                progress.advance(count)

            for one, outcome in self._in_parallel(chosen, lambda one: self._one(one, advance)):
                self._count(one, outcome)
        counts = self.counts
        done = sum(counts.objects.values())
        log.info(
            "summary",
            extra={
                "event": "summary",
                "action": self._settings.action,
                "dry_run": self._settings.dry_run,
                "objects": done,
                **{name.replace(" ", "_"): count for name, count in sorted(counts.objects.items())},
                "copied_bytes": counts.bytes,
                "deleted": counts.deleted,
            },
        )
        if bad := counts.objects["failed"] + counts.objects["refused"]:
            raise JobFailed(
                f"{bad} of {done} objects could not be {_DONE[self._settings.action]}; the lines above say why. "
                "The others are done; run it again for the rest."
            )
        return done

    def _in_parallel(
        self, chosen: Iterable[Chosen], work: Callable[[Chosen], Outcome]
    ) -> Iterator[tuple[Chosen, Outcome]]:
        """Each object with what became of it; only a few of them wait, however many there are."""
        waiting: dict[Future[Outcome], Chosen] = {}
        with ThreadPoolExecutor(self._settings.parallel, "copy") as pool:
            try:
                for one in chosen:
                    waiting[pool.submit(work, one)] = one
                    if len(waiting) >= 2 * self._settings.parallel:
                        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                        yield from [(waiting.pop(future), future.result()) for future in done]
                done, _ = wait(waiting)
                yield from [(waiting[future], future.result()) for future in done]
            except BaseException:
                self._ending.set()  # what is under way ends at its next piece, and leaves nothing
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, one: Chosen, advance: Callable[[int], None]) -> Outcome:
        if one.problem:
            self._tell(one, one.problem)
            return "refused"
        try:
            outcome: Outcome = "there"
            if not self._is_done(one):
                if self._settings.dry_run:
                    log.info("would be %s: %s", _DONE[self._settings.action], shown(one.source.name))
                    return "would be copied"
                transfer(one.source, self._origin, one.target, self._target, advance)
                outcome = "copied"
            if self._settings.action == "move" and not self._settings.dry_run:
                self._origin.delete(one.source.uri, version=one.source.version)
            return outcome
        except StorageError as error:
            self._tell(one, str(error))
            return "failed"

    def _is_done(self, one: Chosen) -> bool:
        """Return True if its copy is at the target, or in the archive under its name, ``NAME.2`` and so on."""
        if is_copy(one.source, self._origin, one.target, self._target):
            return True
        if self._archive is None or self._settings.archive_path is None:
            return False
        archived = storage.join(self._settings.archive_path, *one.name.split("/"))
        number = 1
        while self._archive.exists(candidate := archived if number == 1 else f"{archived}.{number}"):
            if is_copy(one.source, self._origin, candidate, self._archive):
                return True
            number += 1
        return False

    def _count(self, one: Chosen, outcome: Outcome) -> None:
        counts = self.counts
        counts.objects[outcome] += 1
        if outcome == "copied":
            counts.bytes += one.source.size
        if outcome in ("copied", "there") and self._settings.action == "move" and not self._settings.dry_run:
            counts.deleted += 1
        counts.failures_in_a_row = counts.failures_in_a_row + 1 if outcome == "failed" else 0
        if counts.failures_in_a_row >= _TOLD:
            raise JobFailed(
                f"{_TOLD} objects in a row could not be {_DONE[self._settings.action]}; the lines above say why. "
                "The others were not tried."
            )

    def _tell(self, one: Chosen, problem: str) -> None:
        bad = self.counts.objects["failed"] + self.counts.objects["refused"]
        if bad < _TOLD:
            log.error("%s: %s", shown(one.source.name), problem, extra={"event": "object_failed"})
        elif bad == _TOLD:
            log.error("more objects fail; they are counted in the summary")


class _Ending(Exception):
    """The run ends before this object is copied."""


_DONE = {"copy": "copied", "move": "moved"}
