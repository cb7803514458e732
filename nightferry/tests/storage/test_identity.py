"""Test that the object that was listed, read and moved is one object."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse

from nightferry import storage
from nightferry.credentials import aws_session
from nightferry.storage import ObjectChanged, StillChanging, Storage, StoredObject, taking

pytestmark = pytest.mark.sampled(8)


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(objects: Storage, uri: str) -> tuple[bytes, str]:
    with objects.open_read(uri) as stream:
        return stream.read(), stream.version


def put(objects: Storage, uri: str, data: bytes) -> None:
    with objects.open_write(uri) as file:
        file.write(data)


@pytest.fixture(params=["file", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "file" else f"s3://{request.getfixturevalue('bucket')}"


@pytest.fixture
def bucket(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid4().hex}"
    aws_session().client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def objects() -> Storage:
    return storage.session()


def test_only_the_version_that_was_read_is_moved(objects: Storage, folder: str) -> None:
    source, target = f"{folder}/received/x", f"{folder}/processed/x"
    put(objects, source, b"first")
    _, version = read(objects, source)
    put(objects, source, b"second")
    with pytest.raises(ObjectChanged, match="received/x was replaced"):
        objects.move(source, target, version=version)
    assert read(objects, source)[0] == b"second"
    assert not objects.exists(target)
    objects.move(source, target, version=read(objects, source)[1])
    assert read(objects, target)[0] == b"second"
    assert not objects.exists(source)


def test_only_the_version_that_was_read_is_deleted(objects: Storage, folder: str) -> None:
    uri = f"{folder}/x"
    put(objects, uri, b"first")
    _, version = read(objects, uri)
    put(objects, uri, b"other")
    with pytest.raises(ObjectChanged):
        objects.delete(uri, version=version)
    assert read(objects, uri)[0] == b"other"
    objects.delete(uri, version=read(objects, uri)[1])
    assert objects.list_objects(folder) == []
    objects.delete(uri, version=version)


def test_only_the_version_that_was_listed_is_copied(objects: Storage, folder: str) -> None:
    put(objects, f"{folder}/x", b"first")
    (listed,) = objects.list_objects(folder)
    objects.copy(listed.uri, f"{folder}/copies/1", version=listed.version)
    put(objects, f"{folder}/x", b"other")
    with pytest.raises(ObjectChanged):
        objects.copy(listed.uri, f"{folder}/copies/2", version=listed.version)


def test_a_file_with_its_old_time_and_size_is_another_version(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"first")
    status = file.stat()
    _, version = read(objects, str(file))
    file.write_bytes(b"other")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ObjectChanged):
        objects.move(str(file), str(tmp_path / "moved"), version=version)
    assert file.read_bytes() == b"other"


def test_a_file_that_changes_while_it_is_read_is_an_error(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"begin" * 500_000)
    with objects.open_read(str(file)) as stream:
        stream.read(10)
        with file.open("ab") as writer:
            writer.write(b"more")
        with pytest.raises(ObjectChanged, match="x was changed while it was being read"):
            stream.read()


def test_a_file_replaced_while_it_is_read_is_read_to_its_end(objects: Storage, tmp_path: Path) -> None:
    put(objects, str(tmp_path / "x"), b"first" * 500_000)
    with objects.open_read(str(tmp_path / "x")) as stream:
        stream.read(10)
        put(objects, str(tmp_path / "x"), b"second")
        assert len(stream.read()) == 2_500_000 - 10
    with pytest.raises(ObjectChanged):
        objects.delete(str(tmp_path / "x"), version=stream.version)


def test_a_new_link_to_a_file_is_no_change_of_it(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"data")
    with objects.open_read(str(file)) as stream:
        (tmp_path / "backup").hardlink_to(file)
        assert stream.read() == b"data"
    objects.delete(str(file), version=stream.version)
    assert not file.exists()


# ── files: every moment of a move ─────────────────────────────────────────────────────────────────────────────


class Crashed(BaseException):
    """The process ended."""


@pytest.fixture
def at_call(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Return a function that runs an action before the Nth change of the file system by a move."""

    def schedule(number: int, action: Callable[[], None]) -> None:
        calls = count(1)

        def wrap(name: str) -> None:
            real = getattr(os, name)

            def call(*args: Any, **more: Any) -> Any:
                if threading.current_thread() is threading.main_thread() and next(calls) == number:
                    monkeypatch.undo()
                    action()
                return real(*args, **more)

            monkeypatch.setattr(os, name, call)

        for name in ("mkdir", "rename", "rmdir", "unlink", "fsync"):
            wrap(name)

    return schedule


