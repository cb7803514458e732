"""The reader is compared with a slow line-by-line reference, with chunks of any size."""

from __future__ import annotations

import hashlib
import io
import random
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.dor.files import formats, reader
from paidleave.dor.files.batch import REJECT_SCHEMA, Batch
from paidleave.dor.files.formats import FieldType, Format, Layout
from paidleave.dor.files.line import MAX_LINE_BYTES, IncompleteFile
from paidleave.dor.files.streams import Digest
from paidleave.file_limits import ByteSource

pytestmark = pytest.mark.sampled(8)

LAYOUTS = {layout.name: layout for layout in (formats.EMPLOYER_FILE, formats.WAGE_FILE, formats.RESPONSE_FILE)}
GOOD: dict[FieldType, str] = {
    FieldType.TEXT: "Some text",
    FieldType.BOOL: "T",
    FieldType.DATE: "20200229",
    FieldType.DATETIME: "20200519120622",
    FieldType.AMOUNT: "15000.00",
    FieldType.OPTIONAL_AMOUNT: "0.07",
}


# The reference ------------------------------------------------------------------------------------------------------


class Bad(Exception):
    """A field is invalid."""


def reference_value(field_type: FieldType, text: str) -> object:
    if field_type is FieldType.TEXT:
        if "\0" in text:
            raise Bad("NUL character")
        return text if text else None
    if field_type is FieldType.BOOL:
        return text == "T"
    if field_type is FieldType.DATE:
        try:
            assert len(text) == 8
            assert all(c in "0123456789" for c in text)
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except (ValueError, AssertionError):
            raise Bad("invalid date") from None
    if field_type is FieldType.DATETIME:
        try:
            assert len(text) == 14
            assert all(c in "0123456789" for c in text)
            numbers = [int(text[start:end]) for start, end in pairwise([0, 4, 6, 8, 10, 12, 14])]
            return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers without a time zone
        except (ValueError, AssertionError):
            raise Bad("invalid date and time") from None
    if field_type is FieldType.OPTIONAL_AMOUNT and text == "":
        return Decimal(0)
    digits = text[1:] if text[:1] in ("+", "-") else text
    whole, _, decimals = digits.partition(".")
    if not whole + decimals or not all(c in "0123456789" for c in whole + decimals) or len(decimals) > 18:
        raise Bad("invalid amount")
    return Decimal(text)


def reference(data: bytes, layout: Layout) -> tuple[dict[str, list[tuple[object, ...]]], list[tuple[object, ...]]]:
    """Return the records by format and the rejects, each with its line number."""
    records: dict[str, list[tuple[object, ...]]] = {format.name: [] for format in layout.formats}
    rejects: list[tuple[object, ...]] = []
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, raw in enumerate(lines, 1):
        if len(raw) > MAX_LINE_BYTES:
            rejects.append((number, None, None, f"line is longer than {MAX_LINE_BYTES} bytes", raw[:MAX_LINE_BYTES]))
            continue
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            rejects.append((number, None, None, "invalid UTF-8", raw))
            continue
        while line and line[-1] in "\r\n":
            line = line[:-1]
        if line.strip() == "":
            rejects.append((number, None, None, "blank line", raw))
            continue
        if line[0] == "\ufeff":
            rejects.append((number, None, None, "byte order mark", raw))
            continue
        format = next((f for f in layout.formats if f.letter is None or f.letter == line[0]), None)
        if format is None:
            rejects.append((number, None, None, "unknown record letter", raw))
            continue
        if len(line) != format.width:
            reason = f"invalid line length {len(line)} (expected {format.width})"
            rejects.append((number, format.name, None, reason, raw))
            continue
        values: list[object] = []
        start = 0
        for field in format.fields:
            try:
                values.append(reference_value(field.type, line[start : start + field.width].strip()))
            except Bad as bad:
                rejects.append((number, format.name, field.name, str(bad), raw))
                break
            start += field.width
        else:
            records[format.name].append((number, *values))
    return records, rejects


def is_incomplete(data: bytes, layout: Layout) -> bool:
    """Return True if a file is empty or ends within a line."""
    last = data.split(b"\n")[-1].decode(errors="replace")
    while last.endswith("\r"):
        last = last[:-1]
    widths = {format.width for format in layout.formats if last and format.letter in (None, last[0])}
    return not data.endswith(b"\n") and len(last) not in widths


# Reading with the real reader ---------------------------------------------------------------------------------------


