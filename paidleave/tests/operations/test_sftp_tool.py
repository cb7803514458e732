"""``sftp-tool`` against a real OpenSSH server: complete files only, nothing replaced, and only the pinned server."""

from __future__ import annotations

import getpass
import hashlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import SecretStr, ValidationError

from nightferry import BadSettings, Progress, Stopped
from nightferry.job.command_line import load_settings
from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import SftpFailed
from paidleave.operations.sftp.session import open_session
from paidleave.operations.sftp.settings import SftpToolSettings, split_uri
from paidleave.operations.sftp.transfers import get, put, rename
from paidleave.operations.sftp_tool import resolve_remote_path, resolve_storage_path
from tests.operations.sftp_server import PASSPHRASE, SSHD, SftpServer, make_key, sftp_server
from tests.task_process import run, start, wait_for

pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="sshd not found: apt-get install openssh-server"),
    pytest.mark.sampled(8),
]

LARGE_BYTES = 24_000_000  # large enough to interrupt a transfer before it ends


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Create a folder on the server."""
    (tmp_path / "remote").mkdir()
    return tmp_path / "remote"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket"


def variables(server: SftpServer, **changes: str) -> dict[str, str]:
    return {
        "SFTP_URI": server.uri,
        "SFTP_HOST_KEY": server.host_key("ed25519"),
        "SFTP_PRIVATE_KEY": server.private_key("user_ed25519"),
        **changes,
    }


def settings(server: SftpServer, **changes: Any) -> SftpToolSettings:
    given = {name.lower(): value for name, value in variables(server).items()}
    return SftpToolSettings(**(given | changes))


def transfer(server: SftpServer, action: Callable[..., None], *paths: str, **options: Any) -> None:
    """Run an action in this process, which is faster than a new process."""
    with open_session(settings(server)) as client:
        if action is rename:
            rename(client, *paths)
        else:
            action(client, *paths, Progress("test", None, "bytes"), **({"replace": False} | options))


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())  # includes hidden files


def test_all_actions_as_processes(server: SftpServer, remote: Path, bucket: Path) -> None:
    (bucket / "file.csv").write_bytes(os.urandom(3_000_001))
    result = run(
        "operations.sftp_tool",
        **variables(server, ACTION="put", STORAGE_PATH=str(bucket / "file.csv"), REMOTE_PATH=f"{remote}/"),
    )
    assert result.code == 0, result.text
    assert list_names(remote) == ["file.csv"]
    event = result.event("sftp_put")
    assert event["bytes"] == 3_000_001
    assert hashlib.sha256((remote / "file.csv").read_bytes()).hexdigest() == event["sha256"]
    listed = run("operations.sftp_tool", **variables(server, REMOTE_PATH=str(remote)))
    assert listed.code == 0, listed.text
    beginning = f"folder {remote} has 1 entry\n      3,000,001 B  20"
    assert any(line["message"].startswith(beginning) for line in listed.lines)
    got = run(
        "operations.sftp_tool",
        **variables(server, ACTION="get", REMOTE_PATH=f"{remote}/file.csv", STORAGE_PATH=f"{bucket}/back/"),
    )
    assert got.code == 0, got.text
    assert (bucket / "back/file.csv").read_bytes() == (bucket / "file.csv").read_bytes()
    renamed = run(
        "operations.sftp_tool",
        **variables(server, ACTION="rename", REMOTE_PATH=f"{remote}/file.csv", NEW_PATH=f"{remote}/done.csv"),
    )
    assert renamed.code == 0, renamed.text
    assert list_names(remote) == ["done.csv"]
    for text in (result.text, listed.text, got.text, renamed.text):
        assert "PRIVATE KEY" not in text


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, 64 * 32_768, 64 * 32_768 + 1])
def test_files_of_every_size(server: SftpServer, remote: Path, bucket: Path, size: int) -> None:
    data = os.urandom(size)
    (bucket / "a").write_bytes(data)
    transfer(server, put, str(bucket / "a"), f"{remote}/b")
    transfer(server, get, f"{remote}/b", str(bucket / "c"))
    assert (remote / "b").read_bytes() == (bucket / "c").read_bytes() == data
    assert list_names(remote) == ["b"]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_type_of_key(server: SftpServer, remote: Path, kind: str) -> None:
    given = settings(
        server, sftp_host_key=server.host_key(kind), sftp_private_key=SecretStr(server.private_key(f"user_{kind}"))
    )
    with open_session(given) as client:
        assert list(client.list_folder(str(remote))) == []


def test_a_key_with_a_passphrase(server: SftpServer, remote: Path) -> None:
    key = SecretStr(server.private_key("user_passphrase"))
    with open_session(
        settings(server, sftp_private_key=key, sftp_private_key_passphrase=SecretStr(PASSPHRASE))
    ) as client:
        assert list(client.list_folder(str(remote))) == []


def get_session_error(given: SftpToolSettings) -> str:
    with pytest.raises(SftpFailed) as raised, open_session(given):
        raise AssertionError("the session was opened")
    return str(raised.value)


def test_unusable_private_keys(server: SftpServer, tmp_path: Path) -> None:
    encrypted = SecretStr(server.private_key("user_passphrase"))
    assert "Set SFTP_PRIVATE_KEY_PASSPHRASE" in get_session_error(settings(server, sftp_private_key=encrypted))
    wrong = settings(server, sftp_private_key=encrypted, sftp_private_key_passphrase=SecretStr("wrong"))
    assert "SFTP_PRIVATE_KEY_PASSPHRASE is not its passphrase" in get_session_error(wrong)
    invalid = settings(server, sftp_private_key=SecretStr("rubbish"))
    assert "SFTP_PRIVATE_KEY is not a private key" in get_session_error(invalid)
    stranger = settings(server, sftp_private_key=SecretStr(server.private_key("stranger")))
    assert "rejected the user in SFTP_URI" in get_session_error(stranger)


def test_nothing_is_sent_to_a_server_with_another_host_key(server: SftpServer, tmp_path: Path) -> None:
    make_key(tmp_path / "other", "ed25519")
    message = get_session_error(settings(server, sftp_host_key=(tmp_path / "other.pub").read_text()))
    expected = "The server's host key does not match SFTP_HOST_KEY: the server presented ssh-ed25519 SHA256:"
    assert message.startswith(expected)
    assert "Nothing was sent" in message
    both = (tmp_path / "other.pub").read_text() + server.host_key("ed25519")  # as during a key change
    with open_session(settings(server, sftp_host_key=both)):
        pass


def test_a_host_key_of_a_type_that_the_server_does_not_have(server: SftpServer, tmp_path: Path) -> None:
    make_key(tmp_path / "other", "ecdsa")
    line = (tmp_path / "other.pub").read_text().replace("nistp256", "nistp384")
    assert "is not a public key" in get_session_error(settings(server, sftp_host_key=line))
    make = ["-b", "384"]
    os.spawnlp(os.P_WAIT, "ssh-keygen", "ssh-keygen", "-q", "-t", "ecdsa", *make, "-N", "", "-f", str(tmp_path / "big"))
    message = get_session_error(settings(server, sftp_host_key=(tmp_path / "big.pub").read_text()))
    assert "no host key of the type in SFTP_HOST_KEY (ecdsa-sha2-nistp384)" in message


@pytest.mark.parametrize("option", ["-T2", "-H"])
def test_host_keys_as_ssh_keyscan_prints_them(server: SftpServer, option: str) -> None:
    command = ["ssh-keyscan", option, "-p", str(server.port), "127.0.0.1"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert len(lines.splitlines()) == 3
    with open_session(settings(server, sftp_host_key=lines)):
        pass


def test_nothing_is_sent_to_a_server_with_a_revoked_host_key(server: SftpServer) -> None:
    revoked = f"@revoked * {server.host_key('ed25519')}"
    message = get_session_error(settings(server, sftp_host_key=server.host_key("ed25519") + revoked))
    assert message.startswith("SFTP_HOST_KEY contains no key of 127.0.0.1, port ")
    with open_session(settings(server, sftp_host_key=revoked + server.host_key("rsa"))):
        pass


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address(server: SftpServer) -> None:
    uri = f"sftp://{getpass.getuser()}@[::1]:{server.port}"
    with open_session(settings(server, sftp_uri=uri, sftp_host_key=f"[::1]:{server.port} {server.host_key('rsa')}")):
        pass


@pytest.mark.parametrize("algorithm", ["RSA", "EC", "ED25519"])
def test_an_encrypted_pkcs_8_key_logs_in(server: SftpServer, remote: Path, algorithm: str) -> None:
    curve = ["-pkeyopt", "ec_paramgen_curve:P-384"] if algorithm == "EC" else []
    make = ["openssl", "genpkey", "-algorithm", algorithm, *curve, "-aes-256-cbc", "-pass", f"pass:{PASSPHRASE}"]
    text = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    assert text.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    public = load_pem_private_key(text.encode(), PASSPHRASE.encode()).public_key()
    with (server.keys / "authorized").open("ab") as file:
        file.write(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    given = {"sftp_private_key": SecretStr(text), "sftp_private_key_passphrase": SecretStr(PASSPHRASE)}
    with open_session(settings(server, **given)) as client:
        assert list(client.list_folder(str(remote))) == []


def test_names_that_are_not_utf_8(server: SftpServer, remote: Path, bucket: Path) -> None:
    (remote / os.fsdecode("Müller.csv".encode("latin-1"))).write_bytes(b"x")
    listed = run("operations.sftp_tool", **variables(server, REMOTE_PATH=str(remote)))
    assert listed.code == 0, listed.text
    assert any("M\\xfcller.csv" in line["message"] for line in listed.lines)
    assert "1 names are not in SFTP_NAME_ENCODING" in listed.text
    given = variables(server, SFTP_NAME_ENCODING="latin-1", REMOTE_PATH=f"{remote}/Müller.csv")
    got = run("operations.sftp_tool", **given, ACTION="get", STORAGE_PATH=f"{bucket}/")
    assert got.code == 0, got.text
    assert list_names(bucket) == ["Müller.csv"]
    renamed = run("operations.sftp_tool", **given, ACTION="rename", NEW_PATH=f"{remote}/Zoë.csv")
    assert renamed.code == 0, renamed.text
    assert os.listdir(os.fsencode(remote)) == ["Zoë.csv".encode("latin-1")]  # noqa: PTH208  # bytes
    other = run("operations.sftp_tool", **given, ACTION="rename", NEW_PATH=f"{remote}/Łódź.csv")
    assert other.code == 1
    assert "contains characters that do not exist in latin-1 (SFTP_NAME_ENCODING)" in other.errors[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"sftp_uri": "example.org"},
        {"sftp_name_encoding": "utf-16"},
        {"sftp_name_encoding": "idna"},
        {"sftp_name_encoding": "none"},
        {"action": "delete"},
        {"action": "get", "remote_path": "a"},
        {"action": "get", "remote_path": "a/", "storage_path": "/b"},
        {"action": "get", "remote_path": "../a", "storage_path": "/b"},
        {"action": "get", "remote_path": "a\nb", "storage_path": "/b"},
        {"action": "put", "storage_path": "/b"},
        {"action": "rename", "remote_path": "a", "new_path": "x/../../b"},
    ],
)
def test_invalid_settings_are_refused(server: SftpServer, changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(server, **changes)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("sftp://user@example.org", ("user", "example.org", 22)),
        ("SFTP://user@Example.org:2222/", ("user", "example.org", 2222)),
        ("sftp://user@ssh-rsa.example.org", ("user", "ssh-rsa.example.org", 22)),
        ("sftp://user@[2001:db8::1]", ("user", "2001:db8::1", 22)),
        ("sftp://user@[::1]:65535", ("user", "::1", 65535)),
        ("sftp://me%40example.com@example.org", ("me@example.com", "example.org", 22)),
        ("sftp://DOMAIN\\user@example.org", ("DOMAIN\\user", "example.org", 22)),
    ],
)
def test_the_parts_of_a_uri(uri: str, parts: tuple[str, str, int]) -> None:
    assert split_uri(uri) == parts


INVALID = "set it to sftp://USER@HOST or sftp://USER@HOST:PORT"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("example.org", INVALID),
        ("sftp://example.org", INVALID),
        ("sftp://@example.org", INVALID),
        ("sftp://user@", INVALID),
        ("sftp://user@:22", INVALID),
        ("https://user@example.org", INVALID),
        ("sftp://user@example.org:0", INVALID),
        ("sftp://user@example.org:99999", INVALID),
        ("sftp://user@example.org:ssh", INVALID),
        ("sftp://user@2001:db8::1", INVALID),
        ("sftp://user@[2001:db8::1", INVALID),
        ("sftp://user@[example.org]", INVALID),
        ("sftp://user@example.org/folder", INVALID),
        ("sftp://user@example.org?a=b", INVALID),
        ("sftp://user@exam\nple.org", INVALID),
        ("sftp://us er@example.org", INVALID),
        ("sftp://a@b@example.org", INVALID),
        ("sftp://user:hunter2-hunter2@example.org", "it contains a password, but only keys are supported"),
        ("sftp://user:hunter2-hunter2@example.org:99999", INVALID),
    ],
)
def test_an_invalid_uri_is_explained_but_not_shown(uri: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadSettings) as raised:
        load_settings("sftp-tool", SftpToolSettings, [f"--sftp-uri={uri}"])
    (line,) = [line for line in str(raised.value).splitlines() if "--sftp-uri" in line]
    assert f"--sftp-uri is invalid: {message}" in line
    assert "redacted" not in line
    assert "hunter2" not in line


def test_missing_settings_are_named() -> None:
    result = run("operations.sftp_tool")
    assert result.code == 2
    for name in ("SFTP_URI", "SFTP_HOST_KEY", "SFTP_PRIVATE_KEY (or SFTP_PRIVATE_KEY_SSM_PATH)"):
        assert f"{name} is not set" in result.errors[0]


def test_nothing_is_replaced_without_the_setting(server: SftpServer, remote: Path, bucket: Path) -> None:
    (bucket / "a").write_text("ours")
    (remote / "a").write_text("theirs")
    with pytest.raises(SftpFailed, match="already exists with different content"):
        transfer(server, put, str(bucket / "a"), f"{remote}/a")
    with pytest.raises(SftpFailed, match="already exists with different content"):
        transfer(server, get, f"{remote}/a", str(bucket / "a"))
    assert ((bucket / "a").read_text(), (remote / "a").read_text()) == ("ours", "theirs")
    assert list_names(remote) == ["a"]
    transfer(server, put, str(bucket / "a"), f"{remote}/a", replace=True)
    assert (remote / "a").read_text() == "ours"
    (remote / "a").write_text("newer")
    transfer(server, get, f"{remote}/a", str(bucket / "a"), replace=True)
    assert (bucket / "a").read_text() == "newer"
    # A repeated transfer changes nothing and succeeds.
    transfer(server, get, f"{remote}/a", str(bucket / "a"))
    transfer(server, put, str(bucket / "a"), f"{remote}/a")
    (remote / "b").write_text("another")
    with pytest.raises(SftpFailed, match="already exists and is not replaced"):
        transfer(server, rename, f"{remote}/a", f"{remote}/b")
    assert (remote / "b").read_text() == "another"


def test_a_file_created_during_the_transfer_is_not_replaced(server: SftpServer, remote: Path, bucket: Path) -> None:
    """Create the target between the check that it does not exist and the rename."""
    (bucket / "a").write_bytes(os.urandom(8_000_000))

    def create_target() -> None:
        while not any(name.endswith(".part") for name in list_names(remote)):
            time.sleep(0.001)
        (remote / "a").write_text("theirs")

    other = threading.Thread(target=create_target)
    other.start()
    with pytest.raises(SftpFailed, match="already exists and is not replaced"):
        transfer(server, put, str(bucket / "a"), f"{remote}/a")
    other.join()
    assert (remote / "a").read_text() == "theirs"


@pytest.mark.parametrize(
    ("action", "paths", "message"),
    [
        (get, ("{remote}/none", "{bucket}/x"), "File {remote}/none not found on the server"),
        (get, ("{remote}", "{bucket}/x"), "{remote} is not a regular file"),
        (put, ("{bucket}/file", "{remote}/none/x"), "Folder {remote}/none not found on the server"),
        (rename, ("{remote}/none", "{remote}/x"), "File {remote}/none not found on the server"),
        (rename, ("{remote}/existing", "{remote}/none/x"), "The server could not rename"),
    ],
)
def test_missing_files_and_folders_are_reported(
    server: SftpServer, remote: Path, bucket: Path, action: Callable[..., None], paths: tuple[str, ...], message: str
) -> None:
    (bucket / "file").write_text("x")
    (remote / "existing").write_text("x")
    known = {"remote": str(remote), "bucket": str(bucket)}
    with pytest.raises(SftpFailed) as raised:
        transfer(server, action, *(path.format(**known) for path in paths))
    assert str(raised.value).startswith(message.format(**known))
    assert list_names(bucket) == ["file"]
    assert list_names(remote) == ["existing"]


def test_a_listing_masks_control_characters(server: SftpServer, remote: Path) -> None:
    (remote / "new\nline \x1b[2J").write_text("x")
    (remote / "..ok").mkdir()
    result = run("operations.sftp_tool", **variables(server, REMOTE_PATH=str(remote)))
    assert result.code == 0, result.text
    (message,) = [line["message"] for line in result.lines if "2 entries" in line["message"]]
    assert message.count("\n") == 2
    assert "new·line ·[2J" in message
    assert "..ok/" in message
    missing = run("operations.sftp_tool", **variables(server, REMOTE_PATH=f"{remote}/none"))
    assert missing.code == 1
    assert missing.errors == [f"Folder {remote}/none not found on the server."]


def test_a_target_folder_gets_the_name_of_the_source(server: SftpServer) -> None:
    given = {"action": "get", "storage_path": "s3://bucket/folder/"}
    assert resolve_storage_path(settings(server, remote_path="/x/y.csv", **given)) == "s3://bucket/folder/y.csv"
    to = settings(server, action="put", storage_path="s3://bucket/folder/y.csv", remote_path="in/")
    assert resolve_remote_path(to) == "in/y.csv"


def test_a_server_that_does_not_respond_times_out(server: SftpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"sftp://user@127.0.0.1:{silent.getsockname()[1]}"
        message = get_session_error(settings(server, sftp_uri=uri, sftp_timeout=1))
    assert "did not respond for 1 s (SFTP_TIMEOUT), or is not an SSH server" in message
    closed_port = get_session_error(settings(server, sftp_uri="sftp://user@127.0.0.1:1"))
    assert closed_port == "Cannot connect to 127.0.0.1, port 1: Connection refused. Check SFTP_URI."
    assert (
        get_session_error(settings(server, sftp_uri="sftp://u@no.invalid"))
        == "Host no.invalid not found. Check SFTP_URI."
    )
    for host in ("a..example.org", f"{'a' * 70}.example.org"):
        message = get_session_error(settings(server, sftp_uri=f"sftp://u@{host}"))
        assert message == f"Host {host} not found. Check SFTP_URI."


def wait_for_partial_file(folder: Path, server: SftpServer, process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until the target is partly written, and return the server's processes that serve the session."""
    while process.poll() is None:
        with suppress(FileNotFoundError):  # the file was renamed in the meantime
            for file in folder.iterdir():
                if file.name.startswith(".") and file.stat().st_size > 1_000_000:
                    return server.sessions()
        time.sleep(0.002)
    raise AssertionError("the transfer ended before it could be interrupted")


