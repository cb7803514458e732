"""The cost of an invalid file is bounded, whatever it contains and however often its import is attempted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.dor import encryption
from paidleave.file_limits import KEPT_REJECTS
from tests.dor.imports import EMPLOYER_FILE, RESPONSE, SUBMISSION, WAGE_FILE, DorWorld, run_in_process
from tests.dor.lines import CSV_HEADER, csv_row, employer_line, response_a, wage_line

pytestmark = pytest.mark.sampled(8)

MEGABYTE = 1_048_576
EMPLOYER = employer_line() + b"\n"
CSV = "CompaniesReturningToStatePlan.csv"


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


@pytest.fixture(scope="module")
def key() -> encryption.KeyPair:
    return encryption.generate_key("DOR limit tests")


@pytest.fixture
def secrets(key: encryption.KeyPair) -> dict[str, str]:
    return {"DECRYPT": "true", "GPG_DECRYPTION_KEY": key.private.get_secret_value()}


def encrypt(content: bytes, key: encryption.KeyPair, folder: Path) -> bytes:
    """Encrypt with gpg's best compression, as anybody can who has the public key."""
    home = folder / "gpg"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "key").write_text(key.public)
    options = ["--batch", "--trust-model", "always", "--compress-algo", "bzip2", "--recipient-file", str(home / "key")]
    command = ["gpg", "--homedir", str(home), *options, "--encrypt"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def read_message(world: DorWorld) -> str:
    return str(world.reports()[-1]["message"])


def count_rejects(world: DorWorld) -> int:
    return int(world.query("SELECT count(*) FROM dor_rejected_line")[0][0])


def measure_rejects(world: DorWorld) -> int:
    return int(world.query("SELECT pg_total_relation_size('dor_rejected_line')")[0][0])


def read_raw_rejects(world: DorWorld, name: str) -> list[bytes]:
    return (world.dor / "rejected" / f"{name}.rej").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"\x1a\n"] if LONG else [b"\n"])
def test_small_message_of_many_lines_stores_few_rows(
    world: DorWorld, key: encryption.KeyPair, secrets: dict[str, str], tmp_path: Path, line: bytes
) -> None:
    """A message of some hundred bytes contains 3 million lines. Each attempt replaces the rows of the one before."""
    message = encrypt(line * 3_000_000, key, tmp_path)
    assert len(message) < 1_000
    received = world.put(EMPLOYER_FILE, message)
    empty = measure_rejects(world)
    for _ in range(3 if LONG else 2):
        assert run_in_process(world, **secrets) == 1
        assert count_rejects(world) == KEPT_REJECTS
    report = world.reports()[-1]
    assert report["rejected_lines_count"] - report["rejected_lines_not_stored_count"] == KEPT_REJECTS
    assert report["rejected_lines_count"] < 100_000  # The rest was not read.
    assert "BLANK_LINE_LIMIT" in read_message(world) or "REJECTED_SHARE_LIMIT" in read_message(world)
    assert received.read_bytes() == message
    assert measure_rejects(world) - empty < 3 * KEPT_REJECTS * 300
    (stored,) = (world.dor / "rejected").iterdir()
    assert stored.stat().st_size < 3_000


def test_lines_of_an_attempt_that_fails_for_another_reason_do_not_accumulate(world: DorWorld) -> None:
    """All rejects of such a file are stored. The space of the replaced rows is reused."""
    world.put(EMPLOYER_FILE, b"x\n" * 12_000 + EMPLOYER)
    sizes = []
    world.execute("ALTER TABLE employer RENAME TO elsewhere")
    try:
        for _ in range(4):
            assert run_in_process(world, REJECTED_SHARE_LIMIT="1") == 1
            assert count_rejects(world) == 12_000
            sizes.append(measure_rejects(world))
    finally:
        world.execute("ALTER TABLE elsewhere RENAME TO employer")
    assert max(sizes) <= 2.5 * sizes[0]


