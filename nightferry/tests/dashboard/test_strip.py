"""The strip of a task's runs on the first page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from nightferry.dashboard.svg.strip import HEIGHT, WIDTH, draw_strip

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
END = START + timedelta(hours=24)
_BAR = re.compile(r"M([-\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z")
minutes = st.integers(-2000, 3000)
bars = st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "open"]), minutes, st.integers(0, 3000)), max_size=30)


@given(bars)
def test_each_bar_is_visible_and_within_the_strip(found: list[tuple[str, int, int]]) -> None:
    times = [
        (status, START + timedelta(minutes=begin), START + timedelta(minutes=begin + length))
        for status, begin, length in found
    ]
    svg = str(draw_strip("runs", times, START, END))
    drawn = [tuple(map(float, bar)) for bar in _BAR.findall(svg)]
    assert len(drawn) >= len({status for status, *_ in found})
    assert len(drawn) <= len(found)
    for x, top, width, height in drawn:
        assert width >= 3
        assert x >= 0
        assert x + width <= WIDTH + 0.11
        assert top + height <= HEIGHT
    classes = re.findall(r'class="bar (\w+)"', svg)
    assert set(classes) == {status for status, *_ in found}
    assert "failed" not in classes[:-1]  # drawn last


def test_a_day_of_quick_runs_stays_small() -> None:
    runs = [
        ("succeeded", START + timedelta(seconds=10 * n), START + timedelta(seconds=10 * n + 2)) for n in range(8640)
    ]
    assert len(str(draw_strip("runs", runs, START, END))) < 110_000
