"""The declaration of the reports of jobs: what their counts and reasons mean, and where rejected records are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from nightferry.catalog.declarations import PostgresService
from nightferry.errors import InvalidArgument

Meaning = Literal["good", "neutral", "bad"]
"""What a count of a report means: the job processed the records (``good``), had nothing to do (``neutral``), or
rejected them (``bad``). Only ``bad`` records have reasons, and their share is compared with the limit."""

_PARAMETERS = ("reference", "after", "limit")


@dataclass(frozen=True)
class Reason:
    """A reason for which a job rejects records.

    Attributes:
        text: the text of the reason in reports. A text that continues after a blank, such as ``invalid length 12``,
            belongs to the reason ``invalid length``.
        meaning: the explanation for an analyst.
        request: the sentence for the sender of the file, with what to correct.
        example: a description of one such record, without data of a real person.
    """

    text: str
    meaning: str
    request: str
    example: str = ""


@dataclass(frozen=True)
class RejectedRecords:
    """Where the rejected records behind a report are, without any of their values.

    Attributes:
        query: the SQL query of the records. It selects the columns ``line_number``, ``record_kind``, ``field``,
            ``reason`` and ``is_settled`` (a later run has processed the record) of those with ``%(reference)s``, in the
            order of the line numbers, after ``%(after)s``, and at most ``%(limit)s``.
        service: the local ``PostgresService`` with the database.
        command: a command that writes the same where the database is out of reach. It may contain ``{environment}`` and
            ``{reference}``.
        user: the database user of the query; without it, that of the service. Name a user who cannot read personal
            data, so that the database refuses a query of it.
    """

    query: str
    service: str
    command: str
    user: str = ""


@dataclass(frozen=True)
class ReportKind:
    """The reports of one kind that a job writes with ``run.report``, one for each file or other subject.

    ``sender`` is the party that sends the subjects and corrects them, such as "the warehouse". ``raw`` is a command
    that reads the rejected records as they were received. It may contain ``{subject}``.
    """

    name: str
    title: str
    counts: Mapping[str, Meaning]
    reasons: tuple[Reason, ...]
    records: RejectedRecords | None
    raw: str
    declared_in: str
    sender: str = "the sender"

    def find_reason(self, text: str) -> Reason | None:
        """Return the declared reason of a text, or None."""
        found = [one for one in self.reasons if text == one.text or text.startswith(f"{one.text} ")]
        return max(found, key=lambda one: len(one.text), default=None)

    def format_records_command(self, environment: str, reference: int) -> str:
        """Return the command that writes the rejected records of a report, or an empty text."""
        command = "" if self.records is None else self.records.command
        return command.replace("{environment}", environment).replace("{reference}", str(reference))

    def format_raw_command(self, subject: str) -> str:
        """Return the command that reads the rejected records as received, with a subject quoted for a shell.

        It is empty without a command, and for a subject that cannot be typed.
        """
        return self.raw.replace("{subject}", shlex.quote(subject)) if subject.isprintable() else ""


def check_report(kind: ReportKind, services: Mapping[str, object], declaration: str) -> None:
    """Check a declaration of reports. Raises InvalidArgument."""
    if problem := _find_problem(kind, services):
        raise InvalidArgument(problem, declaration=declaration, location=kind.declared_in)


def _find_problem(kind: ReportKind, services: Mapping[str, object]) -> str | None:
    for outcome, meaning in kind.counts.items():
        if meaning not in get_args(Meaning):
            return f"It has counts[{outcome!r}] = {meaning!r}. Use one of {', '.join(map(repr, get_args(Meaning)))}."
    if (kind.reasons or kind.records or kind.raw) and "bad" not in kind.counts.values():
        return 'It has rejected records, but no count with the meaning "bad". Add it to counts.'
    texts = [one.text for one in kind.reasons]
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        return f"It has the reason '{twice}' more than once. Remove one."
    if kind.records is not None:
        if not isinstance(services.get(kind.records.service), PostgresService):
            return f"It reads records from '{kind.records.service}', which is not a declared PostgresService."
        if missing := [name for name in _PARAMETERS if f"%({name})s" not in kind.records.query]:
            return f"The query of its records has no %({missing[0]})s. Add it."
    return None