@pytest.mark.parametrize("action", ["get", "put"])
@pytest.mark.parametrize("failure", ["cut", "hung"])
def test_an_interrupted_transfer_leaves_no_file_and_can_be_started_again(
    server: SftpServer, remote: Path, bucket: Path, action: str, failure: str
) -> None:
    source, target = (remote, bucket) if action == "get" else (bucket, remote)
    with (source / "a").open("wb") as file:
        file.truncate(LARGE_BYTES)
        file.write(os.urandom(1_000_000))
    paths = {"REMOTE_PATH": str(remote / "a"), "STORAGE_PATH": str(bucket / "a")}
    given = variables(server, ACTION=action, SFTP_TIMEOUT="2", **paths)
    process = start("operations.sftp_tool", (), given)
    sessions = wait_for_partial_file(target, server, process)
    for session in sessions:
        session.send_signal(signal.SIGKILL if failure == "cut" else signal.SIGSTOP)
    result = wait_for(process)
    for session in sessions:
        with suppress(psutil.NoSuchProcess):
            session.kill()
    assert result.code == 1, result.text
    assert ("was lost" if failure == "cut" else "did not respond for 2 s") in result.errors[0]
    assert "Traceback" not in result.text
    assert "No incomplete file has the target's name. Start the task again." in result.errors[0]
    assert "a" not in list_names(target)
    remote_file, local_file = str(remote / "a"), str(bucket / "a")
    if action == "get":
        transfer(server, get, remote_file, local_file)
    else:
        transfer(server, put, local_file, remote_file)
    assert list_names(target) == ["a"]
    assert (target / "a").stat().st_size == LARGE_BYTES


