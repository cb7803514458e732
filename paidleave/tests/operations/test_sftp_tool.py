"""``sftp-tool`` against a real OpenSSH server: whole or not at all, over no other file, and to no other server."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr, ValidationError

from nightferry.job import Progress
from paidleave.operations.settings import SftpToolSettings
from paidleave.operations.sftp_session import SftpFailed, session
from paidleave.operations.sftp_tool import get, object_path, put, remote_target, rename
from tests.operations.running import ended, run, start
from tests.operations.sftp_server import PASSPHRASE, SSHD, SftpServer, make_key, sftp_server

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd: apt-get install openssh-server")

BIG = 24_000_000  # bytes: enough that a transfer can be caught in the middle


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A folder of the server."""
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
    """Carry an action out in this process, which is quicker than in one of its own."""
    with session(settings(server)) as client:
        if action is rename:
            rename(client, *paths)
        else:
            action(client, *paths, Progress("test", None, "bytes"), **({"replace": False} | options))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())  # hidden ones too


def test_as_a_process_there_and_back(server: SftpServer, remote: Path, bucket: Path) -> None:
    (bucket / "file.csv").write_bytes(os.urandom(3_000_001))
    outcome = run(
        "sftp_tool", **variables(server, ACTION="put", STORAGE_PATH=str(bucket / "file.csv"), REMOTE_PATH=f"{remote}/")
    )
    assert outcome.code == 0, outcome.text
    assert names(remote) == ["file.csv"]
    event = outcome.event("sftp_put")
    assert event["bytes"] == 3_000_001
    assert hashlib.sha256((remote / "file.csv").read_bytes()).hexdigest().startswith(event["sha256_begins"])
    listed = run("sftp_tool", **variables(server, REMOTE_PATH=str(remote)))
    assert listed.code == 0, listed.text
    assert any(line["message"].startswith(f"{remote}: 1 entry\n      3,000,001 B  20") for line in listed.lines)
    got = run(
        "sftp_tool", **variables(server, ACTION="get", REMOTE_PATH=f"{remote}/file.csv", STORAGE_PATH=f"{bucket}/back/")
    )
    assert got.code == 0, got.text
    assert (bucket / "back/file.csv").read_bytes() == (bucket / "file.csv").read_bytes()
    renamed = run(
        "sftp_tool",
        **variables(server, ACTION="rename", REMOTE_PATH=f"{remote}/file.csv", NEW_PATH=f"{remote}/done.csv"),
    )
    assert renamed.code == 0, renamed.text
    assert names(remote) == ["done.csv"]
    for text in (outcome.text, listed.text, got.text, renamed.text):
        assert "PRIVATE KEY" not in text


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, 64 * 32_768, 64 * 32_768 + 1])
def test_files_of_every_size(server: SftpServer, remote: Path, bucket: Path, size: int) -> None:
    data = os.urandom(size)
    (bucket / "a").write_bytes(data)
    transfer(server, put, str(bucket / "a"), f"{remote}/b")
    transfer(server, get, f"{remote}/b", str(bucket / "c"))
    assert (remote / "b").read_bytes() == (bucket / "c").read_bytes() == data
    assert names(remote) == ["b"]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key(server: SftpServer, remote: Path, kind: str) -> None:
    given = settings(
        server, sftp_host_key=server.host_key(kind), sftp_private_key=SecretStr(server.private_key(f"user_{kind}"))
    )
    with session(given) as client:
        assert client.listdir(str(remote)) == []


def test_a_key_with_a_passphrase(server: SftpServer, remote: Path) -> None:
    key = SecretStr(server.private_key("user_guarded"))
    with session(settings(server, sftp_private_key=key, sftp_private_key_passphrase=SecretStr(PASSPHRASE))) as client:
        assert client.listdir(str(remote)) == []


def refusal(given: SftpToolSettings) -> str:
    with pytest.raises(SftpFailed) as refused, session(given):
        raise AssertionError("it was let in")
    return str(refused.value)


def test_keys_that_do_not_open(server: SftpServer, tmp_path: Path) -> None:
    guarded = SecretStr(server.private_key("user_guarded"))
    assert "set SFTP_PRIVATE_KEY_PASSPHRASE" in refusal(settings(server, sftp_private_key=guarded))
    wrong = settings(server, sftp_private_key=guarded, sftp_private_key_passphrase=SecretStr("wrong"))
    assert "SFTP_PRIVATE_KEY_PASSPHRASE is not its passphrase" in refusal(wrong)
    assert "is no private key" in refusal(settings(server, sftp_private_key=SecretStr("rubbish")))
    stranger = settings(server, sftp_private_key=SecretStr(server.private_key("stranger")))
    assert "does not let the user of SFTP_URI in" in refusal(stranger)


