"""The account of a report: outcomes, reasons and days that add up, whatever was reported."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightferry import Reason, ReportKind
from nightferry.backend import Report
from nightferry.contract import ReasonCount
from nightferry.dashboard.svg.outcome_bar import WIDTH, _divide
from nightferry.presentation.reports import (
    count_by_day,
    describe_report,
    find_usual_share,
    format_share,
    group_reasons,
    write_request,
)

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KIND = ReportKind(
    name="orders",
    title="Order file",
    counts={"created": "good", "unmodified": "neutral", "rejected": "bad", "refused": "bad"},
    reasons=(Reason("invalid date", "No such day.", "Please correct it."),),
    records=None,
    raw="",
    declared_in="x:1",
)
NUMBERS = st.sampled_from([0, 1, 2, 50, 10**6, 10**9])
COUNTS = st.dictionaries(st.sampled_from([*KIND.counts, "odd", "<b>"]), NUMBERS)
REASONS = st.lists(
    st.builds(
        ReasonCount,
        st.sampled_from(["invalid date", "invalid date 7", "invalid dates", *"abcdefgh"]),
        NUMBERS,
        st.sampled_from(["", "day"]),
        st.sampled_from(["", "order"]),
    )
)


def make_report(counts: dict[str, int], reasons: list[ReasonCount] | None = None, time: datetime = NOON) -> Report:
    total = sum(counts.values())
    return Report("1", "r", "t", "orders", "a.csv", time, total, counts, tuple(reasons or ()))


@given(counts=COUNTS)
def test_the_outcomes_and_the_bar_add_up(counts: dict[str, int]) -> None:
    for kind in (KIND, None):
        account = describe_report(make_report(counts), kind)
        assert sum(one.number for one in account.segments) == sum(counts.values())
        assert {one.outcome: one.number for one in account.segments} == {k: v for k, v in counts.items() if v}
        widths = _divide(account)
        assert len(widths) == len(account.segments)
        if widths:
            assert sum(one.share for one in account.segments) == pytest.approx(1)
            assert sum(widths) == pytest.approx(WIDTH)
            assert min(widths) >= 2
        assert account.rejected == (counts.get("rejected", 0) + counts.get("refused", 0) if kind else 0)


@given(reasons=REASONS)
def test_the_reasons_and_the_days_add_up(reasons: list[ReasonCount]) -> None:
    total = sum(one.count for one in reasons)
    report = make_report({"rejected": total}, reasons)
    groups = group_reasons(report, KIND)
    assert sum(group.count for group in groups) == total
    assert all(group.count == sum(count for *_, count in group.places) for group in groups)
    assert [group.count for group in groups] == sorted((group.count for group in groups), reverse=True)
    other = make_report({"rejected": total}, reasons, NOON - timedelta(days=3))
    trend = count_by_day([report, other], KIND, ZoneInfo("UTC"))
    assert sum(sum(row) for row in trend.counts) == 2 * total
    assert len(trend.reasons) == len(trend.counts) <= 5
    assert all(len(row) == len(trend.days) == 2 for row in trend.counts)
    text = write_request(report, KIND, describe_report(report, KIND))
    assert f"{total:,} were rejected" in text


def test_a_day_is_that_of_the_chosen_zone() -> None:
    report = make_report({"rejected": 1}, [ReasonCount("a", 1)], datetime(2026, 11, 30, 3, tzinfo=UTC))
    assert count_by_day([report], KIND, ZoneInfo("America/New_York")).days == (date(2026, 11, 29),)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.00001, "below 0.01 %"),
        (0.0035, "0.35 %"),
        (0.05, "5 %"),
        (0.123, "12 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_a_percentage(share: float | None, text: str) -> None:
    assert format_share(share) == text


def test_the_usual_share_is_the_median_of_processed_files() -> None:
    reports = [make_report({"created": 100 - n, "rejected": n}) for n in (1, 1, 2, 50)]
    failed = Report("1", "r", "t", "orders", "a.csv", NOON, 2, {"rejected": 2}, failed=True)
    replay = Report("1", "r", "t", "orders", "a.csv", NOON, 2, {"rejected": 2}, note="replay")
    assert find_usual_share([replay, *reports, failed, failed], KIND) == 0.015
    assert not describe_report(replay, KIND, 0.015).is_above_usual
    assert find_usual_share(reports[:2], KIND) is None, "two files do not show what is usual"
    assert find_usual_share(reports, None) is None
    assert describe_report(reports[3], KIND, 0.015).is_above_usual
    assert not describe_report(reports[2], KIND, 0.015).is_above_usual
    assert not describe_report(make_report({"created": 1}), KIND, 0.0).is_above_usual