@pytest.mark.parametrize("temporary_file", ["true", "false"])
def test_a_stopped_put_leaves_no_file(server: SftpServer, remote: Path, bucket: Path, temporary_file: str) -> None:
    with (bucket / "a").open("wb") as file:
        file.truncate(LARGE_BYTES)
    paths = {"REMOTE_PATH": str(remote / "a"), "STORAGE_PATH": str(bucket / "a")}
    given = variables(server, ACTION="put", TEMPORARY_FILE=temporary_file, **paths)
    process = start("operations.sftp_tool", (), given)
    while not any(file.stat().st_size > 1_000_000 for file in remote.iterdir()):
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    result = wait_for(process)
    assert result.code == 143, result.text
    assert list_names(remote) == []
    assert "failed after the stop" not in result.text


def test_an_interrupted_receive_loses_no_byte() -> None:
    """A stop raises an exception while the client waits for the rest of a packet."""
    version, status = struct.pack(">IBI", 5, 2, 3), struct.pack(">IBIIII", 17, 101, 1, 0, 0, 0)
    parts: Iterator[bytes | None] = iter([version, status[:6], None, status[6:]])

    class Interrupted:
        def send(self, data: bytes, /) -> int:
            return min(len(data), 3)

        def recv(self, _size: int, /) -> bytes:
            if (part := next(parts)) is None:
                raise Stopped
            return part

    client = Client(Interrupted())
    with pytest.raises(Stopped):
        client.remove("a")
    assert client._receive()[0] == 101
