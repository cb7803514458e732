"""Servers that differ from OpenSSH: attributes, names, drop boxes, failures of requests, and failures of sessions."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any

import paramiko
import pytest
from pydantic import SecretStr

from nightferry import Progress
from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import ProtocolViolated, RequestRejected, SftpFailed
from paidleave.operations.sftp.session import _translate_errors, open_session
from paidleave.operations.sftp.settings import SftpToolSettings
from paidleave.operations.sftp.transfers import get, put, rename
from paidleave.operations.sftp_tool import _list_folder
from tests.operations.odd_sftp_server import OddServer, connect, ssh_server
from tests.operations.sftp_server import make_key

DENIED = paramiko.SFTP_PERMISSION_DENIED
BLOCK = 32 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Create the server's folder."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Create an object in the bucket, larger than the requests that are in flight."""
    (tmp_path / "file").write_bytes(os.urandom(50 * BLOCK + 1))
    return tmp_path / "file"


def progress() -> Progress:
    return Progress("test", None, "bytes")


def send(client: Client, file: Path, name: str = "a", **options: Any) -> None:
    put(client, str(file), name, progress(), **{"replace": False, **options})


def receive(client: Client, target: Path, name: str = "a", **options: Any) -> bytes:
    get(client, name, str(target), progress(), **{"replace": False, **options})
    return target.read_bytes()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


ATTRIBUTES = ("st_size", "st_mode", "st_mtime", "st_uid")


