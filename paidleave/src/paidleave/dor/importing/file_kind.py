"""Declaration of a kind of file, as required by :mod:`.pipeline`.

A new kind of file requires a reader that yields batches (:mod:`..files`), an implementation of :class:`Rules` and a
:class:`FileKind`. The pipeline finds, decrypts, digests, counts, commits and moves files of all kinds in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import Layout
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps
from paidleave.file_limits import ByteSource

EMPLOYERS = "employers"
QUARTERS = "employer_quarters"
WAGES = "wages_and_contributions"


class Rules(Protocol):
    """The rules for one file: which records are accepted and how they change the tables."""

    @property
    def staging(self) -> Sequence[str]:
        """The steps that create the staging tables."""

    def screen(self, batch: Batch) -> Screened:
        """Separate accepted from rejected records; batches are passed in the order of the file."""

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the staged rows and return the counts for the report; ``staged`` is the number of rows by table."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        layout: The file names and formats.
        name: The name of its reports in the catalog.
        subjects: The name in the report for the lines of each format of the layout.
        source: The source in ``import_log``.
        import_type: The import type in ``import_log``.
        report: The fields of the report for file names, in order. The value is True if a file of this kind belongs in
            the field; otherwise the field is empty.
        read: Reads the plain text in batches. Errors of the stream are not caught.
        rules: Creates the rules of one file. The connection is for lookups and in autocommit mode.
        fix: What to do about a file with too many rejected lines, as an imperative sentence without a period.
        in_order: Whether a file that is older than the newest imported one is refused. It is True if a line overwrites
            stored values without a change time that shows which of the two is newer.
        retries_rejects: Whether rejected lines can be accepted later, after other files. It is False if the causes are
            in the file itself.
    """

    layout: Layout
    name: str
    subjects: tuple[str, ...]
    source: str
    import_type: str
    report: Mapping[str, bool]
    read: Callable[[ByteSource], Iterator[Batch]]
    rules: Callable[[psycopg.Connection[Any], ReceivedFile], Rules]
    fix: str = "Request a corrected file from DOR"
    in_order: bool = False
    retries_rejects: bool = True
