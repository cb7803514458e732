"""The cost of an invalid file is bounded, whatever it contains and however often its import is attempted."""

from __future__ import annotations

import io
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry import JobFailed
from nightferry.testing.tiers import LONG
from paidleave.csv_lines import ROW_LIMIT
from paidleave.file_limits import KEPT_REJECTS
from paidleave.fineos.employee_updates.update_file import BATCH_ROWS, COLUMN_LIMIT, MalformedFile, read_batches
from paidleave.text_stream import TextStream
from tests.fineos.employee_updates import employee_updates_world as updates_world
from tests.fineos.employee_updates.employee_updates_reference import World

pytestmark = pytest.mark.sampled(8)

HEADER = b"EMPLOYEEIDENTIFIER,CUSTOMERNO\r\n"
ADA = updates_world.employee_id(1)
ROW = f"{ADA},501\r\n".encode()
LOOKUPS = {name: {"Unknown": 0} for name in ("title_id", "gender_id", "marital_status_id", "occupation_id")}


@pytest.fixture
def known(database: str) -> str:
    """A database with one employee, Ada."""
    person = dict.fromkeys(updates_world.PERSON) | {"ssn": "123456789", "first_name": "Ada", "last_name": "Byron"}
    updates_world.store(database, World(people={ADA: person}))
    return database


def write(folder: Path, content: bytes) -> Path:
    file = folder / updates_world.NAME
    file.write_bytes(content)
    return file


def measure_rejects(database: str) -> int:
    with psycopg.connect(database) as connection:
        (size,) = connection.execute("SELECT pg_total_relation_size('fineos_rejected_row')").fetchone() or (0,)
    return int(size)


@pytest.mark.parametrize("line", [b"\n", b"x\n"])
def test_many_rejected_rows_are_cut_and_attempts_replace_each_other(known: str, tmp_path: Path, line: bytes) -> None:
    file = write(tmp_path, HEADER + line * 3_000_000)
    empty = measure_rejects(known)
    for _ in range(3):
        with pytest.raises(JobFailed, match=r"were rejected, more than the allowed share|lines are blank"):
            updates_world.run_import(known, tmp_path, limit=0.2)
        rejects = updates_world.read_rejects(known)
        assert [number for number, _, _ in rejects] == list(range(2, KEPT_REJECTS + 2))
    report = updates_world.reports(known)[-1]
    assert report["errored_employees_count"] - report["rejected_rows_not_stored_count"] == KEPT_REJECTS
    assert report["total_employees_received_count"] <= 5 * BATCH_ROWS  # The rest was not read.
    assert measure_rejects(known) - empty < 3 * KEPT_REJECTS * 300
    assert file.exists()


@pytest.mark.parametrize(
    ("content", "limits", "words"),
    [
        (ROW + b"\n" * 4, {"blank_line_limit": 3}, "more than 3 lines are blank.*BLANK_LINE_LIMIT"),
        (ROW + b"x,\n" * 4, {"rejected_line_limit": 3}, "more than 3 rows were rejected.*REJECTED_LINE_LIMIT"),
        (ROW * 4, {"rejected_line_limit": 3}, "more than 3 rows were rejected"),  # rows without an employer
        (ROW * 30_000, {"file_size_limit_mb": 1}, "remains in place: it has more than 1 MB.*FILE_SIZE_LIMIT_MB"),
        (ROW.replace(b"\r\n", b"\r"), {}, "its lines end with CR only"),
    ],
)
def test_a_file_above_a_limit_is_not_imported(
    known: str, tmp_path: Path, content: bytes, limits: dict[str, int], words: str
) -> None:
    write(tmp_path, (HEADER if b"\n" in content else HEADER.replace(b"\r\n", b"\r")) + content)
    with pytest.raises(JobFailed, match=words):
        updates_world.run_import(known, tmp_path, **limits)
    assert updates_world.load(known).people[ADA]["fineos_customer_number"] is None
    if limits:
        updates_world.run_import(known, tmp_path, **{name: limit + 2 for name, limit in limits.items()})
        assert updates_world.load(known).people[ADA]["fineos_customer_number"] == "501"