@pytest.mark.parametrize("omitted", [*[(name,) for name in ATTRIBUTES], ATTRIBUTES], ids=" ".join)
def test_a_server_may_omit_each_attribute(
    root: Path, file: Path, tmp_path: Path, omitted: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with connect(root, omitted=omitted) as (client, _):
        send(client, file)
        send(client, file)
        assert receive(client, tmp_path / "back") == (root / "a").read_bytes() == file.read_bytes()
        _list_folder(client, ".")
    assert [line for line in caplog.messages if line.startswith(("put", "unch"))] == [f"put: {file}", "unchanged: a"]
    assert ("neither size nor time" in caplog.text) == (omitted == ATTRIBUTES)
    size = "?" if "st_size" in omitted else f"{file.stat().st_size:,}"
    assert f"{size:>15} B  " in caplog.messages[-1]
    assert ("               ? a" in caplog.messages[-1]) == ("st_mtime" in omitted)


def test_a_mode_may_lack_the_type_of_the_file(root: Path, tmp_path: Path) -> None:
    (root / "a").write_bytes(b"x")
    attributes = paramiko.SFTPAttributes()
    attributes.st_mode = 0o644
    with connect(root, stat=attributes) as (client, _):
        assert receive(client, tmp_path / "back") == b"x"


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 33 * BLOCK])
def test_a_server_may_return_less_than_requested(root: Path, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (root / "a").write_bytes(data)
    with connect(root, largest_read=10_000) as (client, _):
        assert receive(client, tmp_path / "back") == data


@pytest.mark.parametrize("omitted", [(), ("st_size",), ("st_mtime",)], ids=["both", "time", "size"])
def test_a_file_that_changes_while_it_is_read_is_not_taken(
    root: Path, tmp_path: Path, omitted: tuple[str, ...]
) -> None:
    (root / "a").write_bytes(bytes(100 * BLOCK))
    os.utime(root / "a", (1, 1))

    def change(_server: OddServer, kind: int, number: int) -> bool:
        if number == 40:
            with (root / "a").open("ab") as file:
                file.write(b"more")
        return True

    with (
        connect(root, omitted=omitted, before=change) as (client, _),
        pytest.raises(SftpFailed, match="a changed while"),
    ):
        receive(client, tmp_path / "back")
    assert list_names(tmp_path) == ["root"]


@pytest.mark.parametrize("text", [b"Datei nicht gefunden: M\xfcller", b"", b"\x1b[2J\n" + b"x" * 3000])
def test_texts_of_a_server_may_be_in_any_encoding_or_missing(root: Path, tmp_path: Path, text: bytes) -> None:
    with connect(root, text=text) as (client, _), pytest.raises(SftpFailed, match="File a not found on the server"):
        receive(client, tmp_path / "back")
    with connect(root, text=text, stat=paramiko.SFTP_FAILURE) as (client, _), pytest.raises(RequestRejected) as raised:
        client.describe("a")
    shown = {b"": "failure"}.get(text, "Datei nicht gefunden: M�ller" if text[:1] == b"D" else "[2J " + "x" * 196)
    assert str(raised.value) == shown


# Drop boxes.


def test_a_drop_box_that_permits_only_writing(root: Path, file: Path) -> None:
    box = dict.fromkeys(("stat", "lstat", "rename", "posix_rename", "list_folder", "remove"), DENIED)
    with connect(root, write_only=True, **box) as (client, folder):
        with pytest.raises(SftpFailed, match=r"does not permit access to a\. .* set READ_BACK=false"):
            send(client, file)
        with pytest.raises(SftpFailed, match=r"does not permit renaming .* set TEMPORARY_FILE=false"):
            send(client, file, "b", read_back=False)
        send(client, file, read_back=False, temporary_file=False)
        assert (root / "a").read_bytes() == file.read_bytes()
        folder.requests.clear()
        with pytest.raises(SftpFailed, match=r"The server could not write a\. It reported: Failure"):
            send(client, file, read_back=False, temporary_file=False)
        assert "remove" not in folder.requests  # the file is not ours
        with pytest.raises(SftpFailed, match="does not permit access to a"):
            rename(client, "a", "b")
        send(client, file, read_back=False, temporary_file=False, replace=True)
    assert (root / "a").read_bytes() == file.read_bytes()


def test_a_copy_that_cannot_be_read_back_is_removed(root: Path, file: Path) -> None:
    with connect(root, write_only=True) as (client, _):
        with pytest.raises(SftpFailed, match=r"cannot be read back: The server does not permit reading .*\.part\. If"):
            send(client, file)
        assert list_names(root) == []
        send(client, file, read_back=False)
    assert list_names(root) == ["a"]


def test_a_drop_box_that_takes_a_file_when_it_is_closed(root: Path, file: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with connect(root, taken=taken) as (client, _):
        with pytest.raises(
            SftpFailed, match=r"cannot be read back: File .*\.part not found on the server\. If the server"
        ):
            send(client, file)
        with pytest.raises(SftpFailed, match=r"could not rename .*\.part to a\. .* set TEMPORARY_FILE=false"):
            send(client, file, read_back=False)
        with pytest.raises(SftpFailed, match="a was sent, but cannot be read back"):
            send(client, file, "a", temporary_file=False)
        send(client, file, "b", temporary_file=False, read_back=False)
    assert (taken / "b").read_bytes() == file.read_bytes()
    assert list_names(root) == []


def test_a_file_under_its_own_name_replaces_nothing(root: Path, file: Path) -> None:
    (root / "a").write_bytes(b"theirs")
    with connect(root) as (client, _):
        for read_back in (True, False):
            with pytest.raises(SftpFailed, match="a already exists"):
                send(client, file, temporary_file=False, read_back=read_back)
    missing = paramiko.SFTP_NO_SUCH_FILE  # the file is created after the check
    with (
        connect(root, lstat=missing) as (client, _),
        pytest.raises(SftpFailed, match=r"could not write a\. It reported: Failure"),
    ):
        send(client, file, temporary_file=False)
    assert (root / "a").read_bytes() == b"theirs"


@pytest.mark.parametrize("reported", [None, 7])
def test_without_reading_back_the_size_is_compared_if_the_server_reports_it(
    root: Path, file: Path, reported: int | None
) -> None:
    attributes = paramiko.SFTPAttributes()
    attributes.st_size = reported
    with connect(root, stat=attributes) as (client, _):
        if reported is None:
            send(client, file, read_back=False)
        else:
            with pytest.raises(SftpFailed, match="has 7 bytes on the server, 1638401 were sent"):
                send(client, file, read_back=False)
    assert list_names(root) == ([] if reported else ["a"])


def test_a_server_without_atomic_replacement(root: Path, file: Path) -> None:
    (root / "a").write_bytes(b"old")
    with connect(root, posix_rename=paramiko.SFTP_OP_UNSUPPORTED) as (client, _):
        send(client, file, replace=True)
        send(client, file, "b", replace=True)
    assert list_names(root) == ["a", "b"]
    assert (root / "a").read_bytes() == file.read_bytes()


# Failures of requests.


@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize("missing", [1, BLOCK, 49 * BLOCK])
def test_a_full_server_is_reported_and_keeps_no_file(root: Path, file: Path, missing: int, read_back: bool) -> None:
    """The failure is that of the last write, of a write in flight, or of one of the first writes."""
    message = r"The server could not write .*\. It reported: Failure\. Ask its owner"
    capacity = file.stat().st_size - missing
    with connect(root, capacity=capacity) as (client, _), pytest.raises(SftpFailed, match=message):
        send(client, file, read_back=read_back)
    assert list_names(root) == []


def test_a_failure_of_the_close_is_reported(root: Path, file: Path) -> None:
    def fail(server: OddServer, kind: int, number: int) -> bool:
        if kind == 4:  # SSH_FXP_CLOSE
            server._send_status(number, 15, "")
        return kind != 4

    with connect(root, before=fail) as (client, _), pytest.raises(SftpFailed, match="the quota is exceeded"):
        send(client, file, read_back=False, temporary_file=False)
    assert list_names(root) == []


@pytest.mark.parametrize("stopped", [3, 5, 6, 17], ids=["open", "read", "write", "stat"])
@pytest.mark.parametrize("how", ["hang", "cut"])
def test_a_server_that_stops_ends_the_transfer(root: Path, file: Path, tmp_path: Path, stopped: int, how: str) -> None:
    def stop(server: OddServer, kind: int, number: int) -> bool:
        if kind == stopped and how == "cut":
            server.sock.close()
        return kind != stopped

    (root / "b").write_bytes(file.read_bytes())
    with connect(root, timeout=0.1, before=stop) as (client, _):
        transfer = (lambda: send(client, file)) if stopped == 6 else lambda: receive(client, tmp_path / "back", "b")
        with pytest.raises((TimeoutError, EOFError, OSError)):
            transfer()
    assert list_names(tmp_path) == ["file", "root"]
    assert "a" not in list_names(root)
    with connect(root) as (client, _):
        send(client, file)
    assert list_names(root) == ["a", "b"]


@pytest.mark.parametrize(
    "packet",
    [
        b"Welcome to this server\n",
        struct.pack(">IBI", 5, 2, 2),
        struct.pack(">IB", 1, 2),
        struct.pack(">IBI", 5, 101, 0),
        struct.pack(">I", 0),
        struct.pack(">I", 1 << 31),
    ],
)
def test_a_server_that_does_not_speak_sftp(packet: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.sendall(packet)
        with pytest.raises(ProtocolViolated):
            Client(ours)


# Failures of sessions.


@pytest.mark.parametrize("temporary_file", [True, False])
def test_a_lost_connection_reports_whether_the_file_may_be_incomplete(keys: Path, temporary_file: bool) -> None:
    given = make_settings(keys, 22, action="put", storage_path="/x", remote_path="a", temporary_file=temporary_file)
    with pytest.raises(SftpFailed) as raised, _translate_errors(given, "example.org, port 22"):
        raise EOFError
    advice = "No incomplete file has the target's name. Start the task again."
    if not temporary_file:
        advice = "The file on the server may be incomplete. Start the task again with REPLACE=true."
    assert str(raised.value) == f"The connection to example.org, port 22, was lost. {advice}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_on_this_side_is_not_blamed_on_the_server(keys: Path, number: int) -> None:
    message = f"Cannot write the copy on this machine: {os.strerror(number)}"
    with pytest.raises(SftpFailed, match=message), _translate_errors(make_settings(keys, 22), "example.org, port 22"):
        raise OSError(number, os.strerror(number))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_key(folder / "host", "ed25519")
    make_key(folder / "user", "ed25519")
    return folder


def make_settings(keys: Path, port: int, **changes: Any) -> SftpToolSettings:
    return SftpToolSettings(
        sftp_uri=f"sftp://user@127.0.0.1:{port}",
        sftp_host_key=(keys / "host.pub").read_text(),
        sftp_private_key=SecretStr((keys / "user").read_text()),
        **changes,
    )


def open_with(keys: Path, port: int, timeout: int = 5) -> str:
    with pytest.raises(SftpFailed) as raised, open_session(make_settings(keys, port, sftp_timeout=timeout)):
        raise AssertionError("the session was opened")
    return str(raised.value)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("password", "The server accepts no key from the user in SFTP_URI"),
        ("second factor", "The server requires more than a key"),
        ("locked", "The server closed the connection during the login"),
        ("no channel", "The server accepted the login, but no session: administratively prohibited"),
        ("closed", "The server accepted the login, and then closed the session"),
        ("no subsystem", "The server accepted the login, and then closed the session"),
        ("no sftp", "The server accepted the login, and then closed the session"),
        ("text", "127.0.0.1, port PORT, does not follow the SSH and SFTP protocols: it sent something else"),
        ("no answer", "127.0.0.1, port PORT, did not respond for 1 s (SFTP_TIMEOUT)"),
    ],
)
def test_a_session_that_fails_is_explained(keys: Path, failure: str, message: str) -> None:
    with ssh_server(paramiko.Ed25519Key.from_private_key_file(str(keys / "host")), failure) as port:
        found = open_with(keys, port, timeout=1 if failure == "no answer" else 5)
    assert found.startswith(message.replace("PORT", str(port)))
