"""Test that folders and S3 behave alike: complete writes, repeatable moves, and no access outside a folder."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightferry import storage
from nightferry.credentials import aws_session
from nightferry.storage import InvalidLocation, NotAllowed, ObjectChanged, ObjectNotFound, Storage, StorageError
from nightferry.terraform.grants import _OBJECT_ACTIONS
from nightferry.testing.iam.account import EnforcedAccount

PART = 8 << 20


@pytest.fixture
def bucket(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a bucket and return its name."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    name = f"test-{uuid4().hex}"
    aws_session().client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["path", "file", "s3", "s3 with the rights of a task"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "path":
            return str(tmp_path / "a b")
        case "file":
            return (tmp_path / "a b").as_uri()
        case "s3":
            return f"s3://{request.getfixturevalue('bucket')}/a b"
    return f"s3://{request.getfixturevalue('prefix_bucket')}/a b"


@pytest.fixture
def prefix_bucket(bucket: str, aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a bucket of which the process may use and list one prefix, like a task with a grant.

    S3 and the server return 403 for a missing object to this role. The object's listing is what reports it as missing.
    """
    account = EnforcedAccount(aws_server, "us-east-1")
    arn = f"arn:aws:s3:::{bucket}"
    prefix = {"StringLike": {"s3:prefix": ["a b/*"]}}
    actions = [action for access in _OBJECT_ACTIONS.values() for action in access]
    statements = [
        {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": prefix},
        {"Sid": "Use", "Effect": "Allow", "Action": actions, "Resource": f"{arn}/a b/*"},
    ]
    role = account.administer("iam").create_role(RoleName=bucket[:60], AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    account.administer("iam").put_role_policy(RoleName=bucket[:60], PolicyName="task", PolicyDocument=document)
    account.enforce()
    for name, value in account.variables(role).items():
        monkeypatch.setenv(name, value)
    yield bucket
    monkeypatch.undo()
    account.enforce(False)


def test_a_task_lists_only_its_prefix(objects: Storage, prefix_bucket: str) -> None:
    assert names(objects, f"s3://{prefix_bucket}/a b") == []
    for denied in ("", "/a", "/b"):
        with pytest.raises(NotAllowed):
            objects.list_objects(f"s3://{prefix_bucket}{denied}/")
    with pytest.raises(NotAllowed):  # not even whether an object exists
        objects.exists(f"s3://{prefix_bucket}/b/x")


def test_an_object_that_disappears_during_a_read_is_reported(
    objects: Storage, prefix_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(objects, f"s3://{prefix_bucket}/a b/large", b"x" * (3 << 20))
    with objects.open_read(uri) as file:
        assert len(file.read(10)) == 10
        objects.delete(uri)
        file.raw._close_body()  # type: ignore[attr-defined]  # the connection breaks
        with pytest.raises(ObjectChanged, match="replaced or removed"):
            file.read()


def test_an_object_that_appears_after_a_refusal_is_found(objects: Storage, prefix_bucket: str) -> None:
    """Another process may create an object, such as a lease, between the request for it and the listing."""
    uri = f"s3://{prefix_bucket}/a b/late"
    client = objects._s3.client

    def create(**_: object) -> None:
        client.meta.events.unregister("before-call.s3.ListObjectsV2", create)
        put(objects, uri, b"data")

    client.meta.events.register("before-call.s3.ListObjectsV2", create)
    loaded = objects.load(uri)
    assert loaded is not None
    assert loaded[0] == b"data"


def test_a_refusal_of_an_existing_object_stays_a_refusal(objects: Storage, prefix_bucket: str) -> None:
    uri = put(objects, f"s3://{prefix_bucket}/a b/x", b"data")
    with pytest.raises(NotAllowed, match="CopyObject"):
        objects.copy(uri, f"s3://{prefix_bucket}/b/x")


@pytest.fixture
def objects() -> Storage:
    return storage.session()


def put(objects: Storage, uri: str, data: bytes) -> str:
    with objects.open_write(uri) as file:
        file.write(data)
    return uri


def get(objects: Storage, uri: str) -> bytes:
    with objects.open_read(uri) as file:
        return file.read()


def move(objects: Storage, source: str, target: str) -> None:
    found = objects.describe(source)
    objects.move(source, target, version=found.version if found else "gone")


def names(objects: Storage, folder: str) -> list[str]:
    return [found.name for found in objects.list_objects(folder)]


def test_a_written_object_can_be_read(objects: Storage, folder: str) -> None:
    for size in (0, 1, 100_000, PART, 2 * PART + 1):
        data = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
        assert get(objects, put(objects, storage.join(folder, "object"), data)) == data


def test_a_stream_can_be_read_in_pieces(objects: Storage, folder: str) -> None:
    uri = put(objects, storage.join(folder, "lines"), b"one\ntwo\nthree")
    with objects.open_read(uri) as file:
        assert file.readline() == b"one\n"
        assert file.read(2) == b"tw"
        assert list(file) == [b"o\n", b"three"]


def test_an_object_is_stored_in_one_part(objects: Storage, folder: str) -> None:
    data = b"0123456789" * 2_000_000
    with objects.open_write(storage.join(folder, "one"), single_part=True) as file:
        file.write(data[:5])
        file.write(data[5:])
    assert get(objects, storage.join(folder, "one")) == data
    if folder.startswith("s3:"):
        assert "-" not in objects.list_objects(folder)[0].version  # S3 marks multipart objects with a dash


@pytest.mark.sampled(4)
@pytest.mark.parametrize("single_part", [False, True])
@pytest.mark.parametrize("size", [10, 2 * PART + 1])
def test_an_exception_discards_the_new_object(objects: Storage, folder: str, size: int, single_part: bool) -> None:
    uri = put(objects, storage.join(folder, "object"), b"before")

    def fail() -> None:
        with objects.open_write(uri, single_part=single_part) as file:
            file.write(b"x" * size)
            assert get(objects, uri) == b"before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert get(objects, uri) == b"before"
    assert names(objects, folder) == ["object"]
    if folder.startswith("s3:"):
        account = EnforcedAccount(os.environ["AWS_ENDPOINT_URL"], "us-east-1")
        account.enforce(False)
        uploads = aws_session().client("s3").list_multipart_uploads(Bucket=folder.split("/")[2])
        assert "Uploads" not in uploads


def test_a_new_object_is_not_visible_before_its_end(objects: Storage, folder: str) -> None:
    with objects.open_write(storage.join(folder, "object")) as file:
        file.write(b"x" * (PART + 1))
        assert not objects.exists(storage.join(folder, "object"))
        assert names(objects, folder) == []
    assert names(objects, folder) == ["object"]


def test_a_folder_writer_writes_complete_objects_only(objects: Storage, folder: str) -> None:
    writer = objects.open_folder(storage.join(folder, "a", "b"))
    large = b"y" * (PART + 1)

    def give_chunks(*chunks: bytes) -> Iterator[bytes]:
        for chunk in chunks:
            assert names(objects, storage.join(folder, "a", "b")) == ["one"]
            yield chunk
        raise KeyboardInterrupt

    writer.write("one", [b"1"])
    with pytest.raises(KeyboardInterrupt):
        writer.write("two", give_chunks(b"x", large))
    with pytest.raises(KeyboardInterrupt):
        writer.write("one", give_chunks(b"x"))
    assert [found.name for found in objects.walk(folder)] == ["a/b/one"]
    assert get(objects, storage.join(folder, "a", "b", "one")) == b"1"
    writer.write("one", [b"x", large, b"", b"z"])
    assert get(objects, storage.join(folder, "a", "b", "one")) == b"x" + large + b"z"


def test_a_folder_writer_writes_several_objects_at_once(objects: Storage, folder: str) -> None:
    writer = objects.open_folder(folder)

    def give_chunks(number: int) -> Iterator[bytes]:
        yield b"%d" % number
        if number:
            writer.write(str(number - 1), give_chunks(number - 1))
        yield b" of 3"

    for _ in range(2):
        writer.write("2", give_chunks(2))
    assert {name: get(objects, storage.join(folder, name)) for name in names(objects, folder)} == {
        "0": b"0 of 3",
        "1": b"1 of 3",
        "2": b"2 of 3",
    }
    assert sum(1 for _ in objects.walk(folder)) == 3


def test_a_text_wrapper_may_close_the_stream(objects: Storage, folder: str) -> None:
    with objects.open_write(storage.join(folder, "text")) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
        text.write("größer")
    assert get(objects, storage.join(folder, "text")) == "größer".encode()


def test_a_listing_has_the_direct_children_by_name(objects: Storage, folder: str) -> None:
    for name in ("b", "a ä+%20&", "sub/c", "B", "sub/deeper/d"):
        put(objects, storage.join(folder, *name.split("/")), b"xyz")
    found = objects.list_objects(folder)
    assert [one.name for one in found] == ["B", "a ä+%20&", "b"]
    assert objects.list_objects(folder + "/") == found
    for one in found:
        assert one.size == 3
        assert one.modified.tzinfo is not None
        assert get(objects, one.uri) == b"xyz"
        assert storage.name(one.uri) == one.name
    assert names(objects, storage.join(folder, "sub")) == ["c"]


def test_a_folder_placeholder_is_not_listed(objects: Storage, bucket: str) -> None:
    client = aws_session().client("s3")
    client.put_object(Bucket=bucket, Key="folder/", Body=b"")
    client.put_object(Bucket=bucket, Key="folder/x", Body=b"")
    assert names(objects, f"s3://{bucket}/folder") == ["x"]


def test_a_missing_folder_is_empty(objects: Storage, folder: str) -> None:
    assert objects.list_objects(storage.join(folder, "nowhere")) == []


def test_a_version_changes_with_the_content(objects: Storage, folder: str) -> None:
    uri = storage.join(folder, "object")
    versions = set()
    for data in (b"one", b"two", b"longer"):
        put(objects, uri, data)
        versions.add(objects.list_objects(folder)[0].version)
        assert objects.list_objects(folder)[0].version in versions
    assert len(versions) == 3


def test_a_missing_object_is_reported(objects: Storage, folder: str) -> None:
    missing = storage.join(folder, "nothing")
    assert not objects.exists(missing)
    with pytest.raises(ObjectNotFound, match="nothing"):
        objects.open_read(missing)
    with pytest.raises(ObjectNotFound, match="nothing"):
        objects.copy(missing, storage.join(folder, "x"))
    with pytest.raises(ObjectNotFound, match="nothing"):
        objects.move(missing, storage.join(folder, "x"), version="any")
    objects.delete(missing)


def test_moving_can_be_repeated_after_a_crash_at_any_point(objects: Storage, folder: str) -> None:
    source, target = storage.join(folder, "received", "f"), storage.join(folder, "processed", "f")
    put(objects, source, b"data")
    objects.copy(source, target)  # crashed between copying and deleting
    assert objects.exists(source)
    move(objects, source, target)
    move(objects, source, target)  # was done before
    assert not objects.exists(source)
    assert get(objects, target) == b"data"


def test_moving_replaces_the_target(objects: Storage, folder: str) -> None:
    source, target = (put(objects, storage.join(folder, name), name.encode()) for name in ("new", "old"))
    move(objects, source, target)
    assert get(objects, target) == b"new"
    assert names(objects, folder) == ["old"]


def test_moving_an_object_to_itself_retains_it(objects: Storage, folder: str) -> None:
    uri = put(objects, storage.join(folder, "x"), b"data")
    move(objects, uri, uri)
    assert get(objects, uri) == b"data"


def test_moving_and_copying_between_a_folder_and_s3(objects: Storage, bucket: str, tmp_path: Path) -> None:
    local, remote = str(tmp_path / "f"), f"s3://{bucket}/f"
    put(objects, local, b"data")
    move(objects, local, remote)
    move(objects, local, remote)
    assert (objects.exists(local), get(objects, remote)) == (False, b"data")
    objects.copy(remote, local)
    assert get(objects, local) == b"data"


def test_a_conditional_store_detects_changes(objects: Storage, folder: str) -> None:
    uri = storage.join(folder, "small")
    assert objects.load(uri) is None
    assert not objects.store(uri, b"x", expected="5")
    assert objects.store(uri, b"one", expected=None)
    assert not objects.store(uri, b"x", expected=None)
    loaded = objects.load(uri)
    assert loaded is not None
    assert loaded[0] == b"one"
    assert objects.store(uri, b"two", expected=loaded[1])
    assert not objects.store(uri, b"x", expected=loaded[1])
    assert get(objects, uri) == b"two"
    assert names(objects, folder) == ["small"]


@pytest.mark.parametrize(
    "uri",
    [
        *("relative/path", "", "s3://", "s3:///key", "ftp://host/x", "http://host/x", "file://host/x", "/a\0b"),
        *("/a/../b", "/a/./b", "s3://bucket/a/../b", "file:///a/%2E%2E/b", "file:///a?b"),
    ],
)
def test_an_invalid_location_is_refused(objects: Storage, uri: str) -> None:
    with pytest.raises(InvalidLocation):
        objects.open_read(uri)


@pytest.mark.parametrize("part", ["..", "../x", "a/../../x", "/x", "", "a\0b", "."])
def test_a_name_cannot_lead_out_of_its_folder(objects: Storage, tmp_path: Path, part: str) -> None:
    for folder in ("/folder", "file:///folder", "s3://bucket/folder"):
        with pytest.raises(InvalidLocation):
            storage.join(folder, part)
    for folder in (str(tmp_path / "folder"), (tmp_path / "folder").as_uri(), "s3://bucket/folder"):
        with pytest.raises(InvalidLocation):
            objects.open_folder(folder).write(part, [b"x"])
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(lambda n: n not in (".", ".."))
)
def test_every_other_name_is_preserved(name: str) -> None:
    for folder in ("/folder", "file:///folder/a%20b", "s3://bucket/folder"):
        assert storage.name(storage.join(folder, name)) == name


def test_an_invalid_folder_is_reported(objects: Storage, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StorageError, match="file/x"), objects.open_write(str(file / "x")):
        pass


def test_a_missing_bucket_is_reported(objects: Storage, bucket: str) -> None:
    with pytest.raises(ObjectNotFound, match="no-such-bucket"):
        objects.list_objects("s3://no-such-bucket/folder")
    with pytest.raises(ObjectNotFound, match="no-such-bucket"), objects.open_write("s3://no-such-bucket/x") as file:
        file.write(b"x")


def test_missing_credentials_are_reported(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NotAllowed, match="credentials"):
        storage.session().list_objects(f"s3://{bucket}/x")


def test_threads_can_share_a_storage(objects: Storage, folder: str) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            put(objects, storage.join(folder, f"{number}"), b"x")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(objects.list_objects(folder)) == 8


def test_a_move_onto_another_name_of_the_same_file_removes_the_source(objects: Storage, tmp_path: Path) -> None:
    put(objects, f"{tmp_path}/processed/a", b"content")
    (tmp_path / "received").mkdir()
    (tmp_path / "received" / "a").hardlink_to(tmp_path / "processed" / "a")
    move(objects, f"{tmp_path}/received/a", f"{tmp_path}/processed/a")
    assert names(objects, f"{tmp_path}/received") == []
    assert get(objects, f"{tmp_path}/processed/a") == b"content"