def test_a_server_with_another_host_key_is_sent_nothing(server: SftpServer, tmp_path: Path) -> None:
    make_key(tmp_path / "other", "ed25519")
    message = refusal(settings(server, sftp_host_key=(tmp_path / "other.pub").read_text()))
    assert message.startswith("The server's host key is not that of SFTP_HOST_KEY: it showed ssh-ed25519 SHA256:")
    assert "Nothing was sent" in message
    both = (tmp_path / "other.pub").read_text() + server.host_key("ed25519")  # while the server's key changes
    with session(settings(server, sftp_host_key=both)):
        pass


def test_a_host_key_of_a_kind_that_the_server_has_not(server: SftpServer, tmp_path: Path) -> None:
    make_key(tmp_path / "other", "ecdsa")
    line = (tmp_path / "other.pub").read_text().replace("nistp256", "nistp384")
    assert "is no public key" in refusal(settings(server, sftp_host_key=line))
    make = ["-b", "384"]
    os.spawnlp(os.P_WAIT, "ssh-keygen", "ssh-keygen", "-q", "-t", "ecdsa", *make, "-N", "", "-f", str(tmp_path / "big"))
    message = refusal(settings(server, sftp_host_key=(tmp_path / "big.pub").read_text()))
    assert "no host key of the kind that SFTP_HOST_KEY names (ecdsa-sha2-nistp384)" in message


def test_a_host_key_as_known_hosts_has_it(server: SftpServer) -> None:
    with session(settings(server, sftp_host_key=f"[127.0.0.1]:{server.port} {server.host_key('ed25519')}")):
        pass


@pytest.mark.parametrize("text", ["ssh-ed25519", "AAAA", "ssh-ed25519 !!!!", "ssh-ed25519 AAAA", "SHA256:abc"])
def test_what_is_no_host_key_is_told(server: SftpServer, text: str) -> None:
    assert "SFTP_HOST_KEY is no public key" in refusal(settings(server, sftp_host_key=text))


