"""Local object triggers: a new file in a bucket's folder starts the declared task or workflow.

::

    prepare:  declared triggers ─► delete the others; record existing objects as known
    run:      poll ─► settled files ─► complete? version? ─► start and record as known, in one transaction

A trigger that is new or was disabled starts nothing for existing objects, just as S3 reports only events that happen
while a notification is configured. After that, every unknown object is new, however long no engine was running. The
start and the known object are recorded in one transaction, and the token ``trigger:NAME:KEY:VERSION`` is unique. So a
crash at any moment neither loses nor repeats a start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import ObjectTrigger
from nightferry.catalog.references import substitute
from nightferry.contract import INPUT_VARIABLES
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.local.engine.engine import Engine
from nightferry.local.runs.starts import Starter, StartRequest
from nightferry.local.services.services import Services
from nightferry.local.store import FileFingerprint, Filter, KnownObject, StartRecord, Store, StoreDamaged, now
from nightferry.local.store.retrying import retry_while_locked
from nightferry.local.triggers import object_content
from nightferry.local.triggers.object_folder import SETTLE_SECONDS, FolderWatch
from nightferry.storage.locations import join

POLL_SECONDS = 0.5  # minimum time between two polls
_PAUSE_FACTOR = 5  # minimum pause after ordinary polls, as a multiple of their processor time
_SWEEP_PAUSE_FACTOR = 20  # the same between two sweeps
_RETRY_SECONDS = 10.0  # until the next attempt for a file that could not be read or started
_IDLE_SECONDS = 3600.0  # between two polls without any trigger
_BATCH_FILES = 100  # files in one transaction
_GONE_RETENTION = timedelta(days=30)

_T = TypeVar("_T")
_log = logging.getLogger("nightferry.engine")


class ObjectTriggers:
    """The component of the engine for object triggers.

    Create it before announcing that the engine has started, because it records the existing objects as known.
    """

    def __init__(
        self,
        store: Store,
        starter: Starter,
        catalog: Catalog,
        environment: Environment,
        folder: Callable[[str], Path],
        *,
        settle: float = SETTLE_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        """Record the existing objects as known to new triggers. ``folder`` returns the path of a bucket."""
        self._store = store
        self._starter = starter
        self._poll_seconds = poll
        self._triggers = {name: t for name, t in catalog.object_triggers.items() if _is_enabled(t, environment)}
        self._watches = {
            name: FolderWatch(folder(t.bucket), Filter(t.bucket, t.prefix, t.suffix), {}, settle)
            for name, t in self._triggers.items()
        }
        self._sweep_at = dict.fromkeys(self._watches, 0.0)
        self._gone: dict[str, set[str]] = {}
        self._reported: dict[str, str] = {}
        self._ended = False
        self._prepare()

    def _prepare(self) -> None:
        """Synchronize the triggers in the store with the declarations."""
        with self._store.transaction():
            before = self._store.object_triggers()
            for name in before.keys() - self._watches.keys():
                self._store.forget_object_trigger(name)
            for name, watch in self._watches.items():
                if before.get(name) != watch.filter:
                    self._register(name, watch, before.get(name))
                watch.known = self._store.known_objects(name)
                self._gone[name] = self._store.gone_objects(name)

    def _register(self, name: str, watch: FolderWatch, before: Filter | None) -> None:
        """Record existing objects as known, unless the trigger's previous filter included them."""
        self._store.save_object_trigger(name, watch.filter)
        existing = watch.list_files()
        moved = before is None or before.bucket != watch.filter.bucket
        known = self._store.known_objects(name)
        new = {
            key: fingerprint
            for key, fingerprint in existing.items()
            if key not in known and (moved or before is None or not before.matches(key))
        }
        self._store.save_objects(name, ((key, KnownObject(fingerprint, None)) for key, fingerprint in new.items()))
        if new:
            _log.info(
                "Trigger %s is new. It starts nothing for %d existing objects of bucket %s.",
                name, len(new), watch.filter.bucket, extra={"event": "trigger_new", "trigger": name},
            )  # fmt: skip

    async def run(self) -> None:
        """Poll until canceled."""
        self._ended = False
        try:
            while True:
                spent = 0.0
                for name in self._watches:
                    spent += await self.poll(name)
                await asyncio.sleep(max(self._poll_seconds, _PAUSE_FACTOR * spent) if self._watches else _IDLE_SECONDS)
        finally:
            self._ended = True

    async def poll(self, name: str, *, sweep: bool = False) -> float:
        """Poll once for one trigger and make the starts that follow from it.

        Return the processor time of an ordinary poll in seconds. For a sweep, return 0, because sweeps have their own
        pause.
        """
        watch = self._watches[name]
        began = time.monotonic()
        sweep = sweep or began >= self._sweep_at[name]
        settled, spent = await asyncio.to_thread(_measure, partial(watch.poll, began, sweep=sweep))
        if sweep:
            self._sweep_at[name] = time.monotonic() + _SWEEP_PAUSE_FACTOR * spent
            await self._record_gone(name)
        for first in range(0, len(settled), _BATCH_FILES):
            some = settled[first : first + _BATCH_FILES]
            versions = await asyncio.to_thread(self._compute_versions, watch, some)
            complete = [
                (key, fingerprint, version)
                for (key, fingerprint), version in zip(some, versions, strict=True)
                if version
            ]
            if complete:
                await retry_while_locked(partial(self._start_new_versions, name, complete))
        return 0.0 if sweep else spent

    def _compute_versions(self, watch: FolderWatch, files: list[tuple[str, FileFingerprint]]) -> list[str | None]:
        """Return the files' versions; None for a file that is being written or cannot be read."""
        found: list[str | None] = []
        for key, fingerprint in files:
            version = None
            try:
                version = object_content.compute_version(watch.path(key), fingerprint, lambda: self._ended)
            except object_content.BeingWritten:
                self._log_once(watch, key, logging.INFO, "A process has it open for writing.")
            except object_content.UnreadableFile as error:
                watch.defer(key, fingerprint, time.monotonic() + _RETRY_SECONDS)
                self._log_once(watch, key, logging.ERROR, f"It cannot be read: {error}.")
            found.append(version)
        return found

    def _start_new_versions(self, name: str, files: list[tuple[str, FileFingerprint, str]]) -> None:
        """Start the target for new versions, and record all versions as known."""
        watch, trigger = self._watches[name], self._triggers[name]
        processed: list[tuple[str, FileFingerprint]] = []
        started: list[tuple[str, StartRecord]] = []
        with self._store.transaction():
            for key, fingerprint, version in files:
                known = self._store.known_object(name, key)
                same = (
                    known is not None and known.fingerprint[:2] == fingerprint[:2] and known.version in (None, version)
                )
                try:
                    if not same:
                        started.append((key, self._starter.start(_make_start_request(trigger, watch, key, version))))
                except StoreDamaged:
                    raise
                except NightferryError as error:
                    watch.defer(key, fingerprint, time.monotonic() + _RETRY_SECONDS)
                    self._log_once(watch, key, logging.ERROR, str(error))
                    continue
                self._store.save_objects(name, [(key, KnownObject(fingerprint, version))])
                processed.append((key, fingerprint))
        for key, fingerprint in processed:  # After the transaction, so that memory and store agree.
            watch.mark_processed(key, fingerprint)
            self._gone[name].discard(key)
            self._reported.pop(key, None)
        for key, start in started:
            _log.info(
                "Object %s of bucket %s: %s %s %s.",
                ascii(key), trigger.bucket, start.kind, start.target, start.outcome,
                extra={"event": "object", "trigger": name, "id": start.id},
            )  # fmt: skip

    def _log_once(self, watch: FolderWatch, key: str, level: int, reason: str) -> None:
        """Log once the reason why an existing object starts nothing yet."""
        if self._reported.get(key) != reason:
            self._reported[key] = reason
            _log.log(
                level, "Object %s of bucket %s is waiting. %s", ascii(key), watch.filter.bucket, reason,
                extra={"event": "object_waits"},
            )  # fmt: skip

    async def _record_gone(self, name: str) -> None:
        """Record the time from which objects no longer exist, so that they are deleted from the store later."""
        watch = self._watches[name]
        if not watch.complete:
            return
        gone = watch.known.keys() - watch.present_keys()
        newly, back = gone - self._gone[name], self._gone[name] - gone
        if newly or back:

            def write() -> None:
                with self._store.relaxed_durability(), self._store.transaction():
                    self._store.mark_objects_gone(name, newly)
                    self._store.mark_objects_back(name, back)
                    self._store.forget_gone_objects(now() - _GONE_RETENTION)

            await retry_while_locked(write)
            self._gone[name] = gone


