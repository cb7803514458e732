"""How reports of jobs are described to people: the outcomes, the reasons with what they mean, and the usual share."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from nightferry.backend.reports import Report
from nightferry.catalog.reports import Meaning, Reason, ReportKind

State = Literal["failed", "warning", "succeeded", "skipped"]
"""The status of a report, by the name of its glyph and color."""

_WORDS = {
    "failed": "not processed",
    "warning": "processed, some rejected",
    "succeeded": "processed",
    "skipped": "nothing new",
}
_USUAL_REPORTS = 30
_FEWEST_REPORTS = 3
_COMMONEST = 5
_TREND_REASONS = 4


@dataclass(frozen=True)
class Segment:
    """One outcome in the bar of a report. The segments of a report add up to its total."""

    outcome: str
    number: int
    meaning: Meaning
    share: float


@dataclass(frozen=True)
class Account:
    """What a report says about its records. Shares are from 0 to 1; None is not known."""

    title: str
    state: State
    word: str
    segments: tuple[Segment, ...]
    rejected: int
    share: float | None
    limit: float | None
    usual: float | None

    @property
    def is_above_usual(self) -> bool:
        """Return True if clearly more was rejected than usual."""
        return self.share is not None and self.usual is not None and self.share > max(2 * self.usual, 0.001)


@dataclass(frozen=True)
class ReasonGroup:
    """The records that were rejected for one declared reason, and where they are.

    ``places`` are the record kinds and fields with their number. ``declared`` is None for a reason that the catalog
    does not explain.
    """

    text: str
    count: int
    declared: Reason | None
    places: tuple[tuple[str, str, int], ...]


def describe_report(report: Report, kind: ReportKind | None, usual: float | None = None) -> Account:
    """Return the account of a report. Without its kind, no count is good or bad.

    A report with a note, such as that of a replay, is not compared with the usual share unless it failed.
    """
    order = [*(kind.counts if kind else ()), *report.counts]
    segments = tuple(
        Segment(
            outcome,
            number,
            kind.counts.get(outcome, "neutral") if kind else "neutral",
            number / report.total,
        )
        for outcome in dict.fromkeys(order)
        if (number := report.counts.get(outcome, 0))
    )
    rejected = sum(segment.number for segment in segments if segment.meaning == "bad")
    state = _judge(report, segments, rejected)
    return Account(
        title=kind.title if kind else report.kind,
        state=state,
        word=_WORDS[state],
        segments=segments,
        rejected=rejected,
        share=rejected / report.total if report.total else None,
        limit=report.limit,
        usual=usual if report.failed or not report.note else None,
    )


def _judge(report: Report, segments: Sequence[Segment], rejected: int) -> State:
    if report.failed:
        return "failed"
    if rejected:
        return "warning"
    is_unchanged = bool(segments) and all(segment.meaning == "neutral" for segment in segments)
    return "skipped" if is_unchanged else "succeeded"


def find_usual_share(earlier: Iterable[Report], kind: ReportKind | None) -> float | None:
    """Return the median share of rejected records of the last processed subjects, or None if there are too few.

    A report with a note does not count: it is an exception, such as a replay, of which most records are rejected again.
    """
    if kind is None:
        return None
    shares = []
    for report in earlier:
        account = describe_report(report, kind)
        if account.share is not None and not report.note and account.state in ("warning", "succeeded"):
            shares.append(account.share)
    shares = shares[:_USUAL_REPORTS]
    return statistics.median(shares) if len(shares) >= _FEWEST_REPORTS else None


def group_reasons(report: Report, kind: ReportKind | None) -> list[ReasonGroup]:
    """Return the reasons of a report, the commonest first. Their numbers add up to those of the report."""
    groups: dict[str, list[tuple[str, str, int]]] = {}
    declared: dict[str, Reason | None] = {}
    for one in report.reasons:
        reason = kind.find_reason(one.reason) if kind else None
        text = reason.text if reason else one.reason
        declared[text] = reason
        groups.setdefault(text, []).append((one.record_kind, one.field, one.count))
    found = [
        ReasonGroup(text, sum(count for *_, count in places), declared[text], tuple(places))
        for text, places in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.text))


def write_request(report: Report, kind: ReportKind | None, account: Account) -> str:
    """Return a text for the sender of a file: how many records were rejected, why, and what to correct."""
    groups = group_reasons(report, kind)
    lines = [
        f"Of the {report.total:,} records of {report.subject}, {account.rejected:,} were rejected "
        f"({format_share(account.share)}).",
        "",
    ]
    for group in groups[:_COMMONEST]:
        where = ", ".join(dict.fromkeys(_name_place(*place[:2]) for place in group.places if any(place[:2])))
        lines.append(f"- {group.count:,}: {group.text}{f' ({where})' if where else ''}.")
        if group.declared is not None:
            lines.append(f"  {group.declared.request}")
    others = account.rejected - sum(group.count for group in groups[:_COMMONEST])
    if others > 0:
        lines.append(f"- {others:,}: other reasons.")
    lines += ["", "The attached list has the number of each rejected line with the record, the field and the reason."]
    return "\n".join(lines)


def _name_place(record_kind: str, field: str) -> str:
    return " ".join(filter(None, (record_kind, f"field {field}" if field else "")))


@dataclass(frozen=True)
class Trend:
    """Rejected records by day and reason; the last reason adds up the rarer ones."""

    days: tuple[date, ...]
    reasons: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """The numbers of each reason, in the order of the days."""


def count_by_day(reports: Iterable[Report], kind: ReportKind | None, zone: ZoneInfo) -> Trend:
    """Return the rejected records of these reports by day, in a time zone, and reason."""
    counts: dict[date, Counter[str]] = {}
    for report in reports:
        day = counts.setdefault(report.time.astimezone(zone).date(), Counter())
        for group in group_reasons(report, kind):
            day[group.text] += group.count
    totals: Counter[str] = Counter()
    for day in counts.values():
        totals += day
    common = [reason for reason, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
    shown, rest = common[:_TREND_REASONS], common[_TREND_REASONS:]
    days = tuple(sorted(counts))
    rows = [tuple(counts[day][reason] for day in days) for reason in shown]
    if rest:
        shown.append("other reasons")
        rows.append(tuple(sum(counts[day][reason] for reason in rest) for day in days))
    return Trend(days, tuple(shown), tuple(rows))


def format_share(share: float | None) -> str:
    """Return a share as a percentage: 0 %, below 0.01 %, 0.35 %, 12 %."""
    if share is None:
        return "–"
    percent = share * 100
    if 0 < percent < 0.01:
        return "below 0.01 %"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + " %" if percent < 10 else f"{percent:.0f} %"
