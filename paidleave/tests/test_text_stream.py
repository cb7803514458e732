"""Marks at the start and end of a text are skipped; the same characters elsewhere are content."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paidleave.text_stream import TextStream, UnusableText

BOM = b"\xef\xbb\xbf"


class Drip:
    """A stream that returns at most ``most`` bytes per read."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = io.BytesIO(data)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._most))


def read(data: bytes, size: int = 100, most: int = 100) -> tuple[bytes, int, int]:
    stream = TextStream(Drip(data, most))
    parts = list(iter(lambda: stream.read(size), b""))
    assert all(len(part) <= size for part in parts)
    return b"".join(parts), stream.byte_order_marks, stream.end_marks


@pytest.mark.parametrize(
    ("data", "text", "byte_order_marks", "end_marks"),
    [
        (b"a\nb\n", b"a\nb\n", 0, 0),
        (BOM + b"a\n", b"a\n", 1, 0),
        (BOM + BOM + b"a\n", b"a\n", 2, 0),
        (b"a\n" + BOM + b"b\n", b"a\n" + BOM + b"b\n", 0, 0),
        (BOM, b"", 1, 0),
        (b"\xef\xbba\n", b"\xef\xbba\n", 0, 0),
        (b"a\n\x1a", b"a\n", 0, 1),
        (b"a\x1a", b"a", 0, 1),
        (b"a\r\n\x1a", b"a\r\n", 0, 1),
        (b"a\n\x1a\n", b"a\n", 0, 1),
        (b"a\n\x1a\r\n", b"a\n", 0, 1),
        (b"a\x1a\r\n", b"a\r\n", 0, 1),
        (b"a\n\x1a\x1a\x1a", b"a\n", 0, 3),
        (b"\x1a", b"", 0, 1),
        (BOM + b"\x1a", b"", 1, 1),
        (b"a\x1ab\n", b"a\x1ab\n", 0, 0),
        (b"\x1a\nb\n", b"\x1a\nb\n", 0, 0),
        (b"a\n\x1a\n\n", b"a\n\x1a\n\n", 0, 0),
        (b"a\n\x1a ", b"a\n\x1a ", 0, 0),
    ],
)
@pytest.mark.parametrize("most", [1, 2, 100])
def test_marks_are_skipped_at_the_start_and_end_only(
    data: bytes, text: bytes, byte_order_marks: int, end_marks: int, most: int
) -> None:
    assert read(data, most=most) == (text, byte_order_marks, end_marks)


pieces = st.sampled_from([b"a", b"\n", b"\r\n", b"\x1a", BOM, b"\xef", b"text", b"\n\x1a"])


@given(st.lists(pieces, max_size=12).map(b"".join), st.integers(1, 9), st.integers(1, 9))
@example(b"\n\x1a\r\n", 1, 1)
def test_any_chunks_give_the_same_text(data: bytes, size: int, most: int) -> None:
    rest = data
    while rest[:3] == BOM:
        rest = rest[3:]
    start = len(rest)
    while rest[start - 1 : start] in (b"\n", b"\r") and len(rest) - start < 2 and rest[start - 1 :] != b"\r\r":
        start -= 1
    if rest[start:] in (b"\n\n", b"\n\r"):
        start += 1
    end_of_marks = start
    while start and rest[start - 1 : start] == b"\x1a":
        start -= 1
    marks = end_of_marks - start
    expected = rest
    if marks:
        expected = rest[:start] + (b"" if start == 0 or rest[start - 1] == 10 else rest[end_of_marks:])
    assert read(data, size, most) == (expected, (len(data) - len(rest)) // 3, marks)


def test_long_text_is_read_in_bounded_memory() -> None:
    """A run of marks longer than a line is content, so that nothing has to be held back."""
    text, _, marks = read(b"\x1a" * 1_000_000, size=1 << 16, most=1 << 16)
    assert len(text) + marks == 1_000_000
    assert marks <= 1 << 16


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("a\nb\n".encode("utf-16"), "UTF-16"),
        ("a\nb\n".encode("utf-16-be"), "UTF-16"),
        ("a\nb\n".encode("utf-16-le"), "UTF-16"),
        (b"\xfe\xff" + "a\n".encode("utf-16-be"), "UTF-16"),
        (b"a\rb\r", "CR only"),
        (b"a\rb", "CR only"),
        (BOM + b"a\rb\r\x1a", "CR only"),
        (b"a\r" * 100_000 + b"\n", "CR only"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA", "OpenPGP"),
        (b"\x85\x01\x0c\x03", "OpenPGP"),
        (b"\xc1\xc0L\x03", "OpenPGP"),
    ],
)
@pytest.mark.parametrize("most", [1, 1 << 20])
def test_other_texts_are_named(data: bytes, words: str, most: int) -> None:
    with pytest.raises(UnusableText, match=words):
        read(data, most=most)


@pytest.mark.parametrize("data", [b"a\r", b"a\r\r", b"a\r\nb", b"a\rb\n", b"a\rb\nc\rd", b"", b"\r", b"\0", b"a\0b\n"])
def test_single_carriage_returns_are_content(data: bytes) -> None:
    assert read(data)[0] == data


def test_line_of_valid_width_may_contain_a_carriage_return() -> None:
    assert TextStream(io.BytesIO("é\rb".encode()), [3]).read() == "é\rb".encode()
    with pytest.raises(UnusableText):
        TextStream(io.BytesIO("é\rb".encode()), [4]).read()


def test_wrappers_of_io_read_the_text() -> None:
    stream = io.TextIOWrapper(io.BufferedReader(TextStream(io.BytesIO(BOM + b"a\nb\n\x1a"))), encoding="utf-8")
    assert list(stream) == ["a\n", "b\n"]