class Drip:
    """A stream that returns chunks of random sizes, like a pipe."""

    def __init__(self, data: bytes, seed: int, most: int) -> None:
        self._data = io.BytesIO(data)
        self._random = random.Random(seed)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._random.randint(1, self._most)))


def collect(
    batches: Iterator[Batch],
) -> tuple[dict[str, list[tuple[object, ...]]], list[tuple[object, ...]], int]:
    records: dict[str, list[tuple[object, ...]]] = {}
    rejects: list[tuple[object, ...]] = []
    lines = 0
    for batch in batches:
        lines += batch.lines
        assert batch.lines == len(batch.rejects) + sum(len(frame) for frame in batch.records.values())
        for name, frame in batch.records.items():
            records.setdefault(name, []).extend(frame.rows())
        rejects += [
            (*row, raw) for row, raw in zip(batch.rejects.rows(), batch.select_originals(batch.rejects), strict=True)
        ]
    return records, rejects, lines


def assert_read_like_reference(data: bytes, layout: Layout, stream: ByteSource, block_bytes: int) -> None:
    if is_incomplete(data, layout):
        with pytest.raises(IncompleteFile):
            collect(reader.read(stream, layout, block_bytes=block_bytes))
        return
    records, rejects, lines = collect(reader.read(stream, layout, block_bytes=block_bytes))
    expected_records, expected_rejects = reference(data, layout)
    assert rejects == expected_rejects
    for name, expected in expected_records.items():
        assert records.get(name, []) == expected
    assert lines == len(expected_rejects) + sum(map(len, expected_records.values()))


# Lines -------------------------------------------------------------------------------------------------------------


def line(format: Format, **texts: str) -> str:
    parts = []
    for field in format.fields:
        text = texts.get(field.name, format.letter if field.name == "record_type" else GOOD[field.type])
        assert text is not None
        right = field.type in (FieldType.AMOUNT, FieldType.OPTIONAL_AMOUNT)
        parts.append(text[: field.width].rjust(field.width) if right else text[: field.width].ljust(field.width))
    return "".join(parts)


ODD_TEXTS = [
    *(
        "",
        " ",
        "T",
        "t",
        "F",
        "A",
        "B",
        "X",
        "0",
        "-0.00",
        "+5",
        "5.",
        ".5",
        ".",
        "-",
        "+-1",
        "1e5",
        "1E2",
        "NaN",
        "inf",
    ),
    *("1_000", "1,000.00", "1.005", "0.1234567890123456789", ".1234567890123456789", "99999999999999999999", "١٢"),
    *("20190229", "20200229", "99991231", "00000101", "00010101", "20201301", "2020 101", "+2020101", "-0200101"),
    *("20200101000060", "20200101235959", "20200101240000", "20200101 00000", "00000101000000", "2020010100006A"),
    *(
        "“curly”",
        "ünïcödé",
        "😀",
        "日本",
        "a\0b",
        "\0",
        "\x1cx\x1f",
        "\u00a0padded\u00a0",
        "\u2003",
        "\x85",
        "\u200b",
        "\ufeff",
    ),
    *(
        "a" * 32,
        "a" * 33,
        " " * 31 + "b",
        " " * 32 + "b",
        " " * 200 + "c",
        "a b  c",
        "tab\tinside",
        "\tb",
        "0" * 300,
        "\r",
        "a\rb",
    ),
]

odd_text = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=40),
    st.from_regex(r"[ 0-9+.-]{1,20}", fullmatch=True),
    st.from_regex(r"[0-9]{8}|[0-9]{14}", fullmatch=True),
)


@st.composite
def draw_line(draw: st.DrawFn, layout: Layout) -> bytes:
    format = draw(st.sampled_from(layout.formats))
    names = draw(st.lists(st.sampled_from([field.name for field in format.fields]), max_size=3))
    text = line(format, **{name: draw(odd_text) for name in names})
    match draw(st.sampled_from(["as it is"] * 12 + ["shorter", "longer", "blank", "junk", "bytes", "CR", "CRCR"])):
        case "shorter":
            text = text[:-1]
        case "longer":
            text += " "
        case "blank":
            text = draw(st.sampled_from(["", " ", "\r", " " * format.width, "\u2003" * format.width]))
        case "junk":
            text = draw(odd_text)
        case "bytes":
            data = bytearray(text.encode())
            data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from([0x80, 0xC3, 0xE2, 0xFF, 0x00, 0x1C]))
            return bytes(data)
        case "CR":
            text += "\r"
        case "CRCR":
            text += "\r\r"
    return text.encode()