def test_expansion_is_limited_by_the_stored_size(
    world: DorWorld, key: encryption.KeyPair, secrets: dict[str, str], tmp_path: Path
) -> None:
    """Valid lines that compress a thousandfold fail, too, because no real file does."""
    message = encrypt(EMPLOYER * (17 * MEGABYTE // len(EMPLOYER)), key, tmp_path)
    world.put(EMPLOYER_FILE, message)
    assert run_in_process(world, **secrets) == 1
    assert "100 times its stored size" in read_message(world)
    assert "EXPANSION_LIMIT" in read_message(world)
    assert world.query("SELECT count(*) FROM employer") == [(0,)]
    assert (world.received / EMPLOYER_FILE).exists()
    if LONG:
        assert run_in_process(world, EXPANSION_LIMIT="100000", **secrets) == 0


@pytest.mark.parametrize("encrypted", [False, True])
def test_size_is_limited(
    world: DorWorld, key: encryption.KeyPair, secrets: dict[str, str], tmp_path: Path, encrypted: bool
) -> None:
    content = EMPLOYER * (MEGABYTE // len(EMPLOYER) + 1)
    world.put(EMPLOYER_FILE, encrypt(content, key, tmp_path) if encrypted else content)
    variables = secrets if encrypted else {}
    assert run_in_process(world, FILE_SIZE_LIMIT_MB="1", **variables) == 1
    assert "it has more than 1 MB" in read_message(world)
    assert "FILE_SIZE_LIMIT_MB" in read_message(world)
    assert run_in_process(world, FILE_SIZE_LIMIT_MB="2", **variables) == 0


def test_rejected_lines_are_limited_and_an_imported_file_keeps_all(world: DorWorld) -> None:
    world.put(EMPLOYER_FILE, b"x\n" * 1_500 + EMPLOYER)
    assert run_in_process(world, REJECTED_SHARE_LIMIT="1", REJECTED_LINE_LIMIT="1499") == 1
    assert "more than 1,499 lines were rejected" in read_message(world)
    assert (count_rejects(world), len(read_raw_rejects(world, EMPLOYER_FILE))) == (KEPT_REJECTS, KEPT_REJECTS)
    assert world.reports()[-1]["rejected_lines_not_stored_count"] == 500
    assert run_in_process(world, REJECTED_SHARE_LIMIT="1", REJECTED_LINE_LIMIT="1500") == 0
    assert (count_rejects(world), len(read_raw_rejects(world, EMPLOYER_FILE))) == (1_500, 1_500)
    assert "rejected_lines_not_stored_count" not in world.reports()[-1]


def test_blank_lines_are_limited(world: DorWorld) -> None:
    world.put(EMPLOYER_FILE, b"\n \n\r\n" + EMPLOYER)
    assert run_in_process(world, REJECTED_SHARE_LIMIT="1", BLANK_LINE_LIMIT="2") == 1
    assert "more than 2 lines are blank" in read_message(world)
    assert run_in_process(world, REJECTED_SHARE_LIMIT="1", BLANK_LINE_LIMIT="3") == 0


def test_share_fails_a_file_before_its_end(world: DorWorld) -> None:
    """The first 50,000 lines decide, because the rest of the file has room for 20,000 valid lines."""
    world.put(EMPLOYER_FILE, b"x\n" * 50_000 + b"y" * 20_000 * 867)
    assert run_in_process(world, REJECTED_SHARE_LIMIT="0.5") == 1
    assert "50000 of 50000 lines were rejected" in read_message(world)
    assert "of at most 70000 lines in a file of its size" in read_message(world)
    assert world.reports()[-1]["lines_count"] == 50_000


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n", b"\r\n", b"\n" * 300, b"x\n" * 300, EMPLOYER, EMPLOYER * 20, EMPLOYER[:-1], b"\x1a"]),
)


@settings(
    max_examples=300 if LONG else 3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(pieces, max_size=12).map(b"".join),
    st.sampled_from([0, 0.05, 0.5, 1]),
    st.sampled_from([0, 3, 200, 1_000_000]),
    st.sampled_from([0, 3, 200, 1_000_000]),
    st.integers(1, 3),
)
def test_no_content_stores_more_rows_than_the_limits_allow(
    world: DorWorld, content: bytes, share: float, rejected: int, blank: int, attempts: int
) -> None:
    world.clear()
    file = world.put(EMPLOYER_FILE, content)
    lines = len(content.split(b"\n"))
    for _ in range(attempts):
        if not file.exists():
            break
        result = run_in_process(
            world, REJECTED_SHARE_LIMIT=str(share), REJECTED_LINE_LIMIT=str(rejected), BLANK_LINE_LIMIT=str(blank)
        )
        assert file.exists() is (result == 1)
        stored = count_rejects(world)
        assert stored <= lines
        assert stored <= (min(rejected, share * lines) if result == 0 else KEPT_REJECTS)
        blanks = "SELECT count(*) FROM dor_rejected_line WHERE reason = 'blank line'"
        assert result == 1 or world.query(blanks)[0][0] <= blank


class TestMarks:
    def test_byte_order_mark_and_final_mark_are_skipped_and_counted(self, world: DorWorld) -> None:
        world.put(EMPLOYER_FILE, b"\xef\xbb\xbf" + EMPLOYER + b"\x1a")
        world.put(WAGE_FILE, b"\xef\xbb\xbf" + wage_line() + b"\r\n" + wage_line(ssn="250000002") + b"\x1a")
        assert run_in_process(world) == 0
        for report, lines in zip(world.reports(), (1, 2), strict=True):
            assert report["lines_count"] == lines
            assert report["rejected_lines_count"] == 0
            assert report["skipped_byte_order_marks_count"] == report["skipped_end_of_file_marks_count"] == 1
        assert world.query("SELECT account_key FROM employer") == [("44100000001",)]

    def test_marks_within_a_file_are_rejected_with_their_line(self, world: DorWorld) -> None:
        marked = b"\xef\xbb\xbf" + EMPLOYER.replace(b" \n", b"\n")
        world.put(EMPLOYER_FILE, EMPLOYER + marked + b"\x1a\n" + EMPLOYER)
        assert run_in_process(world, REJECTED_SHARE_LIMIT="0.5") == 0
        assert world.query("SELECT line_number, reason FROM dor_rejected_line ORDER BY line_number") == [
            (2, "byte order mark"),
            (3, "invalid line length 1 (expected 866)"),
        ]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ((EMPLOYER * 3).replace(b"\n", b"\r"), "its lines end with CR only"),
            ((EMPLOYER * 100).replace(b"\n", b"\r"), "its lines end with CR only"),
            (EMPLOYER.decode().encode("utf-16"), "it is in UTF-16"),
        ],
    )
    def test_other_texts_are_named(self, world: DorWorld, content: bytes, words: str) -> None:
        file = world.put(EMPLOYER_FILE, content)
        assert run_in_process(world, REJECTED_SHARE_LIMIT="1") == 1
        assert words in read_message(world)
        assert count_rejects(world) == 0
        assert file.exists()