@pytest.mark.parametrize(
    "changes",
    [
        {"sftp_uri": "example.org"},
        {"sftp_uri": "sftp://user:password@example.org"},
        {"sftp_uri": "sftp://user@example.org:99999"},
        {"action": "delete"},
        {"action": "get", "remote_path": "a"},
        {"action": "get", "remote_path": "a/", "storage_path": "/b"},
        {"action": "get", "remote_path": "../a", "storage_path": "/b"},
        {"action": "get", "remote_path": "a\nb", "storage_path": "/b"},
        {"action": "put", "storage_path": "/b"},
        {"action": "rename", "remote_path": "a", "new_path": "x/../../b"},
    ],
)
def test_bad_settings_are_refused(server: SftpServer, changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(server, **changes)


def test_missing_settings_are_named() -> None:
    outcome = run("sftp_tool")
    assert outcome.code == 2
    for name in ("SFTP_URI", "SFTP_HOST_KEY", "SFTP_PRIVATE_KEY (or SFTP_PRIVATE_KEY_SSM_PATH)"):
        assert f"{name} is not set" in outcome.errors[0]


def test_nothing_is_replaced_unless_it_is_said(server: SftpServer, remote: Path, bucket: Path) -> None:
    (bucket / "a").write_text("ours")
    (remote / "a").write_text("theirs")
    with pytest.raises(SftpFailed, match="is there already, with another content"):
        transfer(server, put, str(bucket / "a"), f"{remote}/a")
    with pytest.raises(SftpFailed, match="is there already, with another content"):
        transfer(server, get, f"{remote}/a", str(bucket / "a"))
    assert ((bucket / "a").read_text(), (remote / "a").read_text()) == ("ours", "theirs")
    assert names(remote) == ["a"]
    transfer(server, put, str(bucket / "a"), f"{remote}/a", replace=True)
    assert (remote / "a").read_text() == "ours"
    (remote / "a").write_text("newer")
    transfer(server, get, f"{remote}/a", str(bucket / "a"), replace=True)
    assert (bucket / "a").read_text() == "newer"
    # What is done already is done: the same again changes nothing, and is no error.
    transfer(server, get, f"{remote}/a", str(bucket / "a"))
    transfer(server, put, str(bucket / "a"), f"{remote}/a")
    (remote / "b").write_text("another")
    with pytest.raises(SftpFailed, match="is there already, and is not replaced"):
        transfer(server, rename, f"{remote}/a", f"{remote}/b")
    assert (remote / "b").read_text() == "another"


def test_a_name_that_is_taken_at_the_last_moment_is_not_replaced(
    server: SftpServer, remote: Path, bucket: Path
) -> None:
    """Between the look whether the name is free and the naming, another program takes it."""
    (bucket / "a").write_bytes(os.urandom(8_000_000))

    def take() -> None:
        while not any(name.endswith(".part") for name in names(remote)):
            time.sleep(0.001)
        (remote / "a").write_text("theirs")

    other = threading.Thread(target=take)
    other.start()
    with pytest.raises(SftpFailed, match="is there already, and is not replaced"):
        transfer(server, put, str(bucket / "a"), f"{remote}/a")
    other.join()
    assert (remote / "a").read_text() == "theirs"


@pytest.mark.parametrize(
    ("action", "paths", "message"),
    [
        (get, ("{remote}/none", "{bucket}/x"), "There is no file {remote}/none on the server"),
        (get, ("{remote}", "{bucket}/x"), "{remote} is no file but a folder"),
        (put, ("{bucket}/file", "{remote}/none/x"), "There is no folder {remote}/none on the server"),
        (rename, ("{remote}/none", "{remote}/x"), "There is no file {remote}/none on the server"),
        (rename, ("{remote}/there", "{remote}/none/x"), "The server could not rename"),
    ],
)
def test_what_is_not_there_is_told(
    server: SftpServer, remote: Path, bucket: Path, action: Callable[..., None], paths: tuple[str, ...], message: str
) -> None:
    (bucket / "file").write_text("x")
    (remote / "there").write_text("x")
    known = {"remote": str(remote), "bucket": str(bucket)}
    with pytest.raises(SftpFailed) as refused:
        transfer(server, action, *(path.format(**known) for path in paths))
    assert str(refused.value).startswith(message.format(**known))
    assert names(bucket) == ["file"]
    assert names(remote) == ["there"]


def test_a_listing_shows_hostile_names_harmlessly(server: SftpServer, remote: Path) -> None:
    (remote / "new\nline \x1b[2J").write_text("x")
    (remote / "..ok").mkdir()
    outcome = run("sftp_tool", **variables(server, REMOTE_PATH=str(remote)))
    assert outcome.code == 0, outcome.text
    (message,) = [line["message"] for line in outcome.lines if "2 entries" in line["message"]]
    assert message.count("\n") == 2
    assert "new·line ·[2J" in message
    assert "..ok/" in message
    missing = run("sftp_tool", **variables(server, REMOTE_PATH=f"{remote}/none"))
    assert missing.code == 1
    assert missing.errors == [f"There is no folder {remote}/none on the server."]


def test_a_got_file_takes_its_own_name_and_no_other_place(server: SftpServer) -> None:
    given = {"action": "get", "storage_path": "s3://bucket/folder/"}
    assert object_path(settings(server, remote_path="/x/y.csv", **given)) == "s3://bucket/folder/y.csv"
    to = settings(server, action="put", storage_path="s3://bucket/folder/y.csv", remote_path="in/")
    assert remote_target(to) == "in/y.csv"


def test_a_server_that_says_nothing_is_not_waited_for(server: SftpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"sftp://user@127.0.0.1:{silent.getsockname()[1]}"
        message = refusal(settings(server, sftp_uri=uri, sftp_timeout=1))
    assert "did not answer for 1 s (SFTP_TIMEOUT), or speaks no SSH" in message
    nobody = refusal(settings(server, sftp_uri="sftp://user@127.0.0.1:1"))
    assert nobody == "127.0.0.1, port 1, cannot be reached: Connection refused. Check SFTP_URI."
    assert refusal(settings(server, sftp_uri="sftp://u@no.invalid")) == "There is no host no.invalid. Check SFTP_URI."


def in_the_middle(folder: Path, server: SftpServer, process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until a file that is being written has some bytes; the processes of the session that serves it."""
    while process.poll() is None:
        with suppress(FileNotFoundError):  # it got its name meanwhile
            for file in folder.iterdir():
                if file.name.startswith(".") and file.stat().st_size > 1_000_000:
                    return server.sessions()
        time.sleep(0.002)
    raise AssertionError("it ended before it could be caught")


@pytest.mark.parametrize("action", ["get", "put"])
@pytest.mark.parametrize("what", ["cut", "hung"])
def test_a_transfer_that_breaks_off_leaves_no_file_and_can_be_started_again(
    server: SftpServer, remote: Path, bucket: Path, action: str, what: str
) -> None:
    source, target = (remote, bucket) if action == "get" else (bucket, remote)
    with (source / "a").open("wb") as file:
        file.truncate(BIG)
        file.write(os.urandom(1_000_000))
    paths = {"REMOTE_PATH": str(remote / "a"), "STORAGE_PATH": str(bucket / "a")}
    given = variables(server, ACTION=action, SFTP_TIMEOUT="2", **paths)
    process = start("sftp_tool", (), given)
    serving = in_the_middle(target, server, process)
    for one in serving:
        one.send_signal(signal.SIGKILL if what == "cut" else signal.SIGSTOP)
    outcome = ended(process)
    for one in serving:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    assert outcome.code == 1, outcome.text
    assert ("was lost" if what == "cut" else "did not answer for 2 s") in outcome.errors[0]
    assert "Traceback" not in outcome.text
    assert "a" not in names(target)
    remote_file, local_file = str(remote / "a"), str(bucket / "a")
    if action == "get":
        transfer(server, get, remote_file, local_file)
    else:
        transfer(server, put, local_file, remote_file)
    assert names(target) == ["a"]
    assert (target / "a").stat().st_size == BIG