@st.composite
def draw_file(draw: st.DrawFn) -> tuple[Layout, bytes]:
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    lines = draw(st.lists(draw_line(layout), max_size=8))
    return layout, b"\n".join(lines) + draw(st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]))


@settings(
    max_examples=4000 if LONG else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    file=draw_file(),
    seed=st.integers(0, 99),
    most=st.sampled_from([1, 7, 500, 5000]),
    block=st.sampled_from([1, 64, 700, 10_000]),
)
@example(file=(formats.WAGE_FILE, b""), seed=0, most=1, block=1)
@example(file=(formats.WAGE_FILE, b"\n"), seed=0, most=1, block=1)
def test_any_file_in_any_chunks_is_read_like_the_reference(
    file: tuple[Layout, bytes], seed: int, most: int, block: int
) -> None:
    layout, data = file
    assert_read_like_reference(data, layout, Drip(data, seed, most), block)


def test_odd_texts_in_every_field_are_read_like_the_reference() -> None:
    for layout in LAYOUTS.values():
        for format in layout.formats:
            lines = [line(format, **{field.name: text}) for field in format.fields for text in ODD_TEXTS]
            data = "\n".join(lines).encode()
            assert_read_like_reference(data, layout, io.BytesIO(data), 50_000)


def test_white_space_is_trimmed_like_in_python() -> None:
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace() and chr(code) != "\n"]
    assert len(spaces) > 25
    lines = [line(formats.WAGE_B, employee_last_name=f"{space}Li{space}") for space in spaces]
    lines += [line(formats.WAGE_B, employee_ytd_wages=f"{space}1.5{space}") for space in spaces]
    data = "\n".join(lines).encode()
    records, rejects, _ = collect(reader.read(io.BytesIO(data), formats.WAGE_FILE))
    assert not rejects
    place = [field.name for field in formats.WAGE_B.fields].index("employee_last_name") + 1
    assert {row[place] for row in records["employee quarter"][: len(spaces)]} == {"Li"}
    assert_read_like_reference(data, formats.WAGE_FILE, io.BytesIO(data), 10_000)


# Rules --------------------------------------------------------------------------------------------------------------


def read_one(layout: Layout, data: bytes) -> Batch:
    """Return the only batch of a short file, whose last line gets a line end."""
    (batch,) = reader.read(io.BytesIO(data + b"\n"), layout)
    return batch


