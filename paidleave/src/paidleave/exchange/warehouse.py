"""``import-fineos-to-warehouse``: the vendor's raw extracts as partitioned Parquet, all columns as text.

::

    EXTRACTS_PATH/…/2026-01-05-20-00-00-VBI_CASE.csv
        → WAREHOUSE_PATH/VBI_CASE/date=2026-01-05/NAME.parquet           the rows
        → WAREHOUSE_PATH/_rejected/VBI_CASE/date=2026-01-05/NAME.csv     records that are no rows
        → WAREHOUSE_PATH/_manifest/VBI_CASE/date=2026-01-05/NAME.VERSION.json   the account: done

NAME follows from the place of the extract, so that doing it again replaces the same objects. Each appears as a whole or
not at all, the manifest last: after a crash at any point, the next run does the extract again, and nothing is doubled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from nightferry import storage
from nightferry.job import JobFailed, Run, background_task, get_logger
from nightferry.storage import Storage, StorageError, StoredObject
from paidleave.exchange import extract_file
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import Account, Rejected
from paidleave.exchange.selection import unusable
from paidleave.exchange.settings import WarehouseSettings
from paidleave.exchange.stamps import date_of, shown, without_stamp
from paidleave.exchange.storages import Storages

_SUFFIX = ".csv"

log = get_logger(__name__)


@background_task("import-fineos-to-warehouse", WarehouseSettings)
def main(settings: WarehouseSettings, run: Run) -> None:
    """Take the vendor's new extracts into the warehouse."""
    storages = Storages(settings)
    origin = storages.storage_of(settings.extracts_path)
    warehouse = Warehouse(settings, origin, storages.storage_of(settings.warehouse_path))
    counts = {"published": 0, "refused": 0, "failed": 0, "known": 0, "rows": 0, "rejected": 0}
    with run.progress("extracts", None, "files") as progress:
        for found in origin.walk(settings.extracts_path):
            if not found.name.lower().endswith(_SUFFIX):
                continue
            try:
                account = warehouse.take(found)
            except RefusedFile as error:
                log.error("%s is refused: %s", shown(found.name), str(error), extra={"event": "file_refused"})
                counts["refused"] += 1
            except StorageError as error:
                log.error("%s: %s", shown(found.name), str(error), extra={"event": "file_failed"})
                counts["failed"] += 1
            else:
                counts["known" if account is None else "published"] += 1
                counts["rows"] += account.rows if account else 0
                counts["rejected"] += account.rejected.total() if account else 0
            progress.advance()
    log.info("extracts imported", extra={"event": "summary", **counts})
    if bad := counts["refused"] + counts["failed"]:
        raise JobFailed(
            f"{bad} extracts could not be taken into the warehouse; the lines above say why. The others are there. "
            "A refused one is not tried again until it is replaced, or RETRY_REFUSED is set."
        )


@dataclass(frozen=True)
class Destination:
    """Where an extract goes."""

    extract: str
    day: date
    name: str

    @classmethod
    def of(cls, found: StoredObject) -> Destination:
        """The extract and day that the file's name tells; the digest keeps equal names of two folders apart."""
        extract = re.sub(r"[^A-Za-z0-9_]+", "_", without_stamp(found.name)[: -len(_SUFFIX)]).strip("_") or "unnamed"
        last = re.sub(r"[^A-Za-z0-9_-]+", "_", found.name.rpartition("/")[2][: -len(_SUFFIX)])
        digest = hashlib.sha256(found.name.encode()).hexdigest()[:12]
        return cls(extract[:100], date_of(found.name, found.modified), f"{last[:100]}-{digest}")

    def uri(self, folder: str, kind: str, ending: str) -> str:
        """The object of that ``kind`` (empty: the rows themselves)."""
        parts = [kind] if kind else []
        return storage.join(folder, *parts, self.extract, f"date={self.day.isoformat()}", f"{self.name}{ending}")


class Warehouse:
    """Takes extracts in, one by one."""

    def __init__(self, settings: WarehouseSettings, origin: Storage, target: Storage) -> None:
        self._settings = settings
        self._origin = origin
        self._target = target

    def take(self, found: StoredObject) -> Account | None:
        """Publish an extract; None when this version of it was dealt with before.

        Raises RefusedFile, after that was written into the manifest, and StorageError.
        """
        if problem := unusable(found.name):
            raise RefusedFile(problem)
        destination = Destination.of(found)
        version = hashlib.sha256(found.version.encode()).hexdigest()[:12]
        manifest = destination.uri(self._settings.warehouse_path, "_manifest", f".{version}.json")
        if (known := self._target.load(manifest)) and not self._again(known[0]):
            return None
        account = Account()
        try:
            self._publish(found, destination, account)
        except RefusedFile as error:
            self._write(manifest, _entry(found, account, status="refused", reason=str(error)))
            raise
        log.info(
            "published",
            extra={"file": shown(found.name), "rows": account.rows, "rejected": dict(account.rejected)},
        )
        self._write(manifest, _entry(found, account, status="published"))
        return account

    def _again(self, manifest: bytes) -> bool:
        return self._settings.retry_refused and json.loads(manifest)["status"] == "refused"

    def _publish(self, found: StoredObject, destination: Destination, account: Account) -> None:
        """The rows and the rejected records of one extract, both or neither, the rows last."""
        with self._origin.open_read(found.uri, version=found.version) as stream:
            names = extract_file.header(stream)
        schema = pa.schema([(name, pa.string()) for name in names]).with_metadata({"source": found.name})
        parquet = destination.uri(self._settings.warehouse_path, "", ".parquet")
        with (
            self._origin.open_read(found.uri, version=found.version) as stream,
            self._target.open_write(parquet) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
            self._rejects(destination) as reject,
        ):
            for batch in extract_file.rows(stream, names, account, reject):
                writer.write_batch(batch)
            self._check_share(account)

    def _check_share(self, account: Account) -> None:
        limit = self._settings.warehouse_rejected_share_limit
        if (rejected := account.rejected.total()) > limit * account.records:
            raise RefusedFile(
                f"{rejected} of {account.records} records are rejected, more than the allowed share of {limit:.2%} "
                "(WAREHOUSE_REJECTED_SHARE_LIMIT)"
            )

    @contextmanager
    def _rejects(self, destination: Destination) -> Iterator[Any]:
        """Where rejected records go. Without any there is no object, nor one of an earlier version."""
        uri = destination.uri(self._settings.warehouse_path, "_rejected", ".csv")
        with ExitStack() as opened:
            text: list[TextIO] = []

            def reject(record: Rejected) -> None:
                if not text:
                    binary = opened.enter_context(self._target.open_write(uri))
                    text.append(opened.enter_context(io.TextIOWrapper(binary, encoding="utf-8", newline="")))
                    csv.writer(text[0]).writerow(("record", "reason", "text"))
                csv.writer(text[0]).writerow((record.number, record.reason, record.text))

            yield reject
        if not text:
            self._target.delete(uri)

    def _write(self, uri: str, entry: dict[str, Any]) -> None:
        with self._target.open_write(uri) as file:
            file.write(json.dumps(entry, indent=1, ensure_ascii=False).encode())


def _entry(found: StoredObject, account: Account, **more: str) -> dict[str, Any]:
    """What the manifest holds: where from, and lines in = rows out + rejected."""
    return {
        **more,
        "source": found.name,
        "version": found.version,
        "bytes": found.size,
        "records": account.records,
        "rows": account.rows,
        "rejected": dict(account.rejected),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
