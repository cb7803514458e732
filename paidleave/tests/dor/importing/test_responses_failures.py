"""Submissions and responses when files are bad, processes die, and objects arrive twice, late or not at all."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from paidleave.dor.encryption import gpg
from tests.dor.importing.test_importer_failures import encrypt, finished, locked, secrets, wait_for_waiter
from tests.dor.imports import EXEMPT, RESPONSE, SUBMISSION, Place, contents, run_here, start
from tests.dor.lines import csv_row, response_a, response_b, returning_csv

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
def place(database: str, tmp_path: Path) -> Place:
    return Place(database, tmp_path / "dor")


@pytest.fixture(scope="module")
def key() -> gpg.KeyPair:
    return gpg.generate_key("DOR response tests", SecretStr("a passphrase"))


def sent(place: Place) -> list[bytes]:
    folder = place.dor / "send"
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []


def business(place: Place) -> dict[str, Any]:
    """The tables without what is invented: account keys, and who wrote a row."""
    tables = contents(place)
    return {
        "employers": [(row[0], row[2:8]) for row in tables["employers"]],
        "people": [row[:3] for row in tables["employees"]],
        "quarters": [row[:4] for row in tables["quarters"]],
        "wages": [(row[:3], row[4:12]) for row in tables["wages"]],
        "queues": (tables["employer_queue"], tables["employee_queue"]),
        "rejects": tables["rejects"],
    }


class TestSubmissions:
    def test_the_file_is_what_dor_reads(self, place: Place) -> None:
        place.put(CSV, RETURNING)
        assert run_here(place, SUBMISSION) == 0
        (path,) = (place.dor / "send").iterdir()
        assert re.fullmatch("DORDUADFML_SUBMISSION_20[0-9]{12}", path.name)
        assert path.read_bytes() == SENT
        (report,) = place.reports()
        assert (report["lines_count"], report["created_employers_count"], report["rejected_lines_count"]) == (3, 2, 1)
        assert (place.csvs / CSV).exists(), "the response needs it"
        assert (place.csvs.parent / "rejected" / f"{CSV}.rej").read_bytes() == csv_row("bad").encode()
        assert place.query("SELECT import_type, source FROM import_log") == [("", "DOR Pending Filing Submission")]

    def test_once_per_csv_whatever_its_name(self, place: Place) -> None:
        place.put(CSV, RETURNING)
        for _ in range(2):
            assert run_here(place, SUBMISSION) == 0
        place.put("CompaniesReturningToStatePlan again.csv", RETURNING)
        assert run_here(place, SUBMISSION) == 0
        assert sent(place) == [SENT]

    def test_every_csv_has_its_own_also_of_one_second(self, place: Place) -> None:
        import os

        for number in (1, 2, 3):
            path = place.put(f"CompaniesReturningToStatePlan{number}.csv", returning_csv(csv_row(f"10000000{number}")))
            os.utime(path, (1_700_000_000, 1_700_000_000))
        assert run_here(place, SUBMISSION) == 0
        assert [line[10:19] for line in sent(place)] == [b"100000001", b"100000002", b"100000003"]

    @pytest.mark.parametrize(("mode", "written"), [("ACCESS EXCLUSIVE", 0), ("SHARE", 1)])
    def test_a_run_after_kill_9_sends_the_same_once(self, place: Place, mode: str, written: int) -> None:
        """Killed before anything is written, and when the file is written and nothing is committed."""
        place.put(CSV, RETURNING)
        with locked(place, "dor_imported_file", mode):
            process = start(place, SUBMISSION)
            wait_for_waiter(place, process)
            process.kill()
            process.communicate()
        assert len(sent(place)) == written
        assert place.query("SELECT count(*) FROM dor_imported_file") == [(0,)]
        assert run_here(place, SUBMISSION) == 0
        assert sent(place) == [SENT]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty"),
            (b"FEIN\n100000001\n", "lacks the columns"),
            (returning_csv(), "no usable row"),
            (returning_csv(csv_row("bad"), csv_row("worse"), csv_row()), "REJECTED_SHARE_LIMIT"),
            (RETURNING + b'"open', "not closed"),
        ],
    )
    def test_a_csv_that_cannot_be_used_sends_nothing_and_stays(self, place: Place, content: bytes, words: str) -> None:
        path = place.put(CSV, content)
        assert run_here(place, SUBMISSION) == 1
        assert sent(place) == []
        assert path.exists()
        assert words in place.reports()[-1]["message"]
        place.put(CSV, RETURNING)
        assert run_here(place, SUBMISSION) == 0
        assert sent(place) == [SENT]

    def test_neither_the_report_nor_the_log_holds_personal_data(self, place: Place) -> None:
        place.put(CSV, returning_csv(csv_row(name="Secretive Boats"), csv_row("12345678X", name="Secretive Boats")))
        output = finished(start(place, SUBMISSION, S3_KEY=f"dfml/received/{CSV}"))
        for text in (output, str(place.reports())):
            for secret in ("100000001", "12345678X", "Secretive"):
                assert secret not in text


class TestOnS3:
    @pytest.fixture
    def s3(self) -> Iterator[Any]:
        server = ThreadedMotoServer(port=0)
        server.start()
        host, port = server.get_host_and_port()
        try:
            client = boto3.client(
                "s3",
                endpoint_url=f"http://{host}:{port}",
                region_name="us-east-1",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
            client.create_bucket(Bucket="agency")
            yield client
        finally:
            server.stop()

    def test_the_submission_is_one_part_whose_etag_is_the_md5(self, place: Place, s3: Any) -> None:
        import hashlib

        rows = 300_000  # more than a part of an object in parts has
        content = returning_csv(*(csv_row(f"{100000000 + number}") for number in range(rows)))
        s3.put_object(Bucket="agency", Key=f"dfml/received/{CSV}", Body=content)
        process = start(
            place,
            SUBMISSION,
            INPUT_FOLDER_PATH="s3://agency/dfml",
            OUTPUT_FOLDER_PATH="s3://agency/dor",
            AWS_ENDPOINT_URL=s3.meta.endpoint_url,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_REGION="us-east-1",
        )
        finished(process)
        (written,) = s3.list_objects_v2(Bucket="agency", Prefix="dor/send/")["Contents"]
        body = s3.get_object(Bucket="agency", Key=written["Key"])["Body"].read()
        assert len(body) == 33 * rows
        assert written["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'


class TestResponses:
    def undisturbed(self, place: Place) -> dict[str, Any]:
        self.put(place)
        assert run_here(place, RESPONSE, **LIMIT) == 0
        return business(place)

    def put(self, place: Place) -> None:
        place.put(CSV, RETURNING)
        place.put(RESPONSE_FILE, LINES)

    def test_both_files_go_to_processed(self, place: Place) -> None:
        self.undisturbed(place)
        assert (place.dor / "processed" / RESPONSE_FILE).read_bytes() == LINES
        assert (place.csvs.parent / "processed" / CSV).read_bytes() == RETURNING
        assert not list(place.csvs.iterdir())
        assert (place.dor / "rejected" / f"{RESPONSE_FILE}.rej").read_bytes() == b"B bad\n"

    def test_without_a_csv_nothing_is_imported(self, place: Place) -> None:
        place.put(RESPONSE_FILE, LINES)
        assert run_here(place, RESPONSE, **LIMIT) == 1
        assert "there is no CSV" in place.reports()[-1]["message"]
        assert contents(place)["employers"] == []
        assert (place.received / RESPONSE_FILE).exists()
        place.put(CSV, RETURNING)
        assert run_here(place, RESPONSE, **LIMIT) == 0
        assert len(contents(place)["employers"]) == 2

    def test_a_csv_that_no_response_has_used_stays(self, place: Place) -> None:
        self.put(place)
        place.put("CompaniesReturningToStatePlan2.csv", returning_csv(csv_row("300000001")))
        assert run_here(place, RESPONSE, **LIMIT) == 0
        assert [path.name for path in place.csvs.iterdir()] == ["CompaniesReturningToStatePlan2.csv"]

    def test_a_csv_whose_response_has_come_is_not_submitted_any_more(self, place: Place) -> None:
        self.undisturbed(place)
        place.put(CSV, RETURNING)
        assert run_here(place, SUBMISSION) == 0
        assert sent(place) == []

    def test_a_csv_that_cannot_be_read_fails_the_response(self, place: Place) -> None:
        place.put(CSV, b"FEIN\n")
        place.put(RESPONSE_FILE, LINES)
        assert run_here(place, RESPONSE, **LIMIT) == 1
        assert "lacks the columns" in place.reports()[-1]["message"]
        assert contents(place)["employers"] == []

    @pytest.mark.parametrize("table", ["employer", "dor_imported_file", "processed_object", "wages_and_contributions"])
    def test_a_rerun_after_kill_9_leaves_what_an_undisturbed_run_leaves(self, place: Place, table: str) -> None:
        expected = self.undisturbed(place)
        place.clear()
        self.put(place)
        with locked(place, table):
            process = start(place, RESPONSE, **LIMIT)
            wait_for_waiter(place, process)
            process.kill()
            process.communicate()
        assert run_here(place, RESPONSE, **LIMIT) == 0
        assert business(place) == expected
        assert not list(place.csvs.iterdir())
        assert not list(place.received.iterdir())

    def test_a_csv_left_behind_by_a_crash_is_moved_by_the_next_run(self, place: Place) -> None:
        self.undisturbed(place)
        place.put(CSV, RETURNING)
        assert run_here(place, RESPONSE, **LIMIT) == 0
        assert not list(place.csvs.iterdir())
        assert (place.csvs.parent / "processed" / CSV).exists()

    def test_sigterm_stops_cleanly(self, place: Place) -> None:
        self.put(place)
        with locked(place, "wages_and_contributions"):
            process = start(place, RESPONSE, **LIMIT)
            wait_for_waiter(place, process)
            process.send_signal(signal.SIGTERM)
            finished(process, 143)
        assert contents(place)["employers"] == []
        assert (place.csvs / CSV).exists()


class TestEncryptedExemptFiles:
    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda data: data[: len(data) // 2], "cut off"),
            (lambda data: b"", "empty"),
            (lambda data: LINES, "not"),
        ],
        ids=["half", "empty", "plain"],
    )
    def test_nothing_of_a_damaged_file_is_imported(
        self, place: Place, key: gpg.KeyPair, damage: Callable[[bytes], bytes], words: str
    ) -> None:
        whole = encrypt(LINES, key)
        place.put(EXEMPT_FILE, damage(whole))
        assert run_here(place, EXEMPT, **secrets(key)) == 1
        assert contents(place)["employers"] == []
        assert words in place.reports()[-1]["message"]
        place.put(EXEMPT_FILE, whole)
        assert run_here(place, EXEMPT, **secrets(key)) == 0
        assert len(contents(place)["wages"]) == 4
        rejected = (place.dor / "rejected" / f"{EXEMPT_FILE}.rej").read_bytes()
        assert b"B bad" not in rejected

    def test_a_file_for_another_key_is_not_imported(self, place: Place, key: gpg.KeyPair) -> None:
        place.put(EXEMPT_FILE, encrypt(LINES, gpg.generate_key("Somebody else")))
        assert run_here(place, EXEMPT, **secrets(key)) == 1
        assert "another key" in place.reports()[-1]["message"]


class TestTheObjectThatStartedTheRun:
    @pytest.mark.parametrize(
        ("name", "is_there", "words"),
        [
            (EXEMPT_FILE, True, "was handled by this run"),
            (EXEMPT_FILE, False, "is gone"),
            (f"{EXEMPT_FILE}.part", True, "is no complete file by its name"),
        ],
    )
    def test_the_log_tells_what_became_of_it(self, place: Place, name: str, is_there: bool, words: str) -> None:
        if is_there:
            place.put(name, LINES)
        output = finished(
            start(place, EXEMPT, S3_BUCKET="agency", S3_KEY=f"dor/received/{name}", S3_VERSION="", **LIMIT)
        )
        assert words in output

    def test_two_objects_at_once_are_two_runs_and_one_import_each(self, place: Place) -> None:
        names = [EXEMPT_FILE, EXEMPT_FILE[:-1] + "1"]
        for number, name in enumerate(names):
            place.put(name, response_a(f"10000000{number}") + b"\n" + response_b())
        processes = [start(place, EXEMPT, S3_KEY=f"dor/received/{name}") for name in names]
        for process in processes:
            finished(process)
        assert len(contents(place)["employers"]) == 2
        assert len(place.reports()) == 2
        assert not list(place.received.iterdir())