def test_employer_line_has_typed_values() -> None:
    text = line(
        formats.EMPLOYER, employer_name="“Acme” Ltd", employer_dba="", family_exemption="F", address_zip="K1A 0B1"
    )
    row = read_one(formats.EMPLOYER_FILE, text.encode()).records["employer"].to_dicts()[0]
    assert row == {
        "line_number": 1,
        "account_key": "Some text",
        "employer_name": "“Acme” Ltd",
        "fein": "Some text",
        "address_street": "Some text",
        "address_city": "Some text",
        "address_state": "So",
        "address_zip": "K1A 0B1",
        "address_country": "Som",
        "employer_dba": None,
        "family_exemption": False,
        "medical_exemption": True,
        "exemption_commence_date": date(2020, 2, 29),
        "exemption_cease_date": date(2020, 2, 29),
        "updated_date": datetime(2020, 5, 19, 12, 6, 22, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("15000.00", "15000.00"),
        ("-3.5", "-3.5"),
        ("+7", "7"),
        ("12.", "12"),
        (".5", "0.5"),
        ("1.005", "1.005"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_amount_is_exact(text: str, amount: str) -> None:
    lines = [line(formats.WAGE_B), line(formats.WAGE_B, employee_family=text)]
    frame = read_one(formats.WAGE_FILE, "\n".join(lines).encode()).records["employee quarter"]
    assert frame["employee_family"].to_list() == [Decimal("15000.00"), Decimal(amount)]
    assert len({frame.schema[name] for name in frame.columns if name.startswith("emplo") and "name" not in name}) == 2


@pytest.mark.parametrize("text", ["", "1e5", "NaN", "inf", "1_000", "1,000", "١", ".", "-", "1.2.3", "$1", "0x10"])
def test_invalid_amount_rejects_the_line(text: str) -> None:
    batch = read_one(formats.WAGE_FILE, line(formats.WAGE_B, employer_medical=text).encode())
    assert batch.rejects.rows() == [(1, "employee quarter", "employer_medical", "invalid amount")]


def test_blank_amount_of_a_response_file_is_zero() -> None:
    batch = read_one(formats.RESPONSE_FILE, line(formats.RESPONSE_B, quarter_wages="").encode())
    assert batch.records["response employee quarter"]["quarter_wages"].to_list() == [Decimal(0)]


@pytest.mark.parametrize("text", ["20190229", "00000101", "20201301", "20200100", "2020 229", "", "١٢٣٤٥٦٧٨"])
def test_invalid_date_rejects_the_line(text: str) -> None:
    batch = read_one(formats.WAGE_FILE, line(formats.WAGE_B, filing_period=text).encode())
    assert batch.rejects.rows() == [(1, "employee quarter", "filing_period", "invalid date")]


def test_rejects_contain_no_values() -> None:
    secret = "250000017"
    bad = line(formats.WAGE_B, employee_ssn=secret, employee_ytd_wages=f"x{secret}", filing_period=secret[:8])
    batch = read_one(formats.WAGE_FILE, f"{bad}\n{bad[:-1]}\nC{bad[1:]}".encode())
    assert len(batch.rejects) == 3
    assert secret[:8] not in str(batch.rejects.rows())
    assert batch.select_originals(batch.rejects) == [bad.encode(), bad[:-1].encode(), b"C" + bad[1:].encode()]


def test_line_numbers_include_rejects_and_an_unterminated_last_line() -> None:
    good = line(formats.WAGE_B)
    data = f"{good}\r\n\n \nC\n{good}\n{good}".encode()
    records, rejects, lines = collect(reader.read(io.BytesIO(data), formats.WAGE_FILE))
    assert lines == 6
    assert [row[0] for row in records["employee quarter"]] == [1, 5, 6]
    assert [reject[:4] for reject in rejects] == [
        (2, None, None, "blank line"),
        (3, None, None, "blank line"),
        (4, None, None, "unknown record letter"),
    ]


def test_empty_file_is_incomplete() -> None:
    with pytest.raises(IncompleteFile, match="has no content"):
        list(reader.read(io.BytesIO(), formats.WAGE_FILE))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_a_file_that_was_cut_within_a_line_is_incomplete(layout: Layout) -> None:
    """Only a cut after a whole line, with or without its line end, leaves a file that may be complete."""
    for format in layout.formats:
        for end in (b"\n", b"\r\n"):
            data = (line(format).encode() + end) * 2
            whole = {len(data) // 2 - len(end), len(data) // 2 - 1, len(data) // 2}
            for size in (1, 2, format.width // 2, format.width - 1, *whole):
                for begun in (0, len(data) // 2):
                    cut = data[: begun + size]
                    if size in whole:
                        assert collect(reader.read(io.BytesIO(cut), layout))[2] == (2 if begun else 1)
                    else:
                        with pytest.raises(IncompleteFile, match=f"and only {size} of {format.width} characters"):
                            list(reader.read(io.BytesIO(cut), layout))


def test_a_last_line_that_is_too_long_or_of_no_format_is_incomplete() -> None:
    good = line(formats.WAGE_B).encode() + b"\n"
    for last in (line(formats.WAGE_B).encode() + b" ", b"X", b" ", b"\xc3"):
        with pytest.raises(IncompleteFile, match="no line end"):
            list(reader.read(io.BytesIO(good + last), formats.WAGE_FILE))


def test_empty_frame_has_the_same_columns() -> None:
    full = read_one(formats.WAGE_FILE, (line(formats.WAGE_A) + "\n" + line(formats.WAGE_B)).encode())
    empty = read_one(formats.WAGE_FILE, b"\n")
    for name in ("employer quarter", "employee quarter"):
        assert empty.records[name].schema == full.records[name].schema
    assert empty.rejects.schema == full.rejects.schema == REJECT_SCHEMA


# Bounds -------------------------------------------------------------------------------------------------------------


class Endless:
    """A stream of ``size`` bytes without a line end, created while they are read."""

    def __init__(self, size: int, end: bytes) -> None:
        self._left = size
        self._end = end

    def read(self, size: int, /) -> bytes:
        if self._left:
            size = min(size, self._left)
            self._left -= size
            return b"B" * size
        end, self._end = self._end, b""
        return end


def test_huge_line_is_rejected_in_bounded_memory() -> None:
    good = line(formats.WAGE_B).encode()
    tracemalloc.start()
    try:
        stream = Endless(100_000_000, b"\n" + good)
        records, rejects, lines = collect(reader.read(stream, formats.WAGE_FILE, block_bytes=100_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == 2
    assert [row[0] for row in records["employee quarter"]] == [2]
    assert rejects == [(1, None, None, "line is longer than 65536 bytes", b"B" * MAX_LINE_BYTES)]
    assert peak < 3_000_000


@settings(max_examples=1000 if LONG else 15)
@given(
    st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line), min_size=1), st.integers(1, 20), st.data()
)
def test_original_lines_match_the_stream(lines: list[bytes], size: int, data: st.DataObject) -> None:
    first = 1
    content = b"".join(line + b"\n" for line in lines)
    for batch in reader.read(io.BytesIO(content), formats.WAGE_FILE, block_bytes=size):
        wanted = data.draw(st.lists(st.integers(first, first + batch.lines - 1)))
        assert [batch.original(number) for number in wanted] == [lines[number - 1] for number in wanted]
        first += batch.lines
    assert first == len(lines) + 1


def test_original_lines_are_found_after_a_huge_line() -> None:
    data = b"a\n" + b"x" * 20 * MAX_LINE_BYTES + b"\nlast\n"
    originals = [
        batch.original(number)
        for batch in reader.read(io.BytesIO(data), formats.WAGE_FILE, block_bytes=2 * MAX_LINE_BYTES)
        for number in batch.rejects["line_number"]
    ]
    assert originals == [b"a", b"x" * MAX_LINE_BYTES, b"last"]


@pytest.mark.parametrize(
    "size", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, MAX_LINE_BYTES + 2, 3 * MAX_LINE_BYTES]
)
@pytest.mark.parametrize("block", [1000, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 10 * MAX_LINE_BYTES])
def test_line_limit_does_not_depend_on_blocks(size: int, block: int) -> None:
    long = line(formats.WAGE_B).encode()
    long += b"\r" * (size - len(long))
    data = b"\n".join([long, line(formats.WAGE_A).encode(), long])
    assert_read_like_reference(data, formats.WAGE_FILE, io.BytesIO(data), block)


def test_blank_lines_are_read_in_small_batches() -> None:
    blank = 200_001
    batches = reader.read(io.BytesIO(b"\n" * blank), formats.WAGE_FILE)
    lines = [(batch.lines, len(batch.rejects)) for batch in batches]
    assert lines == [(50_000, 50_000)] * 4 + [(1, 1)]


def test_errors_of_the_stream_are_raised() -> None:
    class Broken:
        def __init__(self) -> None:
            self._data = io.BytesIO(line(formats.WAGE_B).encode())

        def read(self, size: int, /) -> bytes:
            if data := self._data.read(size):
                return data
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        list(reader.read(Broken(), formats.WAGE_FILE))


def test_digest_covers_every_byte() -> None:
    data = random.Random(1).randbytes(1_000_000)
    with Digest(Drip(data, 1, 50_000)) as stream:
        while stream.read(65_536):
            pass
        assert stream.hexdigest() == hashlib.sha256(data).hexdigest()
    with Digest(io.BytesIO()) as stream:
        assert stream.hexdigest() == hashlib.sha256().hexdigest()


def test_records_and_rejects_are_in_file_order() -> None:
    lines = [
        line(
            formats.WAGE_B, employee_first_name="\x1cA" if n % 3 else "B", employee_qtr_wages="" if n % 7 == 0 else "1"
        )
        for n in range(500)
    ]
    batch = read_one(formats.WAGE_FILE, "\n".join(lines).encode())
    for numbers in (batch.records["employee quarter"]["line_number"], batch.rejects["line_number"]):
        assert numbers.is_sorted()
        assert numbers.is_unique().all()
    assert set(batch.records["employee quarter"]["employee_first_name"]) == {"A", "B"}


def test_frames_of_batches_can_be_concatenated() -> None:
    data = "\n".join(line(formats.WAGE_B) for _ in range(100)).encode()
    frames = [
        batch.records["employee quarter"]
        for batch in reader.read(io.BytesIO(data), formats.WAGE_FILE, block_bytes=5000)
    ]
    assert len(frames) > 5
    assert pl.concat(frames)["line_number"].to_list() == list(range(1, 101))


def test_reference_accepts_the_documented_amounts() -> None:
    """Check that the reference accepts exactly the documented form."""
    form = re.compile(r"[+-]?([0-9]+(\.[0-9]{0,18})?|\.[0-9]{1,18})")
    for text in ODD_TEXTS:
        try:
            reference_value(FieldType.AMOUNT, text)
        except Bad:
            assert not form.fullmatch(text)
        else:
            assert form.fullmatch(text)
