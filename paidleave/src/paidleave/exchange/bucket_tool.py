"""``fineos-bucket-tool``: copy, move and list objects in our buckets and FINEOS's.

The steps, with several objects in parallel::

    select objects → skip those with a copy → transfer and verify → for a move, delete the source

The tool stores no state between runs: ``nightferry.storage.is_copy`` recognizes existing copies. A run after a crash
therefore copies only the missing objects, and a second run copies nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from nightferry import JobFailed, Run, background_task, get_logger, storage
from nightferry.storage import Storage, StorageError, is_copy, transfer
from paidleave.exchange.selection import SelectedObject, select_objects
from paidleave.exchange.settings import BucketToolSettings
from paidleave.exchange.storages import Storages

Outcome = Literal["copied", "already copied", "would be copied", "refused", "failed"]

_FAILURE_LIMIT = 20
"""Number of failures that are logged individually, and of consecutive failures after which the run ends."""

log = get_logger(__name__)


@background_task("fineos-bucket-tool", BucketToolSettings)
def main(settings: BucketToolSettings, run: Run) -> None:
    """Copy, move or list objects in our buckets and FINEOS's."""
    storages = Storages(settings)
    assert settings.from_path is not None  # the settings are validated
    origin = storages.select(settings.from_path)
    if settings.action == "list":
        count = _list_objects(settings, origin)
    else:
        count = Mover(settings, storages, origin, run).process(select_objects(settings, origin))
    if count < settings.expected_objects:
        raise JobFailed(
            f"{count} objects found at {settings.from_path}; at least {settings.expected_objects} expected "
            "(EXPECTED_OBJECTS). Check FROM_PATH and FILE_PREFIXES, or start the task again when the files are there."
        )


def _list_objects(settings: BucketToolSettings, origin: Storage) -> int:
    objects = size = 0
    for selected in select_objects(settings, origin):
        found = selected.source
        log.info(
            "%s",
            found.name,
            extra={"event": "object", "size_bytes": found.size, "modified": found.modified.isoformat()},
        )
        objects += 1
        size += found.size
    log.info("listed", extra={"event": "summary", "objects": objects, "size_bytes": size})
    return objects


@dataclass
class MoveCounts:
    """Totals of a run: objects by outcome, bytes copied, and sources deleted."""

    objects: Counter[Outcome] = field(default_factory=Counter)
    bytes: int = 0
    deleted: int = 0
    consecutive_failures: int = 0


class Mover:
    """Copies or moves objects, several in parallel."""

    def __init__(self, settings: BucketToolSettings, storages: Storages, origin: Storage, run: Run) -> None:
        assert settings.to_path is not None  # the settings are validated
        self._settings = settings
        self._origin = origin
        self._target = storages.select(settings.to_path)
        self._archive = storages.select(settings.archive_path) if settings.archive_path else None
        self._run = run
        self._canceled = threading.Event()
        self.counts = MoveCounts()

    def process(self, selection: Iterable[SelectedObject]) -> int:
        """Copy or move the objects and return their number. Raises JobFailed if an object failed."""
        with self._run.progress(self._settings.action, None, "bytes") as progress:

            def advance(count: int) -> None:
                if self._canceled.is_set():
                    raise _TransferCanceled
                progress.advance(count)

            for selected, outcome in self._run_in_parallel(selection, lambda item: self._process_one(item, advance)):
                self._count(selected, outcome)
        counts = self.counts
        done = sum(counts.objects.values())
        log.info(
            "summary",
            extra={
                "event": "summary",
                "action": self._settings.action,
                "report_only": self._settings.report_only,
                "objects": done,
                **{name.replace(" ", "_"): count for name, count in sorted(counts.objects.items())},
                "copied_bytes": counts.bytes,
                "deleted": counts.deleted,
            },
        )
        if bad := counts.objects["failed"] + counts.objects["refused"]:
            raise JobFailed(
                f"{bad} of {done} objects could not be {_PARTICIPLES[self._settings.action]}; see the errors above. "
                "The other objects are done. Run the task again to retry the failed ones."
            )
        return done

    def _run_in_parallel(
        self, selection: Iterable[SelectedObject], work: Callable[[SelectedObject], Outcome]
    ) -> Iterator[tuple[SelectedObject, Outcome]]:
        """Yield each object with its outcome. The queue of submitted objects is bounded."""
        waiting: dict[Future[Outcome], SelectedObject] = {}
        with ThreadPoolExecutor(self._settings.parallel, "copy") as pool:
            try:
                for selected in selection:
                    waiting[pool.submit(work, selected)] = selected
                    if len(waiting) >= 2 * self._settings.parallel:
                        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                        yield from [(waiting.pop(future), future.result()) for future in done]
                done, _ = wait(waiting)
                yield from [(waiting[future], future.result()) for future in done]
            except BaseException:
                self._canceled.set()  # transfers stop at their next chunk and leave no partial copy
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _process_one(self, selected: SelectedObject, advance: Callable[[int], None]) -> Outcome:
        if selected.problem:
            self._log_failure(selected, selected.problem)
            return "refused"
        source = selected.source
        try:
            outcome: Outcome = "already copied"
            if not self._has_copy(selected):
                if self._settings.report_only:
                    log.info("would be %s: %s", _PARTICIPLES[self._settings.action], source.name)
                    return "would be copied"
                transfer(source, self._origin, selected.target, self._target, advance)
                outcome = "copied"
            if self._settings.action == "move" and not self._settings.report_only:
                self._origin.delete(source.uri, version=source.version)
            return outcome
        except StorageError as error:
            self._log_failure(selected, str(error))
            return "failed"

    def _has_copy(self, selected: SelectedObject) -> bool:
        """Return True if a copy is at the target, or in the archive under the same name, ``NAME.2`` and so on."""
        if is_copy(selected.source, self._origin, selected.target, self._target):
            return True
        if self._archive is None or self._settings.archive_path is None:
            return False
        archived = storage.join(self._settings.archive_path, *selected.name.split("/"))
        number = 1
        while self._archive.exists(candidate := archived if number == 1 else f"{archived}.{number}"):
            if is_copy(selected.source, self._origin, candidate, self._archive):
                return True
            number += 1
        return False

    def _count(self, selected: SelectedObject, outcome: Outcome) -> None:
        counts = self.counts
        counts.objects[outcome] += 1
        if outcome == "copied":
            counts.bytes += selected.source.size
        if (
            outcome in ("copied", "already copied")
            and self._settings.action == "move"
            and not self._settings.report_only
        ):
            counts.deleted += 1
        counts.consecutive_failures = counts.consecutive_failures + 1 if outcome == "failed" else 0
        if counts.consecutive_failures >= _FAILURE_LIMIT:
            raise JobFailed(
                f"{_FAILURE_LIMIT} consecutive objects could not be {_PARTICIPLES[self._settings.action]}; "
                "see the errors above. The remaining objects were not tried."
            )

    def _log_failure(self, selected: SelectedObject, problem: str) -> None:
        bad = self.counts.objects["failed"] + self.counts.objects["refused"]
        if bad < _FAILURE_LIMIT:
            log.error("failed object %s. Cause: %s", selected.source.name, problem, extra={"event": "object_failed"})
        elif bad == _FAILURE_LIMIT:
            log.error("further failures are not logged individually; the summary counts them")


class _TransferCanceled(Exception):
    """The run ended before this object was copied."""


_PARTICIPLES = {"copy": "copied", "move": "moved"}
