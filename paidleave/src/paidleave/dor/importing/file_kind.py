"""A kind of file as a value: what :mod:`.pipeline` needs to import one.

A new kind of file is a reader that gives batches (:mod:`..files`), a class of :class:`Rules` and one
:class:`FileKind`; how files are found, decrypted, digested, accounted for, committed and moved is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import Layout
from paidleave.dor.files.screening import Screened
from paidleave.dor.files.streams import ByteSource
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps

EMPLOYERS = "employers"
QUARTERS = "employer_quarters"
WAGES = "wages_and_contributions"


class Rules(Protocol):
    """The rules for one file: which of its records are accepted, and what those do to the tables."""

    @property
    def staging(self) -> Sequence[str]:
        """The steps that create the staging tables."""

    def screen(self, batch: Batch) -> Screened:
        """Separate the batch's records that are accepted from those that are not; batches come in the file's order."""

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write what was staged, ``staged`` rows by table; returns the counts for the report."""


@dataclass(frozen=True)
class FileKind:
    """One kind of file. ``subjects`` says for each of the layout's formats what its lines are counted as.

    ``read`` reads the plain text in batches; errors of the stream pass through.
    ``source`` and ``import_type`` name it in ``import_log``; ``report`` are the fields of the report, in the order in
    which they stand there, that hold the file's name or, where it is no such file, nothing. ``rules`` makes the rules
    of one file, given a connection for look-ups on which every statement commits at once.
    """

    layout: Layout
    subjects: tuple[str, ...]
    source: str
    import_type: str
    report: Mapping[str, bool]
    read: Callable[[ByteSource], Iterator[Batch]]
    rules: Callable[[psycopg.Connection[Any], ReceivedFile], Rules]
