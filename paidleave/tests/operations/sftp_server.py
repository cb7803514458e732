"""A real OpenSSH server on the loopback interface. Its only user is the one who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PASSPHRASE = "correct horse battery staple"
SSHD = shutil.which("sshd") or next((path for path in ("/usr/sbin/sshd",) if Path(path).exists()), None)


@dataclass(frozen=True)
class SftpServer:
    """A running server: its port, its process, and the folder with the keys of host and user."""

    port: int
    process: psutil.Process
    keys: Path

    @property
    def uri(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}"

    def host_key(self, kind: str) -> str:
        return (self.keys / f"host_{kind}.pub").read_text()

    def private_key(self, name: str) -> str:
        return (self.keys / name).read_text()

    def sessions(self) -> list[psutil.Process]:
        """Return the processes that serve connections."""
        return self.process.children(recursive=True)


def make_key(file: Path, kind: str, passphrase: str = "") -> None:
    """Generate a key pair with OpenSSH's tool."""
    bits = ["-b", "2048"] if kind == "rsa" else []  # the smallest accepted size is the fastest to generate
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-f", str(file)], check=True)


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """Run a server with its files in ``folder``."""
    assert SSHD is not None
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(keys / f"host_{kind}", kind)
        make_key(keys / f"user_{kind}", kind)
    make_key(keys / "user_passphrase", "ed25519", PASSPHRASE)
    make_key(keys / "stranger", "ed25519")
    (keys / "authorized").write_text("".join(file.read_text() for file in keys.glob("user_*.pub")))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(
            exist_ok=True
        )  # privilege separation requires it; normally the system service creates it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "sshd_config"
    configuration.write_text(
        f"ListenAddress 127.0.0.1\nListenAddress ::1\nPort {port}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"HostKey {keys}/host_ed25519\nHostKey {keys}/host_ecdsa\nHostKey {keys}/host_rsa\n"
        f"AuthorizedKeysFile {keys}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nMaxStartups 100\n"
    )
    log = folder / "sshd.log"
    with log.open("w") as output:
        process = psutil.Popen([SSHD, "-D", "-e", "-f", str(configuration)], stdout=output, stderr=output)
    try:
        _wait_until_listening(process, port, log)
        yield SftpServer(port, process, keys)
    finally:
        for child in process.children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def _wait_until_listening(process: psutil.Popen, port: int, log: Path) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"sshd is not listening: {log.read_text()}")