class TestCsvs:
    def test_message_about_a_csv_of_the_staff_does_not_mention_dor(self, world: DorWorld) -> None:
        world.put(CSV, (CSV_HEADER + csv_row() + csv_row(name="Boats, Ltd") * 2).encode())
        assert run_in_process(world, SUBMISSION) == 1
        assert "2 of 3 lines were rejected" in read_message(world)
        assert "Correct the rows and save the CSV again" in read_message(world)
        assert "from DOR" not in read_message(world)

    def test_empty_rows_are_skipped_and_counted(self, world: DorWorld) -> None:
        world.put(CSV, b"\xef\xbb\xbf" + (CSV_HEADER + csv_row() + ",,,,,\n" * 40).encode() + b"\x1a")
        assert run_in_process(world, SUBMISSION) == 0
        report = world.reports()[-1]
        assert (report["lines_count"], report["rejected_lines_count"], report["skipped_empty_rows_count"]) == (1, 0, 40)
        assert (report["skipped_byte_order_marks_count"], report["skipped_end_of_file_marks_count"]) == (1, 1)

    def test_ending_in_capital_letters_counts(self, world: DorWorld) -> None:
        world.put(CSV, (CSV_HEADER + csv_row()).encode()).rename(world.csvs / CSV.upper().replace("COMPANIES", "X"))
        world.put(CSV, (CSV_HEADER + csv_row()).encode()).rename(world.csvs / CSV.replace(".csv", ".CSV"))
        assert run_in_process(world, SUBMISSION) == 0
        assert len(world.reports()) == 1

    def test_size_and_empty_rows_are_limited(self, world: DorWorld) -> None:
        world.put(CSV, (CSV_HEADER + csv_row() + ",,,,,\n" * 20_000).encode())
        assert run_in_process(world, SUBMISSION) == 1
        assert "more than 10,000 lines are blank" in read_message(world)
        world.put(CSV, (CSV_HEADER + csv_row() + "\n" * 17 * MEGABYTE).encode())
        assert run_in_process(world, SUBMISSION) == 1
        assert "it has more than 16 MB" in read_message(world)

    def test_csv_of_a_response_is_limited(self, world: DorWorld) -> None:
        world.put(CSV, (CSV_HEADER + csv_row() + "\n" * MEGABYTE).encode())
        assert run_in_process(world, RESPONSE, CSV_SIZE_LIMIT_MB="1") == 0  # No response, so that no CSV is required.
        world.put("DORDUADFML_SUBMISSION_1", response_a())
        assert run_in_process(world, RESPONSE, CSV_SIZE_LIMIT_MB="1") == 1
        assert f"{CSV} in {world.csvs} cannot be used: it has more than 1 MB" in read_message(world)
        assert "CSV_SIZE_LIMIT_MB" in read_message(world)