def _measure(call: Callable[[], _T]) -> tuple[_T, float]:
    began = time.thread_time()
    return call(), time.thread_time() - began


def _make_start_request(trigger: ObjectTrigger, watch: FolderWatch, key: str, version: str) -> StartRequest:
    about = {"bucket": trigger.bucket, "key": key, "version": version, "uri": join(watch.root.as_uri(), key)}
    return StartRequest(
        token=f"trigger:{trigger.name}:{key}:{version}",
        source=f"trigger:{trigger.name}",
        kind=trigger.kind,
        target=trigger.target,
        due_at=now(),
        # Escape the values, because a key may look like a reference.
        env={INPUT_VARIABLES[name]: value.replace("${", "$${") for name, value in about.items()},
        input=about,
    )


def _is_enabled(trigger: ObjectTrigger, environment: Environment) -> bool:
    enabled: str = substitute(trigger.enabled, lambda reference: environment.settings[reference.name])
    return enabled == "true"


def watch_objects(engine: Engine, services: Services, catalog: Catalog, environment: Environment) -> ObjectTriggers:
    """Add the catalog's object triggers to an engine's components."""
    starter = Starter(engine.store, catalog, services.resolve)
    triggers = ObjectTriggers(engine.store, starter, catalog, environment, services.resolve.get_bucket_folder)
    engine.components = (*engine.components, triggers)
    return triggers
