"""Test that the received file that is imported is the one that is moved, and that it is complete."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from nightferry import BackgroundTask, storage
from nightferry.credentials import aws_session
from paidleave.dor import encryption
from paidleave.dor.importing import received
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, RESPONSE, SUBMISSION, DorWorld, run_in_process
from tests.dor.lines import csv_row, employer_line, response_a, response_b, returning_csv
from tests.exchange.aws_proxy import AccessRules, AwsProxy

pytestmark = pytest.mark.sampled(8)

CSV = "CompaniesReturningToStatePlan.csv"
RESPONSE_FILE = "DORDUADFML_SUBMISSION_20260107200000"
EXEMPT_FILE = "DORDUADFML_20260107200000"


def response_lines(fein: str) -> bytes:
    return response_a(fein) + b"\n" + response_b() + b"\n"


FILES: dict[str, tuple[BackgroundTask[Any], str, Callable[[str], bytes]]] = {
    "daily": (DAILY, EMPLOYER_FILE, lambda fein: employer_line(fein, f"44{fein}") + b"\n"),
    "exempt": (EXEMPT, EXEMPT_FILE, response_lines),
    "response": (RESPONSE, RESPONSE_FILE, response_lines),
    "submission": (SUBMISSION, CSV, lambda fein: returning_csv(csv_row(fein))),
    "used CSV": (RESPONSE, CSV, lambda fein: returning_csv(csv_row(fein))),
}
FIRST, SECOND = "100000002", "100000003"


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


def prepare(world: DorWorld, kind: str) -> tuple[BackgroundTask[Any], Path, Callable[[str], bytes]]:
    """Put the first file of a kind, with the other file that its job requires."""
    job, name, make = FILES[kind]
    if kind == "response":
        world.put(CSV, returning_csv(csv_row(FIRST)))
    if kind == "used CSV":
        world.put(RESPONSE_FILE, response_lines(FIRST))
    return job, world.put(name, make(FIRST)), make


@pytest.mark.parametrize("replace", [True, False], ids=["replaced", "rewritten"])
@pytest.mark.parametrize("kind", FILES)
def test_a_second_upload_during_the_import_is_left_for_the_next_run(
    world: DorWorld, monkeypatch: pytest.MonkeyPatch, kind: str, replace: bool
) -> None:
    job, path, make = prepare(world, kind)
    first, second = path.read_bytes(), make(SECOND)
    real = received.find_processed_uri

    def upload_and_find(*arguments: Any) -> str:
        """The file has been read and is about to be moved."""
        if arguments[1].name == path.name and path.read_bytes() == first:
            if replace:
                path.with_suffix(".part").write_bytes(second)
                path.with_suffix(".part").rename(path)
            else:
                path.write_bytes(second)
        return real(*arguments)

    monkeypatch.setattr(received, "find_processed_uri", upload_and_find)
    settings = {"S3_KEY": f"dor/received/{path.name}", "RETAIN_RECEIVED_FILES": "false"}
    assert run_in_process(world, job, **settings) == 0
    assert path.read_bytes() == second
    assert not (path.parent.parent / "processed" / path.name).exists()
    if kind == "response":
        world.put(CSV, returning_csv(csv_row(SECOND)))
    if kind == "used CSV":
        world.put("DORDUADFML_SUBMISSION_20260108200000", response_lines(SECOND))
    assert run_in_process(world, job, **settings) == 0
    assert not path.exists()
    assert [moved.read_bytes() for moved in (path.parent.parent / "processed").glob(f"{path.name}*")] == [second]


def test_a_file_replaced_after_the_listing_is_read_as_its_newer_self(
    world: DorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.put(EMPLOYER_FILE, employer_line(FIRST, "44100000002") + b"\n")
    real = received.find_files

    def find_and_upload(*arguments: Any) -> Any:
        found = real(*arguments)
        path.write_bytes(employer_line(SECOND, "44100000003") + b"\n")
        return found

    monkeypatch.setattr(received, "find_files", find_and_upload)
    assert run_in_process(world) == 0
    assert world.query("SELECT employer_fein FROM employer") == [(SECOND,)]
    assert (world.dor / "processed" / EMPLOYER_FILE).exists()


def test_a_file_removed_after_it_was_read_is_imported_with_a_warning(
    world: DorWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = world.put(EMPLOYER_FILE, employer_line(FIRST, "44100000002") + b"\n")
    real = received.find_processed_uri

    def remove_and_find(*arguments: Any) -> str:
        path.unlink()
        return real(*arguments)

    monkeypatch.setattr(received, "find_processed_uri", remove_and_find)
    assert run_in_process(world) == 0
    assert "the file was removed after it was read" in caplog.text
    assert world.query("SELECT employer_fein FROM employer") == [(FIRST,)]


def test_a_file_that_grows_while_it_is_read_is_not_imported(world: DorWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [employer_line(str(100000000 + number), str(44100000000 + number)) + b"\n" for number in range(3000)]
    path = world.put(EMPLOYER_FILE, b"".join(lines[:2000]))
    real = storage.StoredStream.read

    def read_and_append(stream: storage.StoredStream, size: int = -1, /) -> bytes:
        monkeypatch.undo()
        with path.open("ab") as file:
            file.write(b"".join(lines[2000:]))
        return real(stream, size)

    monkeypatch.setattr(storage.StoredStream, "read", read_and_append, raising=False)
    assert run_in_process(world) == 1
    assert "was changed while it was being read" in world.reports()[-1]["message"]
    assert world.query("SELECT count(*) FROM employer") == [(0,)]
    assert run_in_process(world) == 0
    assert world.query("SELECT count(*) FROM employer") == [(3000,)]


@pytest.mark.parametrize("kind", FILES)
def test_an_empty_file_fails(world: DorWorld, kind: str) -> None:
    job, path, _ = prepare(world, kind)
    path.write_bytes(b"")
    assert run_in_process(world, job) == 1
    assert path.exists()
    assert "was not imported" in (message := world.reports()[-1]["message"])
    assert "no content" in message or "empty" in message


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\x1a"], ids=["nothing", "mark", "end of file"])
def test_an_encrypted_message_without_content_fails(world: DorWorld, content: bytes) -> None:
    key = encryption.generate_key("Identity tests")

    class Target:
        data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    target = Target()
    with encryption.encrypt(target, key.public) as plain:
        plain.write(content)
    path = world.put(EMPLOYER_FILE, target.data)
    assert run_in_process(world, DECRYPT="true", GPG_DECRYPTION_KEY=SecretStr(key.private).get_secret_value()) == 1
    assert path.exists()
    assert "has no content" in world.reports()[-1]["message"]


def test_a_file_that_is_still_being_written_is_awaited(world: DorWorld) -> None:
    lines = [employer_line(str(100000000 + number), str(44100000000 + number)) + b"\n" for number in range(10)]
    path = world.put(EMPLOYER_FILE, lines[0])
    written = threading.Event()

    def write_slowly() -> None:
        with path.open("ab", buffering=0) as file:
            for line in lines[1:]:
                file.write(line)
                written.wait(0.05)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    assert run_in_process(world, QUIET_SECONDS="0.3") == 0
    writer.join()
    assert world.query("SELECT count(*) FROM employer") == [(10,)]


@pytest.mark.parametrize("place", ["file", "folder", "processed", "rejected"])
def test_links_are_not_followed(world: DorWorld, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    secret = employer_line() + b"\nbad\n"
    (outside / EMPLOYER_FILE).write_bytes(secret)
    world.received.mkdir(parents=True)
    match place:
        case "file":
            (world.received / EMPLOYER_FILE).symlink_to(outside / EMPLOYER_FILE)
        case "folder":
            world.received.rmdir()
            world.received.symlink_to(outside)
        case _:
            world.put(EMPLOYER_FILE, secret)
            (world.dor / place).symlink_to(outside)
    code = run_in_process(world, REJECTED_SHARE_LIMIT="0.5")
    assert code == (0 if place == "file" else 1)
    assert [path.name for path in outside.iterdir()] == [EMPLOYER_FILE]
    assert (outside / EMPLOYER_FILE).read_bytes() == secret
    if place != "processed":  # A file that cannot be moved is imported, and moved by the next run.
        assert world.query("SELECT count(*) FROM employer") == [(0,)]


@pytest.fixture
def agency(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Create a bucket with S3's 403 for missing objects, as tasks receive it, and return its name."""
    address = urlsplit(aws_server)
    proxy = AwsProxy(AccessRules((address.hostname or "", address.port or 0)))
    for name, value in {
        "AWS_ENDPOINT_URL": proxy.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"agency-{uuid4().hex}"
    aws_session().client("s3").create_bucket(Bucket=bucket)
    yield bucket
    proxy.stop()


def test_a_file_that_was_moved_before_a_crash_is_not_missing(
    world: DorWorld, agency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, key = f"s3://{agency}/dor/received", f"dor/received/{EMPLOYER_FILE}"
    with storage.open_write(storage.join(folder, EMPLOYER_FILE)) as file:
        file.write(employer_line(FIRST, "44100000002") + b"\n")
    real = received.find_processed_uri

    def find_and_move(connection: Any, file: Any, digest: str) -> str:
        target = real(connection, file, digest)
        storage.copy(file.uri, target)
        storage.delete(file.uri)
        return target

    monkeypatch.setattr(received, "find_processed_uri", find_and_move)
    assert run_in_process(world, FOLDER_PATH=folder, S3_KEY=key) == 0
    assert world.query("SELECT employer_fein FROM employer") == [(FIRST,)]
    assert run_in_process(world, FOLDER_PATH=folder, S3_KEY=key) == 0  # the event came twice
    assert world.query("SELECT employer_fein FROM employer") == [(FIRST,)]


def test_a_second_upload_to_s3_is_left_for_the_next_run(
    world: DorWorld, agency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, client = agency, aws_session().client("s3")
    key = f"dor/received/{EMPLOYER_FILE}"
    client.put_object(Bucket=bucket, Key=key, Body=employer_line(FIRST, "44100000002") + b"\n")
    real = received.find_processed_uri
    uploads = [employer_line(SECOND, "44100000003") + b"\n"]

    def upload_and_find(*arguments: Any) -> str:
        if uploads:
            client.put_object(Bucket=bucket, Key=key, Body=uploads.pop())
        return real(*arguments)

    monkeypatch.setattr(received, "find_processed_uri", upload_and_find)
    settings = {"FOLDER_PATH": f"s3://{bucket}/dor/received", "S3_KEY": key, "QUIET_SECONDS": "60"}
    assert run_in_process(world, **settings) == 0
    assert [found.name for found in storage.list_objects(settings["FOLDER_PATH"])] == [EMPLOYER_FILE]
    assert run_in_process(world, **settings) == 0
    assert world.query("SELECT employer_fein FROM employer ORDER BY 1") == [(FIRST,), (SECOND,)]
    assert storage.list_objects(settings["FOLDER_PATH"]) == []


def test_a_csv_that_ends_within_a_row_fails(world: DorWorld) -> None:
    content = returning_csv(csv_row(FIRST), csv_row(SECOND)).rstrip()
    world.put(CSV, content[: content.rindex(b",")])
    assert run_in_process(world, SUBMISSION) == 1
    assert "the file ends within a row" in world.reports()[-1]["message"]
    world.put(CSV, content)  # complete, but without a line end
    assert run_in_process(world, SUBMISSION) == 0
