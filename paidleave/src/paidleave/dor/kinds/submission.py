"""The rules of the CSV of returning employers, which is converted to a submission for DOR.

The submission is written completely or not at all. Its name contains the modification time of the CSV and its lines
depend only on the CSV, so that a run after a crash writes the same object. After the digest of the CSV is committed, it
is never written again. The object is uploaded with a single request, because DOR compares its ETag with the MD5 of the
content, and a multipart upload has a different ETag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from nightferry import JobFailed, NightferryError, storage
from paidleave.dor.files import returning_csv
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import RETURNING, RETURNING_CSV, SUBMISSION, SUBMISSION_FILE
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.file_kind import EMPLOYERS, FileKind
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps

_TABLE = "staged_submission"
_CHUNK_BYTES = 1024 * 1024


class EtagMismatch(NightferryError):
    """The ETag of the object is not the MD5 of its content, so that DOR would reject the file.

    Encrypt the folder ``send`` with SSE-S3. With KMS keys, an ETag is not an MD5.
    """


class Submission:
    """The rules of one CSV."""

    staging = ("submission/10_create_staging",)

    def __init__(self, csv: ReceivedFile, folder: str) -> None:
        self._csv = csv
        self._folder = folder

    def screen(self, batch: Batch) -> Screened:
        """Accept all records of the reader, which has rejected the invalid ones."""
        rows = batch.records[RETURNING.name].select("line_number", "fein", "first_requested_quarter")
        return Screened({_TABLE: rows}, batch.rejects.clear())

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the submission and return the counts for the report."""
        duplicates = steps.run("submission/20_drop_duplicates")
        written = staged[_TABLE] - duplicates
        if not written:
            raise JobFailed("the file has no valid rows. Save it again with the returning employers")
        self._send(steps)
        return {
            "created_employers_count": written,
            "updated_employers_count": 0,
            "unmodified_employers_count": 0,
            "duplicate_employers_count": duplicates,
            "total_employers_written_count": written,
        }

    def _send(self, steps: Steps) -> None:
        md5 = hashlib.md5(usedforsecurity=False)
        for line in _format_lines(steps):
            md5.update(line)
        digest = md5.hexdigest()
        uri = self._find_free_uri(digest)
        if not storage.exists(uri):
            with storage.open_write(uri, single_part=True) as file:
                for line in _format_lines(steps):
                    file.write(line)
        _check_etag(self._folder, uri, digest)

    def _find_free_uri(self, digest: str) -> str:
        """Return the first free address from the time of the CSV on, or that of an object with the same content."""
        time = self._csv.modified or datetime.now(UTC)
        while True:
            uri = storage.join(self._folder, SUBMISSION_FILE.format_file_name(f"{time.astimezone(UTC):%Y%m%d%H%M%S}"))
            if not storage.exists(uri) or _compute_md5(uri) == digest:
                return uri
            time += timedelta(seconds=1)


def format_line(fein: str, first_quarter: str) -> bytes:
    """Return one line of a submission; ``first_quarter`` is YYYYMMDD."""
    values = ("FEIN", fein, first_quarter)
    text = "".join(value.ljust(field.width) for value, field in zip(values, SUBMISSION.fields, strict=True))
    return text.encode() + b"\n"


def _format_lines(steps: Steps) -> Iterator[bytes]:
    for fein, quarter in steps.select_rows("submission/30_select_rows"):
        yield format_line(fein, quarter)


def _compute_md5(uri: str) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    with storage.open_read(uri) as stored:
        while data := stored.read(_CHUNK_BYTES):
            md5.update(data)
    return md5.hexdigest()


def _check_etag(folder: str, uri: str, digest: str) -> None:
    if not uri.startswith("s3://"):
        return
    for stored in storage.list_objects(folder):
        if stored.uri == uri and stored.version != digest:
            storage.delete(uri)
            raise EtagMismatch(
                "the object was deleted because its ETag is not the MD5 of its content and DOR would reject it. "
                f"Encrypt {folder} with SSE-S3 instead of KMS keys"
            )


def make_submission_kind(send_folder: str) -> FileKind:
    """Return the kind of CSVs whose submissions are written to ``send_folder``."""
    return FileKind(
        RETURNING_CSV,
        name="returning-employers-csv",
        subjects=(EMPLOYERS,),
        source="DOR Pending Filing Submission",
        import_type="",
        report={"csv_file": True},
        read=returning_csv.read,
        rules=lambda _, file: Submission(file, send_folder),
        fix="Correct the rows and save the CSV again",
        retries_rejects=False,
    )