@pytest.mark.parametrize("replace", [True, False], ids=["replaced", "rewritten"])
@pytest.mark.parametrize("number", range(1, 7))
def test_an_upload_at_any_moment_of_a_move_is_retained(
    objects: Storage, tmp_path: Path, at_call: Callable[[int, Callable[[], None]], None], number: int, replace: bool
) -> None:
    source, target = tmp_path / "received" / "x", tmp_path / "processed" / "x"
    put(objects, str(source), b"first")
    put(objects, str(tmp_path / "processed" / "other"), b"")
    _, version = read(objects, str(source))

    def upload() -> None:
        if replace:
            (source.parent / "upload.part").write_bytes(b"second")
            (source.parent / "upload.part").rename(source)
        else:
            source.write_bytes(b"second")

    at_call(number, upload)
    try:
        objects.move(str(source), str(target), version=version)
    except ObjectChanged:
        assert not target.exists()
    else:
        assert target.read_bytes() == b"first"
    assert [found.name for found in objects.list_objects(str(source.parent))] == ["x"]
    assert source.read_bytes() == b"second"
    assert list_names(source.parent) == ["x"]


@pytest.mark.parametrize("number", range(1, 7))
def test_a_crash_at_any_moment_of_a_move_loses_nothing(
    objects: Storage, tmp_path: Path, at_call: Callable[[int, Callable[[], None]], None], number: int
) -> None:
    source, target = tmp_path / "received" / "x", tmp_path / "processed" / "x"
    put(objects, str(source), b"data")
    put(objects, str(tmp_path / "processed" / "other"), b"")
    (listed,) = objects.list_objects(str(source.parent))
    pid = os.fork()
    if pid == 0:
        at_call(number, lambda: os._exit(9))
        objects.move(str(source), str(target), version=listed.version)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 9, f"the move has fewer than {number} steps"
    remaining: list[StoredObject] = objects.list_objects(str(source.parent))
    assert [found.name for found in remaining] == ([] if target.exists() else ["x"])
    objects.move(str(source), str(target), version=listed.version)
    assert target.read_bytes() == b"data"
    assert not [name for name in list_names(source.parent) if not name.startswith(taking.MOVING_PREFIX)]


def test_a_file_of_an_interrupted_move_waits_until_its_name_is_free(objects: Storage, tmp_path: Path) -> None:
    hidden = tmp_path / f"{taking.MOVING_PREFIX}1"
    hidden.mkdir()
    (hidden / "x").write_bytes(b"older")
    (tmp_path / "x").write_bytes(b"newer")
    (listed,) = objects.list_objects(str(tmp_path))
    objects.delete(listed.uri, version=listed.version)
    (restored,) = objects.list_objects(str(tmp_path))
    assert read(objects, restored.uri)[0] == b"older"
    assert list_names(tmp_path) == ["x"]


def test_a_listing_does_not_disturb_a_running_move(objects: Storage, tmp_path: Path) -> None:
    put(objects, str(tmp_path / "x"), b"data")
    version = read(objects, str(tmp_path / "x"))[1]
    with storage.folders.open_folder(tmp_path) as folder, taking.take(folder, tmp_path / "x", "x", version) as taken:
        assert objects.list_objects(str(tmp_path)) == []
        taken.delete()
    assert list_names(tmp_path) == []


