"""Reports of a job: the outcome of every record of a file, or of another subject, in counts that add up.

A report is a line of the log with the event ``report``, which the backends read as data. It has counts and reasons, and
never a record or a value of one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from nightferry.contract import MOST_REASONS, OTHER_REASONS, LogEvent, ReasonCount
from nightferry.errors import NightferryError

_log = logging.getLogger("nightferry.job")

_MOST_COUNTS = 50
_MOST_CHARACTERS = 500  # of the subject and of the note


class InvalidReport(NightferryError):
    """The counts of a report do not add up. The message has the numbers; correct the job."""

    exit_code = 1


def log_report(
    kind: str,
    subject: str,
    counts: Mapping[str, int],
    *,
    total: int,
    reasons: Iterable[ReasonCount] = (),
    failed: bool = False,
    note: str = "",
    limit: float | None = None,
    reference: int | None = None,
) -> None:
    """See :meth:`nightferry.Run.report`."""
    listed = sorted(reasons, key=lambda one: (-one.count, one.record_kind, one.field, one.reason))
    _check(kind, subject, counts, total, listed)
    shown, others = listed[:MOST_REASONS], sum(one.count for one in listed[MOST_REASONS:])
    if others:
        shown.append(ReasonCount(OTHER_REASONS, others))
    fields: dict[str, Any] = {
        "event": LogEvent.REPORT,
        "kind": kind,
        "subject": subject[:_MOST_CHARACTERS],
        "total": total,
        # Redaction shows a large number in a field that is called "count", and could mask one called "rejected".
        "counts": [{"outcome": outcome, "count": count} for outcome, count in counts.items()],
        "reasons": [vars(one) for one in shown],
        "failed": failed,
        "note": note[:_MOST_CHARACTERS],
        "limit": limit,
        "report_reference": reference,
    }
    _log.info("report of %s: %d records", subject[:_MOST_CHARACTERS], total, extra=fields)


def _check(kind: str, subject: str, counts: Mapping[str, int], total: int, reasons: list[ReasonCount]) -> None:
    place = f"The report '{kind}'"
    if not kind or not subject:
        raise InvalidReport(f"{place} has no kind or no subject. Name both.")
    if len(counts) > _MOST_COUNTS:
        raise InvalidReport(f"{place} has {len(counts)} counts, and {_MOST_COUNTS} are allowed.")
    if any(number < 0 for number in (*counts.values(), *(one.count for one in reasons))):
        raise InvalidReport(f"{place} has a negative count: {dict(counts)}.")
    if sum(counts.values()) != total:
        raise InvalidReport(
            f"{place} has counts that add up to {sum(counts.values())}, and its total is {total}: {dict(counts)}. "
            "Count each record once."
        )
    explained = sum(one.count for one in reasons)
    if explained > total:
        raise InvalidReport(f"{place} has reasons for {explained} of {total} records. Give each record one reason.")
