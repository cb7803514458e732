"""Limits are checked while a file is read, and fail only files that would fail at their end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidleave.file_limits import BoundedStream, LimitExceeded, RejectLimits, count_most, limit_size

MEGABYTE = 1_048_576
SHORTEST = 11  # with the line end


def make_limits(share: float = 1, rejected: int = 1000, blank: int = 1000) -> RejectLimits:
    return RejectLimits(share, rejected, blank, "SHARE_LIMIT", "a_table", "Request another file")


@pytest.mark.parametrize(
    ("stored", "megabytes", "expansion", "size"),
    [
        (400, 1000, None, 1000 * MEGABYTE),
        (400, 1000, 100, 16 * MEGABYTE),  # Small files pass any ratio.
        (MEGABYTE, 1000, 100, 100 * MEGABYTE),
        (MEGABYTE, 50, 100, 50 * MEGABYTE),
        (400, 1, 100, MEGABYTE),
    ],
)
def test_size_limit_is_the_lower_one(stored: int, megabytes: int, expansion: int | None, size: int) -> None:
    limit = limit_size(megabytes, stored, expansion)
    assert limit.size == size
    assert ("EXPANSION_LIMIT" if size != megabytes * MEGABYTE else "FILE_SIZE_LIMIT_MB") in limit.text


def test_stream_ends_within_a_chunk_above_the_limit() -> None:
    source = io.BytesIO(b"x" * 10 * MEGABYTE)
    stream = BoundedStream(source, limit_size(2))
    assert len(stream.read(2 * MEGABYTE)) == 2 * MEGABYTE
    with pytest.raises(LimitExceeded, match="more than 2 MB"):
        stream.read(1)
    assert source.tell() == 2 * MEGABYTE + 1


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (make_limits(blank=2), "more than 2 lines are blank.*BLANK_LINE_LIMIT"),
        (make_limits(rejected=2), "more than 2 lines were rejected.*a_table.*REJECTED_LINE_LIMIT"),
        (make_limits(share=0.2), "3 of 10 lines were rejected, more than the allowed share of 20.00%.*SHARE_LIMIT"),
    ],
)
def test_message_names_the_limit_and_its_setting(limits: RejectLimits, words: str) -> None:
    with pytest.raises(LimitExceeded, match=words):
        limits.check(lines=10, rejected=3, blank=3, most_lines=10)


def test_numbers_at_the_limits_pass() -> None:
    make_limits(share=0.3, rejected=3, blank=3).check(lines=10, rejected=3, blank=3, most_lines=10)


# A line is its size with the line end and whether it is rejected. Valid lines are not shorter than the shortest.
valid_lines = st.tuples(st.integers(SHORTEST, 30), st.just(False))
rejected_lines = st.tuples(st.integers(1, 30), st.just(True))


@given(
    st.lists(st.one_of(valid_lines, rejected_lines), min_size=1, max_size=60),
    st.sampled_from([0, 0.05, 0.3, 0.5, 0.9, 1]),
    st.booleans(),
    st.integers(0, 500),
)
def test_share_fails_no_file_early_that_passes_at_its_end(
    lines: list[tuple[int, bool]], share: float, ends_with_line_end: bool, more: int
) -> None:
    """The size of a file is exact, or a limit if it is unknown (``more``)."""
    size = sum(size for size, _ in lines) - (0 if ends_with_line_end else 1) + more
    total = sum(rejected for _, rejected in lines)
    passes = total <= share * len(lines)
    limits = make_limits(share)
    read = rejected = 0
    for number, (line, is_rejected) in enumerate(lines, 1):
        read += line
        rejected += is_rejected
        if passes:
            limits.check(number, rejected, 0, count_most(number, read, size, SHORTEST))


@given(st.integers(1, 10_000), st.sampled_from([0.01, 0.05, 0.5]))
def test_share_fails_a_file_of_rejected_lines_after_that_share_of_its_size(lines: int, share: float) -> None:
    """Lines of one byte fail the file when at most twice the share of the valid lines of its size were read."""
    size = lines * SHORTEST
    limits = make_limits(share, rejected=size)

    def read_rejected_lines() -> None:
        for number in range(1, int(2 * share * lines) + 3):
            limits.check(number, number, 0, count_most(number, number, size, SHORTEST))

    with pytest.raises(LimitExceeded):
        read_rejected_lines()