def test_a_failed_attempt_retains_the_rows_of_an_imported_file_of_its_name(known: str, tmp_path: Path) -> None:
    for content in (ROW + b"x,\r\n", b"y,\r\n" * 3, b"z,\r\n" * 2, ROW + b"x,\r\n" * 4):
        write(tmp_path, HEADER + content)
        try:
            updates_world.run_import(known, tmp_path, limit=0.9)
        except JobFailed as error:
            assert "more than the allowed share" in str(error)  # noqa: PT017 — the first and the last file pass
    assert [report["status"] for report in updates_world.reports(known)] == ["success", "error", "error", "success"]
    invalid = [number for number, name, _ in updates_world.read_rejects(known) if name == "EMPLOYEEIDENTIFIER"]
    assert invalid == [3, 3, 4, 5, 6]


def test_all_rejects_of_a_malformed_file_are_stored_in_bounded_space(known: str, tmp_path: Path) -> None:
    write(tmp_path, HEADER + b"x,\n" * 12_000 + ROW * 12_000 + b'"open')
    sizes = []
    for _ in range(4):
        with pytest.raises(JobFailed, match="line 24002"):
            updates_world.run_import(known, tmp_path)
        assert len(updates_world.read_rejects(known)) == 12_000
        sizes.append(measure_rejects(known))
    assert max(sizes) <= 2.5 * sizes[0]


def test_marks_are_skipped_and_counted(known: str, tmp_path: Path) -> None:
    write(tmp_path, b"\xef\xbb\xbf" + HEADER + ROW + b"\x1a")
    updates_world.run_import(known, tmp_path)
    (report,) = updates_world.reports(known)
    assert report["total_employees_received_count"] == 1
    assert (report["skipped_byte_order_marks_count"], report["skipped_end_of_file_marks_count"]) == (1, 1)
    assert updates_world.load(known).people[ADA]["fineos_customer_number"] == "501"


class Endless:
    """A stream that repeats ``data`` after ``start``."""

    def __init__(self, start: bytes, data: bytes) -> None:
        self._pending = start
        self._data = data
        self.given = 0

    def read(self, size: int, /) -> bytes:
        text = self._pending + self._data * (size // len(self._data) + 1)
        given, self._pending = text[:size], text[size:]
        self.given += len(given)
        return given


@pytest.mark.parametrize(("start", "data"), [(b"", b"x"), (b"", b","), (b'"', b"x"), (b'"', b'a\n","')])
def test_a_row_is_read_in_bounded_memory(start: bytes, data: bytes) -> None:
    """Neither a line, a cell nor a row of many cells with line ends may grow."""
    stream = Endless(HEADER + start, data)
    with pytest.raises(MalformedFile, match=r"longer than|field larger"):
        list(read_batches(TextStream(stream), LOOKUPS))
    assert stream.given < 3 * ROW_LIMIT


def test_a_batch_of_wide_rows_is_small() -> None:
    """Rows of 100 kB are read in batches of some rows, not of 20,000."""
    rows = (ROW.rstrip() + b" " * 100_000 + b"\r\n") * 400
    batches = list(read_batches(TextStream(io.BytesIO(HEADER + rows)), LOOKUPS))
    assert max(batch.rows for batch in batches) < 200
    assert sum(batch.size for batch in batches) == len(rows)


def test_columns_are_limited() -> None:
    header = b",".join([b"EMPLOYEEIDENTIFIER", *(b"c%d" % number for number in range(COLUMN_LIMIT))])
    with pytest.raises(MalformedFile, match="more than 1000 columns"):
        list(read_batches(TextStream(io.BytesIO(header)), LOOKUPS))


pieces = st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"\r\n" * 300, b"x\n" * 300, ROW, ROW * 20, b'"']))


@settings(
    max_examples=300 if LONG else 3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(pieces, max_size=10).map(b"".join),
    st.sampled_from([0, 0.2, 0.5]),
    st.sampled_from([0, 3, 1_000_000]),
    st.sampled_from([0, 3, 1_000_000]),
)
def test_no_content_stores_more_rows_than_the_limits_allow(
    known: str, tmp_path: Path, content: bytes, share: float, rejected: int, blank: int
) -> None:
    with psycopg.connect(known) as connection:
        for table in ("fineos_rejected_row", "processed_object", "import_log"):
            connection.execute(f"DELETE FROM {table}")
    write(tmp_path, HEADER + content)
    for _ in range(2):
        try:
            updates_world.run_import(known, tmp_path, limit=share, rejected_line_limit=rejected, blank_line_limit=blank)
        except JobFailed as error:
            is_malformed = "was not imported: line" in str(error)
            assert is_malformed or len(updates_world.read_rejects(known)) <= KEPT_REJECTS
        assert len(updates_world.read_rejects(known)) <= min(
            max(rejected, KEPT_REJECTS), len(content.splitlines()) * 2 + 1
        )