def test_a_move_that_ends_during_a_listing_is_not_reported(
    objects: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = tmp_path / f"{taking.MOVING_PREFIX}1"
    hidden.mkdir()
    lock = taking.fcntl.flock

    def lock_after_the_end(descriptor: int, mode: int) -> None:
        hidden.rmdir()
        lock(descriptor, mode)

    monkeypatch.setattr(taking.fcntl, "flock", lock_after_the_end)
    assert objects.list_objects(str(tmp_path)) == []
    assert not caplog.records


def test_a_move_to_another_file_system_copies_the_version(
    objects: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(objects, str(tmp_path / "received" / "x"), b"data")
    real = os.rename

    def rename(source: str, target: str, **folders: Any) -> None:
        if target == "moved":
            raise OSError(18, "EXDEV")
        real(source, target, **folders)

    version = read(objects, str(tmp_path / "received" / "x"))[1]
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(storage.StorageError):  # the copy is renamed too
        objects.move(str(tmp_path / "received" / "x"), str(tmp_path / "processed" / "moved"), version=version)
    assert (tmp_path / "received" / "x").read_bytes() == b"data"
    assert list_names(tmp_path / "processed") == []

    def rename_one(source: str, target: str, **folders: Any) -> None:
        if target == "moved":
            monkeypatch.undo()
            raise OSError(18, "EXDEV")
        real(source, target, **folders)

    monkeypatch.setattr(os, "rename", rename_one)
    version = read(objects, str(tmp_path / "received" / "x"))[1]
    objects.move(str(tmp_path / "received" / "x"), str(tmp_path / "processed" / "moved"), version=version)
    assert (tmp_path / "processed" / "moved").read_bytes() == b"data"
    assert list_names(tmp_path / "received") == []


# ── quiet period ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_awaited_until_it_has_not_changed_for_the_period(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    with file.open("wb") as writer:
        stop = threading.Timer(0.3, writer.close)
        stop.start()
        objects.wait_until_quiet(str(file), 0.1)
        assert writer.closed
        stop.join()
    objects.wait_until_quiet(str(file), 0)
    objects.wait_until_quiet("s3://no-such-bucket/x", 60)


def test_a_file_that_never_rests_is_an_error(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    with file.open("wb"), pytest.raises(StillChanging, match="x is still being written"):
        objects.wait_until_quiet(str(file), 0.02)


# ── S3, whose conditions moto ignores ─────────────────────────────────────────────────────────────────────────

ERRORS = {
    404: ("NoSuchKey", "The specified key does not exist."),
    409: ("ConditionalRequestConflict", "Cannot operate due to a conflicting operation."),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
}


class Body:
    """The body of a response without a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._data


def respond(request: Any, status: int) -> AWSResponse:
    code, message = ERRORS[status]
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return AWSResponse(request.url, status, {"content-type": "application/xml", "x-amz-request-id": "1"}, Body(body))


def conform_to_aws(objects: Storage, before: Callable[[], None]) -> None:
    """Let the operations evaluate their conditions as S3 does (user guide, "How to perform conditional deletes").

    ``before`` runs between our own check and the request, when an upload is not noticed by the check.
    """
    client = objects._s3.client
    other = aws_session().client("s3")

    def evaluate(request: Any, **_: object) -> AWSResponse | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        condition = headers.get("x-amz-copy-source-if-match") or headers.get("if-match")
        if condition is None:
            raise AssertionError("the request has no condition")
        source = headers.get("x-amz-copy-source")
        path = source if source is not None else request.url.partition("://")[2].partition("/")[2]
        path = path.decode() if isinstance(path, bytes) else path
        bucket, _, key = path.lstrip("/").partition("/")
        before()
        try:
            etag = other.head_object(Bucket=bucket, Key=key)["ETag"]
        except other.exceptions.ClientError:
            return respond(request, 404)
        condition = condition.decode() if isinstance(condition, bytes) else condition
        return None if etag.strip('"') == condition.strip('"') else respond(request, 412)

    for operation in ("DeleteObject", "CopyObject"):
        client.meta.events.register(f"before-send.s3.{operation}", evaluate)


def test_s3_itself_refuses_to_copy_another_version(objects: Storage, bucket: str) -> None:
    source, target = f"s3://{bucket}/x", f"s3://{bucket}/moved"
    put(objects, source, b"first")
    _, version = read(objects, source)
    conform_to_aws(objects, lambda: put(storage.session(), source, b"second"))
    with pytest.raises(ObjectChanged):
        objects.move(source, target, version=version)
    assert read(objects, source)[0] == b"second"
    assert not objects.exists(target)


def test_s3_itself_refuses_to_delete_another_version(objects: Storage, bucket: str) -> None:
    source = f"s3://{bucket}/x"
    put(objects, source, b"first")
    _, version = read(objects, source)
    conform_to_aws(objects, lambda: put(storage.session(), source, b"second"))
    with pytest.raises(ObjectChanged):
        objects.delete(source, version=version)
    assert read(objects, source)[0] == b"second"


def test_an_object_deleted_by_another_process_counts_as_deleted(objects: Storage, bucket: str) -> None:
    source = f"s3://{bucket}/x"
    put(objects, source, b"first")
    _, version = read(objects, source)
    conform_to_aws(objects, lambda: storage.session().delete(source))
    objects.delete(source, version=version)


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_at_the_deletion_leaves_the_object(objects: Storage, bucket: str, status: int) -> None:
    source, target = f"s3://{bucket}/x", f"s3://{bucket}/moved"
    put(objects, source, b"first")
    _, version = read(objects, source)
    objects._s3.client.meta.events.register(
        "before-send.s3.DeleteObject", lambda request, **_: respond(request, status)
    )
    with pytest.raises(ObjectChanged):
        objects.move(source, target, version=version)
    assert read(objects, target)[0] == read(objects, source)[0] == b"first"


def test_a_large_object_is_copied_on_the_same_condition(
    objects: Storage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = f"s3://{bucket}/x", f"s3://{bucket}/moved"
    put(objects, source, b"x" * (9 << 20))
    version = objects.list_objects(f"s3://{bucket}")[0].version
    monkeypatch.setattr("nightferry.storage.s3._MAX_COPY_BYTES", 1)
    conditions = []

    def record(request: Any, **_: object) -> None:
        conditions.append(request.headers.get("x-amz-copy-source-if-match"))

    objects._s3.client.meta.events.register("before-send.s3.UploadPartCopy", record)
    objects.move(source, target, version=version)
    assert len(conditions) >= 2
    assert {(value.decode() if isinstance(value, bytes) else str(value)).strip('"') for value in conditions} == {
        version
    }
