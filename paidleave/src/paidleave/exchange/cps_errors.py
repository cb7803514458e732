"""``cps-errors-crawler``: reads the error files of FINEOS's claims processing, reports what they hold, moves them on.

An error file is CSV with a header, a record for each row of ours that FINEOS did not take. What its columns are called
differs from file to file; which of them names the error is told by :data:`KIND_COLUMNS`. Of the error's text only
words are kept that cannot be anybody's data, so that a file becomes counts by kind of error: a log line and a
``FINEOSBatchError`` event for each kind.

A file is moved after it was reported. A crash between the two has it reported again, with the same ``file`` and
``version`` in its events.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow.compute as pc

from nightferry import storage
from nightferry.job import JobFailed, Run, background_task, get_logger
from nightferry.storage import StorageError, StoredObject, is_copy, transfer
from paidleave.exchange import extract_file
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import Account
from paidleave.exchange.selection import unusable
from paidleave.exchange.settings import CpsErrorsSettings
from paidleave.exchange.stamps import date_of, shown, without_stamp
from paidleave.fineos.client.errors import known_words
from paidleave.fineos.eligibility_feed.feed_format import COLUMNS

KIND_COLUMNS = ("ERRORCODE", "ERRORTYPE", "ERRORMESSAGE", "ERRORDESCRIPTION", "ERROR", "EXCEPTION", "MESSAGE", "REASON")
"""Columns that name the error, the best first; blanks, dashes and underscores in a header don't matter."""

KINDS = 50
"""Kinds of errors that one file is told by; rarer ones are counted together."""

OTHER = "other errors"
_CODE = re.compile("[A-Z]{1,8}[-_]?[0-9]{2,5}", re.ASCII)  # too few digits for an SSN, FEIN or account
_UNREADABLE = "record that cannot be read"

log = get_logger(__name__)


@background_task("cps-errors-crawler", CpsErrorsSettings)
def main(settings: CpsErrorsSettings, run: Run) -> None:
    """Report the errors in FINEOS's error files, and move the files on."""
    crawler = Crawler(settings, run)
    counts = {"files": 0, "errors": 0, "unreadable_files": 0}
    found = list(crawler.storage.walk(settings.cps_error_files_received_path))
    with run.progress("error files", len(found), "files") as progress:
        for file in found:
            try:
                counts["errors"] += crawler.file(file)
                counts["files"] += 1
            except (RefusedFile, StorageError) as error:
                log.error("%s cannot be used: %s", shown(file.name), str(error), extra={"event": "file_failed"})
                counts["unreadable_files"] += 1
            progress.advance()
    log.info("error files reported", extra={"event": "summary", **counts})
    if bad := counts["unreadable_files"]:
        raise JobFailed(
            f"{bad} of {len(found)} error files could not be reported and stay where they are; the lines above say "
            "why. The others are reported and moved on."
        )


class Crawler:
    """Reports and moves files, one by one."""

    def __init__(self, settings: CpsErrorsSettings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self.storage = storage.session()

    def file(self, file: StoredObject) -> int:
        """Report one file and move it on; how many errors it told of. Raises RefusedFile and StorageError."""
        if problem := unusable(file.name):
            raise RefusedFile(problem)
        kinds = self.kinds(file)
        common = {
            "file": shown(file.name),
            "version": file.version,
            "file_type": without_stamp(file.name),
            "file_date": date_of(file.name, file.modified).isoformat(),
        }
        events: list[dict[str, Any]] = [{**common, "kind": kind, "count": count} for kind, count in kinds]
        for event in events:
            log.warning("errors at FINEOS: %s", event["kind"], extra={"event": "FINEOSBatchError", **event})
        self._run.send_events("FINEOSBatchError", events)
        self._move_on(file)
        return sum(count for _, count in kinds)

    def kinds(self, file: StoredObject) -> list[tuple[str, int]]:
        """The kinds of errors in a file with their counts, the most frequent first. Raises RefusedFile."""
        with self.storage.open_read(file.uri, version=file.version) as stream:
            names = extract_file.header(stream)
        column = _kind_column(names)
        found: Counter[str] = Counter()
        account = Account()
        with self.storage.open_read(file.uri, version=file.version) as stream:
            for batch in extract_file.rows(stream, names, account, lambda record: None):  # noqa: ARG005
                values, counts = pc.value_counts(batch.column(column)).flatten()
                for text, count in zip(values.to_pylist(), counts.to_pylist(), strict=True):
                    kind = kind_of(text)
                    assert count is not None  # a count is none of Arrow's NULLs
                    found[kind if kind in found or len(found) < KINDS else OTHER] += count
        if account.rejected:
            found[_UNREADABLE] += account.rejected.total()
        return found.most_common()

    def _move_on(self, file: StoredObject) -> None:
        """Move the file; a different one of that name stays, and this one becomes ``NAME.2``, ``NAME.3`` and so on."""
        folder = self._settings.cps_error_files_processed_path
        target = place = storage.join(folder, *file.name.split("/"))
        number = 1
        while self.storage.exists(target) and not is_copy(file, self.storage, target, self.storage):
            number += 1
            target = f"{place}.{number}"
        if not self.storage.exists(target):
            transfer(file, self.storage, target, self.storage)
        self.storage.delete(file.uri, version=file.version)


def kind_of(text: str | None) -> str:
    """The kind of error that a text tells: its code, or its words that cannot be anybody's data."""
    if not text:
        return "no text"
    return text if _CODE.fullmatch(text) else known_words(text, COLUMNS)


def _kind_column(names: list[str]) -> int:
    plain = ["".join(filter(str.isalnum, name)).upper() for name in names]
    for wanted in KIND_COLUMNS:
        if wanted in plain:
            return plain.index(wanted)
    raise RefusedFile(f"no column names the error; one of {', '.join(KIND_COLUMNS)} is needed")
