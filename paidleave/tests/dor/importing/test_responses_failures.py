"""Submissions and responses with invalid files, killed processes and duplicate, late or missing objects."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from paidleave.dor import encryption
from tests.dor.importing.test_importer_failures import encrypt, locked, secrets, wait_for_exit, wait_for_waiter
from tests.dor.imports import EXEMPT, RESPONSE, SUBMISSION, DorWorld, contents, run_in_process, start
from tests.dor.lines import csv_row, response_a, response_b, returning_csv

pytestmark = pytest.mark.sampled(8)

CSV = "CompaniesReturningToStatePlan.csv"
EXEMPT_FILE = "DORDUADFML_20211001000000"
RESPONSE_FILE = "DORDUADFML_SUBMISSION_20211001000000"
RETURNING = returning_csv(csv_row("100000001"), csv_row("100000002", medical="Yes"), csv_row("bad"))
LINES = b"\n".join(
    [
        *(response_a("100000001"), response_b("250000001"), response_b("250000002"), b"B bad"),
        *(response_a("100000002"), response_b("250000003"), response_b("250000001")),
    ]
)
SENT = b"FEIN      100000001     20210930\nFEIN      100000002     20210930\n"
LIMIT = {"REJECTED_SHARE_LIMIT": "0.5"}


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


@pytest.fixture(scope="module")
def key() -> encryption.KeyPair:
    return encryption.generate_key("DOR response tests", SecretStr("a passphrase"))


def sent(world: DorWorld) -> list[bytes]:
    folder = world.dor / "send"
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []


def business(world: DorWorld) -> dict[str, Any]:
    """Return the tables without generated account keys and without the file that wrote a row."""
    tables = contents(world)
    return {
        "employers": [(row[0], row[2:8]) for row in tables["employers"]],
        "people": [row[:3] for row in tables["employees"]],
        "quarters": [row[:4] for row in tables["quarters"]],
        "wages": [(row[:3], row[4:12]) for row in tables["wages"]],
        "queues": (tables["employer_queue"], tables["employee_queue"]),
        "rejects": tables["rejects"],
    }


class TestSubmissions:
    def test_submission_has_the_format_of_dor(self, world: DorWorld) -> None:
        world.put(CSV, RETURNING)
        assert run_in_process(world, SUBMISSION) == 0
        (path,) = (world.dor / "send").iterdir()
        assert re.fullmatch("DORDUADFML_SUBMISSION_20[0-9]{12}", path.name)
        assert path.read_bytes() == SENT
        (report,) = world.reports()
        assert (report["lines_count"], report["created_employers_count"], report["rejected_lines_count"]) == (3, 2, 1)
        assert (world.csvs / CSV).exists(), "the response needs it"
        assert (world.csvs.parent / "rejected" / f"{CSV}.rej").read_bytes() == csv_row("bad").encode()
        assert world.query("SELECT import_type, source FROM import_log") == [("", "DOR Pending Filing Submission")]

    def test_csv_is_submitted_once_under_any_name(self, world: DorWorld) -> None:
        world.put(CSV, RETURNING)
        for _ in range(2):
            assert run_in_process(world, SUBMISSION) == 0
        world.put("CompaniesReturningToStatePlan again.csv", RETURNING)
        assert run_in_process(world, SUBMISSION) == 0
        assert sent(world) == [SENT]

    def test_csvs_of_the_same_second_have_separate_submissions(self, world: DorWorld) -> None:
        import os

        for number in (1, 2, 3):
            path = world.put(f"CompaniesReturningToStatePlan{number}.csv", returning_csv(csv_row(f"10000000{number}")))
            os.utime(path, (1_700_000_000, 1_700_000_000))
        assert run_in_process(world, SUBMISSION) == 0
        assert [line[10:19] for line in sent(world)] == [b"100000001", b"100000002", b"100000003"]

    @pytest.mark.parametrize(("mode", "written"), [("ACCESS EXCLUSIVE", 0), ("SHARE", 1)])
    def test_rerun_after_kill_submits_the_same_once(self, world: DorWorld, mode: str, written: int) -> None:
        """The process is killed before the file is written, or between writing it and the commit."""
        world.put(CSV, RETURNING)
        with locked(world, "dor_imported_file", mode):
            process = start(world, SUBMISSION)
            wait_for_waiter(world, process)
            process.kill()
            process.communicate()
        assert len(sent(world)) == written
        assert world.query("SELECT count(*) FROM dor_imported_file") == [(0,)]
        assert run_in_process(world, SUBMISSION) == 0
        assert sent(world) == [SENT]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty"),
            (b"FEIN\n100000001\n", "columns missing in the first line"),
            (returning_csv(), "no valid rows"),
            (returning_csv(csv_row("bad"), csv_row("worse"), csv_row()), "REJECTED_SHARE_LIMIT"),
            (RETURNING + b'"open', "unclosed quote"),
        ],
    )
    def test_unusable_csv_is_not_submitted_and_remains(self, world: DorWorld, content: bytes, words: str) -> None:
        path = world.put(CSV, content)
        assert run_in_process(world, SUBMISSION) == 1
        assert sent(world) == []
        assert path.exists()
        assert words in world.reports()[-1]["message"]
        world.put(CSV, RETURNING)
        assert run_in_process(world, SUBMISSION) == 0
        assert sent(world) == [SENT]

    def test_report_and_log_contain_no_personal_data(self, world: DorWorld) -> None:
        world.put(CSV, returning_csv(csv_row(name="Secretive Boats"), csv_row("12345678X", name="Secretive Boats")))
        output = wait_for_exit(start(world, SUBMISSION, S3_KEY=f"dfml/received/{CSV}"))
        for text in (output, str(world.reports())):
            for secret in ("100000001", "12345678X", "Secretive"):
                assert secret not in text


class TestOnS3:
    @pytest.fixture
    def s3(self, aws_server: str) -> Any:
        client = boto3.client(
            "s3",
            endpoint_url=aws_server,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_bucket(Bucket="agency")
        return client

    @pytest.mark.long  # the toolkit's tests of the storage check that an object is stored in one part
    def test_etag_of_the_submission_is_its_md5(self, world: DorWorld, s3: Any) -> None:
        import hashlib

        rows = 255_000  # larger than one part of a multipart upload
        content = returning_csv(*(csv_row(f"{100000000 + number}") for number in range(rows)))
        s3.put_object(Bucket="agency", Key=f"dfml/received/{CSV}", Body=content)
        process = start(
            world,
            SUBMISSION,
            INPUT_FOLDER_PATH="s3://agency/dfml",
            OUTPUT_FOLDER_PATH="s3://agency/dor",
            AWS_ENDPOINT_URL=s3.meta.endpoint_url,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_REGION="us-east-1",
        )
        wait_for_exit(process)
        (written,) = s3.list_objects_v2(Bucket="agency", Prefix="dor/send/")["Contents"]
        body = s3.get_object(Bucket="agency", Key=written["Key"])["Body"].read()
        assert len(body) == 33 * rows
        assert written["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'


class TestResponses:
    def undisturbed(self, world: DorWorld) -> dict[str, Any]:
        self.put(world)
        assert run_in_process(world, RESPONSE, **LIMIT) == 0
        return business(world)

    def put(self, world: DorWorld) -> None:
        world.put(CSV, RETURNING)
        world.put(RESPONSE_FILE, LINES)

    def test_both_files_are_moved_to_processed(self, world: DorWorld) -> None:
        self.undisturbed(world)
        assert (world.dor / "processed" / RESPONSE_FILE).read_bytes() == LINES
        assert (world.csvs.parent / "processed" / CSV).read_bytes() == RETURNING
        assert not list(world.csvs.iterdir())
        assert (world.dor / "rejected" / f"{RESPONSE_FILE}.rej").read_bytes() == b"B bad\n"

    def test_response_without_csv_is_not_imported(self, world: DorWorld) -> None:
        world.put(RESPONSE_FILE, LINES)
        assert run_in_process(world, RESPONSE, **LIMIT) == 1
        assert "no CSV of employers returning" in world.reports()[-1]["message"]
        assert contents(world)["employers"] == []
        assert (world.received / RESPONSE_FILE).exists()
        world.put(CSV, RETURNING)
        assert run_in_process(world, RESPONSE, **LIMIT) == 0
        assert len(contents(world)["employers"]) == 2

    def test_unused_csv_remains(self, world: DorWorld) -> None:
        self.put(world)
        world.put("CompaniesReturningToStatePlan2.csv", returning_csv(csv_row("300000001")))
        assert run_in_process(world, RESPONSE, **LIMIT) == 0
        assert [path.name for path in world.csvs.iterdir()] == ["CompaniesReturningToStatePlan2.csv"]

    def test_csv_with_a_response_is_not_submitted_again(self, world: DorWorld) -> None:
        self.undisturbed(world)
        world.put(CSV, RETURNING)
        assert run_in_process(world, SUBMISSION) == 0
        assert sent(world) == []

    def test_unreadable_csv_fails_the_response(self, world: DorWorld) -> None:
        world.put(CSV, b"FEIN\n")
        world.put(RESPONSE_FILE, LINES)
        assert run_in_process(world, RESPONSE, **LIMIT) == 1
        assert "columns missing in the first line" in world.reports()[-1]["message"]
        assert contents(world)["employers"] == []

    @pytest.mark.parametrize("table", ["employer", "dor_imported_file", "processed_object", "wages_and_contributions"])
    def test_rerun_after_kill_has_the_result_of_an_undisturbed_run(self, world: DorWorld, table: str) -> None:
        expected = self.undisturbed(world)
        world.clear()
        self.put(world)
        with locked(world, table):
            process = start(world, RESPONSE, **LIMIT)
            wait_for_waiter(world, process)
            process.kill()
            process.communicate()
        assert run_in_process(world, RESPONSE, **LIMIT) == 0
        assert business(world) == expected
        assert not list(world.csvs.iterdir())
        assert not list(world.received.iterdir())

    def test_csv_of_a_crashed_run_is_moved_by_the_next_run(self, world: DorWorld) -> None:
        self.undisturbed(world)
        world.put(CSV, RETURNING)
        assert run_in_process(world, RESPONSE, **LIMIT) == 0
        assert not list(world.csvs.iterdir())
        assert (world.csvs.parent / "processed" / CSV).exists()

    def test_sigterm_stops_cleanly(self, world: DorWorld) -> None:
        self.put(world)
        with locked(world, "wages_and_contributions"):
            process = start(world, RESPONSE, **LIMIT)
            wait_for_waiter(world, process)
            process.send_signal(signal.SIGTERM)
            wait_for_exit(process, 143)
        assert contents(world)["employers"] == []
        assert (world.csvs / CSV).exists()


class TestEncryptedExemptFiles:
    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda data: data[: len(data) // 2], "truncated"),
            (lambda data: b"", "empty"),
            (lambda data: LINES, "not"),
        ],
        ids=["half", "empty", "plain"],
    )
    def test_damaged_file_is_not_imported(
        self, world: DorWorld, key: encryption.KeyPair, damage: Callable[[bytes], bytes], words: str
    ) -> None:
        whole = encrypt(LINES, key)
        world.put(EXEMPT_FILE, damage(whole))
        assert run_in_process(world, EXEMPT, **secrets(key)) == 1
        assert contents(world)["employers"] == []
        assert words in world.reports()[-1]["message"]
        world.put(EXEMPT_FILE, whole)
        assert run_in_process(world, EXEMPT, **secrets(key)) == 0
        assert len(contents(world)["wages"]) == 4
        rejected = (world.dor / "rejected" / f"{EXEMPT_FILE}.rej").read_bytes()
        assert b"B bad" not in rejected

    def test_file_for_another_key_is_not_imported(self, world: DorWorld, key: encryption.KeyPair) -> None:
        world.put(EXEMPT_FILE, encrypt(LINES, encryption.generate_key("Somebody else")))
        assert run_in_process(world, EXEMPT, **secrets(key)) == 1
        assert "with another key" in world.reports()[-1]["message"]


class TestTriggeringObject:
    @pytest.mark.parametrize(
        ("name", "exists", "words"),
        [
            (EXEMPT_FILE, True, "was processed by this run"),
            (EXEMPT_FILE, False, "was not found"),
            (f"{EXEMPT_FILE}.part", True, "was skipped: its name is not that of a complete file"),
        ],
    )
    def test_log_has_its_outcome(self, world: DorWorld, name: str, exists: bool, words: str) -> None:
        if exists:
            world.put(name, LINES)
        output = wait_for_exit(
            start(world, EXEMPT, S3_BUCKET="agency", S3_KEY=f"dor/received/{name}", S3_VERSION="", **LIMIT)
        )
        assert words in output

    def test_two_objects_start_two_runs_with_one_import_each(self, world: DorWorld) -> None:
        names = [EXEMPT_FILE, EXEMPT_FILE[:-1] + "1"]
        for number, name in enumerate(names):
            world.put(name, response_a(f"10000000{number}") + b"\n" + response_b())
        processes = [start(world, EXEMPT, S3_KEY=f"dor/received/{name}") for name in names]
        for process in processes:
            wait_for_exit(process)
        assert len(contents(world)["employers"]) == 2
        assert len(world.reports()) == 2
        assert not list(world.received.iterdir())
