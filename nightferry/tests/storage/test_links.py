"""Test that symbolic links are not listed, read, written through, moved or deleted, also if they appear at any time."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nightferry import Stopped, storage
from nightferry.storage import LinkRefused, Storage, StorageError
from nightferry.storage.folders import open_folder

pytestmark = pytest.mark.sampled(8)

SECRET = b"SECRET"
_CURRENT, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder outside of the bucket, with the files that a link could lead to."""
    folder = tmp_path / "outside"
    (folder / "below").mkdir(parents=True)
    (folder / "x").write_bytes(SECRET)
    (folder / "below" / "x").write_bytes(SECRET)
    return folder


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    (folder / "received").mkdir(parents=True)
    (folder / "received" / "real").write_bytes(b"real")
    return folder


@pytest.fixture
def objects() -> Storage:
    return storage.session()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(objects: Storage, path: Path) -> None:
    with objects.open_write(str(path)) as file:
        file.write(b"written")


OPERATIONS: dict[str, Callable[[Storage, Path, Path], object]] = {
    "read": lambda objects, path, _: objects.open_read(str(path)),
    "describe": lambda objects, path, _: objects.describe(str(path)),
    "exists": lambda objects, path, _: objects.exists(str(path)),
    "load": lambda objects, path, _: objects.load(str(path)),
    "write": lambda objects, path, _: write(objects, path),
    "write to folder": lambda objects, path, _: objects.open_folder(str(path.parent)).write(path.name, [b"written"]),
    "store": lambda objects, path, _: objects.store(str(path), b"stored", expected=None),
    "delete": lambda objects, path, _: objects.delete(str(path)),
    "delete version": lambda objects, path, _: objects.delete(str(path), version="any"),
    "copy from": lambda objects, path, real: objects.copy(str(path), str(real.with_name("copy"))),
    "copy to": lambda objects, path, real: objects.copy(str(real), str(path)),
    "move from": lambda objects, path, real: objects.move(str(path), str(real.with_name("moved")), version="any"),
    "move to": lambda objects, path, real: objects.move(
        str(real), str(path), version=getattr(objects.describe(str(real)), "version", "")
    ),
    "wait": lambda objects, path, _: objects.wait_until_quiet(str(path), 0),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("place", ["file", "dangling", "folder", "folder above"])
def test_no_operation_follows_a_link(objects: Storage, bucket: Path, outside: Path, operation: str, place: str) -> None:
    match place:
        case "file":
            path = bucket / "received" / "x"
            path.symlink_to(outside / "x")
        case "dangling":
            path = bucket / "received" / "x"
            path.symlink_to(outside / "new")
        case "folder":
            path = bucket / "processed" / "x"
            path.parent.symlink_to(outside)
        case _:
            path = bucket / "processed" / "below" / "x"
            path.parent.parent.symlink_to(outside)
    before = sorted(str(file) for file in outside.rglob("*"))
    with pytest.raises(LinkRefused, match=r"is a symbolic link, which is not followed\. Replace it"):
        OPERATIONS[operation](objects, path, bucket / "received" / "real")
    assert sorted(str(file) for file in outside.rglob("*")) == before
    assert {(outside / "x").read_bytes(), (outside / "below" / "x").read_bytes()} == {SECRET}
    assert (bucket / "received" / "real").read_bytes() == b"real"
    visible = [name for name in list_names(bucket / "received") if not name.startswith(storage.HIDDEN_PREFIX)]
    assert visible == (["real", "x"] if path.parent.name == "received" else ["real"])


def test_a_listing_reports_links_and_leaves_them_out(
    objects: Storage, bucket: Path, outside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bucket / "received" / "x").symlink_to(outside / "x")
    (bucket / "received" / "folder").symlink_to(outside)
    with caplog.at_level(logging.WARNING):
        assert [found.name for found in objects.list_objects(str(bucket / "received"))] == ["real"]
    assert sorted(record.getMessage().partition(" in ")[0] for record in caplog.records) == ["folder", "x"]
    assert "is a symbolic link. Replace it" in caplog.text
    assert [found.name for found in objects.walk(str(bucket))] == ["received/real"]
    with pytest.raises(LinkRefused, match="received/folder is a symbolic link"):
        objects.list_objects(str(bucket / "received" / "folder"))
    with pytest.raises(LinkRefused):
        list(objects.walk(str(bucket / "received" / "folder")))


def test_a_named_pipe_is_not_an_object(objects: Storage, bucket: Path) -> None:
    os.mkfifo(bucket / "received" / "pipe")
    assert [found.name for found in objects.list_objects(str(bucket / "received"))] == ["real"]
    with pytest.raises(storage.ObjectNotFound):
        objects.open_read(str(bucket / "received" / "pipe"))


def test_a_folder_that_becomes_a_link_during_an_operation_is_not_followed(
    objects: Storage, bucket: Path, outside: Path
) -> None:
    """A thread swaps the folder for a link and back, while objects are listed, read, written and moved."""
    folder, link = bucket / "received", bucket / "link"
    exchange = ctypes.CDLL(None).renameat2
    link.symlink_to(outside)
    (outside / "real").write_bytes(SECRET)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            assert exchange(_CURRENT, bytes(folder), _CURRENT, bytes(link), _EXCHANGE) == 0

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(100):
            with suppress(StorageError):
                assert {found.size for found in objects.walk(str(bucket))} <= {4, 7}
            with suppress(StorageError), objects.open_read(str(folder / "real")) as stream:
                assert stream.read() == b"real"
            with suppress(StorageError):
                write(objects, folder / f"new {number % 3}")
            with suppress(StorageError):
                version = getattr(objects.describe(str(folder / "real")), "version", "")
                objects.move(str(folder / "real"), str(bucket / "processed" / "real"), version=version)
            with suppress(StorageError):
                version = getattr(objects.describe(str(bucket / "processed" / "real")), "version", "")
                objects.move(str(bucket / "processed" / "real"), str(folder / "real"), version=version)
            with suppress(StorageError):
                objects.delete(str(folder / "x"))
    finally:
        ended.set()
        thread.join()
    assert list_names(outside) == ["below", "real", "x"]
    assert (outside / "real").read_bytes() == (outside / "x").read_bytes() == SECRET


def test_a_stop_between_two_folders_closes_no_descriptor_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close, closed = os.close, []

    def close_and_stop(descriptor: int) -> None:
        closed.append(descriptor)
        close(descriptor)
        if len(closed) == 1:
            raise Stopped

    monkeypatch.setattr(os, "close", close_and_stop)
    with pytest.raises(Stopped), open_folder(tmp_path):
        raise AssertionError("the stop must end the search")
    assert len(closed) == len(set(closed)) == 2
